"""The comparisons' bookkeeping with a made-up child, and one real child."""

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from harlib import machine, models
from harlib.bench import batch, train
from harlib.bench.child_process import Child, ChildError
from harlib.cli import main
from harlib.models import fold_batch_norm, onnx_graph
from harlib.models.layers import Conv3D

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture
def fake(monkeypatch):
    script = Path(__file__).with_name("fake_worker.py")
    monkeypatch.setattr(Child, "command", (sys.executable, str(script)))


@pytest.mark.quick
def test_rows_tables_and_failures_of_a_comparison(fake, tmp_path):
    said = []
    rows = train.run(
        ["c3d"],
        modes=["train"],
        batch=4,
        steps=2,
        json_file=tmp_path / "rows.json",
        say=said.append,
    )
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    assert [(r["engine"], r["policy"]) for r in rows] == [
        ("harlib", "float32"), ("harlib", "mixed_bfloat16"), ("keras-stock", "float32"),
        ("torch", "float32"), ("torch", "mixed_bfloat16"),
    ]  # fmt: skip
    for row in rows:
        assert {"bench", "model", "mode", "engine", "policy", "batch"} <= set(row)
        if row["engine"] == "keras-stock":
            assert "this engine is broken" in row["note"] and "clips_per_s" not in row
            continue
        assert row["clips_per_s"] == pytest.approx(1000)
        # a product of 2 GMACs a ms; a clip of 2 GMACs, three times in training
        assert row["limit_clips_per_s"] == pytest.approx(1000 / 3)
        assert row["device"] == "a desk"
    text = train.table(rows)
    assert "harlib float32 1.00 x torch float32" in text and "broken" in text
    assert len(said) == len(rows)


@pytest.mark.quick
def test_the_largest_batch_is_found_between_two_powers(fake, tmp_path, monkeypatch):
    said = []
    rows = batch.run(
        ["c3d"], policies=["float32"], memory=batch.parse_memory("2.35 GB"),
        json_file=tmp_path / "rows.json", say=said.append,
    )  # fmt: skip
    (row,) = rows
    assert row["batch"] in (22, 23) and "took 2.4" in row["limit"]
    assert row["clips_per_s"] == pytest.approx(1000)
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    free = psutil.virtual_memory()._replace(available=10**9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    (row,) = batch.run(["c3d"], policies=["float32"], say=said.append)
    assert row["batch"] == 9 and "may hold 0.90 GB of main memory, 90% of" in " ".join(said)
    (row,) = batch.run(["c3d"], policies=["broken"], say=said.append)
    assert row["batch"] == 0 and "this engine is broken" in batch.line(row)
    (row,) = batch.run(["c3d"], policies=["float32"], most=5, say=said.append)
    assert row["batch"] == 5 and row["limit"] == "stopped at batch 5"


@pytest.mark.quick
def test_the_commands_write_rows(fake, tmp_path):
    for command, wanted in (("train", "harlib float32 1.00 x torch float32"), ("batch", "batch 6")):
        file = tmp_path / f"{command}.json"
        options = ["--memory", "650MB"] if command == "batch" else ["--modes", "infer"]
        arguments = ["bench", command, "--models", "c3d", "--policies", "float32", *options]
        done = CliRunner().invoke(main, [*arguments, "--json", str(file)])
        assert done.exit_code == 0, done.output
        assert wanted in done.output
        assert {row["bench"] for row in json.loads(file.read_text())} == {command}
    done = CliRunner().invoke(main, ["bench", "batch", "--memory", "much"])
    assert done.exit_code == 1 and "write it as 8GB" in done.output


@pytest.mark.quick
def test_a_slow_child_is_ended(fake):
    with pytest.raises(ChildError, match="over 0 s"):
        Child({"engine": "harlib", "policy": "slow"}, limit_s=0.3)
    assert not [
        child for child in psutil.Process().children() if "fake_worker" in str(child.cmdline())
    ]


@pytest.mark.quick
def test_a_library_that_aborts_is_quoted_with_its_reason(fake):
    with pytest.raises(ChildError, match=r"exit -6, .*Check failed: 2 == 3$"):
        Child({"engine": "harlib", "policy": "aborted"}, limit_s=30)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8e9), ("500 mb", 5e8), ("1.5GB", 1.5e9), ("1000", 1000)]
)
def test_memory_is_read(text, size):
    assert batch.parse_memory(text) == size


@pytest.mark.quick
def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="memory='8 apples' is no size"):
        batch.parse_memory("8 apples")
    with pytest.raises(ValueError, match="jaxx.* is unknown"):
        train.run(["c3d"], engines=["jaxx"])
    with pytest.raises(ValueError, match="at least 1"):
        train.run(["c3d"], steps=0)


def test_a_real_child_trains_and_ends_at_its_memory_limit():
    spec = {"engine": "harlib", "model": "r3d_18", "mode": "train", "policy": "float32",
            "batch": 1, "frames": 2, "size": 16}  # fmt: skip
    with Child(spec, limit_s=200) as child:
        assert child.facts["gmacs"] > 0 and child.facts["first_step_s"] > 0
        assert child.turn(2, 60)["steps"] == 2
    with pytest.raises(ChildError, match="took"):
        Child(spec, limit_s=200, memory_bytes=3e8)


def test_pytorchs_networks_have_the_published_counts():
    torch = pytest.importorskip("torch")
    sys.path.insert(0, str(train._REFERENCE.parent))
    try:
        import torch_reference
    finally:
        sys.path.pop(0)
    with torch.device("meta"):
        for name, classes, wanted, file in (
            ("resnext3d_101", 400, 48_340_816, "resnext101_16x112.npz"),
            ("c3d", 487, 79_991_015, "c3d_16x112.npz"),
        ):
            network = torch_reference.build(name, classes)
            assert sum(p.numel() for p in network.parameters()) == wanted
            with np.load(FIXTURES / file) as original:
                shapes = [ast.literal_eval(str(shape)) for shape in original["shapes"]]
                published = dict(zip(original["keys"].tolist(), shapes, strict=True))
            own = {k: tuple(v.shape) for k, v in network.state_dict().items()}
            assert {k: v for k, v in own.items() if not k.endswith("tracked")} == {
                k: tuple(v) for k, v in published.items() if not k.endswith("tracked")
            }
            assert network(torch.zeros(1, 3, 16, 112, 112)).shape == (1, classes)


@pytest.mark.quick
def test_a_child_takes_gpu_memory_as_it_needs_it(monkeypatch):
    says = "import json, os; print(json.dumps({'memory_bytes': 0, 'environ': dict(os.environ)}))"
    monkeypatch.setattr(Child, "command", (sys.executable, "-c", says))
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    with Child({}, limit_s=60) as child:
        environ = child.facts["environ"]
    assert environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"  # the user's own word counts
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    with Child({}, limit_s=60) as child:
        assert child.facts["environ"]["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_pytorch_is_measured_in_its_faster_format_alone():
    pytest.importorskip("torch")
    spec = {"engine": "torch", "model": "resnext3d_101", "mode": "infer", "policy": "float32",
            "batch": 1, "frames": 2, "size": 16, "reference": str(train._REFERENCE)}  # fmt: skip
    with Child(spec, limit_s=200) as child:
        assert child.facts["format"] in ("contiguous_format", "channels_last_3d")
        assert "began" not in child.facts and 0 < child.facts["first_step_s"] < 60
    with pytest.raises(ChildError, match="no PyTorch reference of r3d_18"):
        Child(spec | {"model": "r3d_18"}, limit_s=200)


@pytest.mark.quick
def test_every_engine_scores_beside_harlib_and_only_in_what_it_can(fake):
    rows = train.run(["c3d"], modes=["train", "infer"], batch=4, steps=2, say=lambda line: None)
    peers = [r for r in rows if r["engine"] in ("onnxruntime", "openvino")]
    assert [(r["mode"], r["engine"], r["policy"]) for r in peers] == [
        ("infer", "onnxruntime", "float32"), ("infer", "openvino", "float32"),
        ("infer", "openvino", "mixed_bfloat16"),
    ]  # fmt: skip
    assert all(r["cpu"] == machine.cpu() for r in rows)
    assert all(r["instructions"] == list(machine.instructions()) for r in rows)
    lines = train.table(rows).splitlines()
    for wanted in (
        "c3d infer: harlib float32 1.00 x onnxruntime float32",
        "c3d infer: harlib float32 1.00 x openvino float32",
        "c3d infer: harlib mixed_bfloat16 1.00 x openvino mixed_bfloat16",
        "c3d infer: harlib mixed_bfloat16 1.00 x onnxruntime float32",
    ):
        assert wanted in lines


def test_onnx_engines_score_as_the_network_does():
    runtime, vino = pytest.importorskip("onnxruntime"), pytest.importorskip("openvino")
    options = {"frames": 4, "size": 16, "width": 0.25, "cardinality": 8}
    model = models.build("resnext3d_26", 5, **options)
    content = onnx_graph.build(fold_batch_norm.copy(model, folded=True), batch=2)
    kinds = Counter(node.op_type for node in content.graph.node)
    # one operation for each convolution, and no change of layout but that of the clips
    convolutions = [layer for layer in model.layers if isinstance(layer, Conv3D)]
    assert kinds["Conv"] == len(convolutions) and kinds["Transpose"] <= 2, kinds
    clips = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), "uint8")
    wanted, content = model.predict_on_batch(clips), content.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (scores,) = session.run(["scores"], {"clips": clips})
    np.testing.assert_allclose(scores, wanted, atol=1e-4)
    compiled = vino.Core().compile_model(vino.Core().read_model(content), "CPU")
    np.testing.assert_allclose(compiled([clips])["scores"], wanted, atol=1e-4)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_real_child_measures_an_onnx_engine(engine):
    pytest.importorskip(engine)
    spec = {"engine": engine, "model": "r3d_18", "mode": "infer", "policy": "float32",
            "batch": 1, "frames": 2, "size": 16}  # fmt: skip
    with Child(spec, limit_s=300) as child:
        assert child.facts["backend"] == engine and child.facts["gmacs"] > 0
        assert child.facts["device"].startswith(machine.cpu())
        assert child.turn(2, 60)["steps"] == 2


def test_openvino_is_not_measured_in_float32_under_the_name_of_bfloat16():
    vino = pytest.importorskip("openvino")
    if "BF16" in vino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU computes bfloat16")
    spec = {"engine": "openvino", "model": "r3d_18", "mode": "infer", "policy": "mixed_bfloat16",
            "batch": 1, "frames": 2, "size": 16}  # fmt: skip
    with pytest.raises(ChildError, match="OpenVINO computes no bfloat16 on this CPU"):
        Child(spec, limit_s=300)


@pytest.mark.quick
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_that_is_not_installed_is_named(engine, tmp_path, monkeypatch):
    (tmp_path / f"{engine}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{engine}'\", name='{engine}')"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    spec = {"engine": engine, "model": "c3d", "mode": "infer", "policy": "float32",
            "batch": 1, "frames": 2, "size": 16}  # fmt: skip
    with pytest.raises(ChildError, match=f"{engine} is not installed: pip install 'harlib.bench.'"):
        Child(spec, limit_s=60)


def test_a_peak_is_the_processs_own_and_begins_anew():
    code = (
        "from harlib.bench import engines\n"
        "a = bytearray(3 * 10**8); before = engines.peak(); del a; engines.forget_peak()\n"
        "assert before > 3e8 > engines.peak() > 1e6, (before, engines.peak())"
    )
    held = bytearray(4 * 10**8)  # the parent's
    subprocess.run([sys.executable, "-c", f"{code}\nassert before < 4e8, before"], check=True)
    assert held
