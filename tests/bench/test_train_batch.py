"""The comparisons' bookkeeping with a made-up child, and one real child."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from harlib.bench import batch, train
from harlib.bench.child import Child, ChildError
from harlib.cli import main

FIXTURES = Path(__file__).parents[1] / "fixtures"


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


def test_a_peak_is_the_processs_own_and_begins_anew():
    code = (
        "from harlib.bench import worker\n"
        "a = bytearray(3 * 10**8); before = worker.peak(); del a; worker.forget_peak()\n"
        "assert before > 3e8 > worker.peak() > 1e6, (before, worker.peak())"
    )
    held = bytearray(4 * 10**8)  # the parent's
    subprocess.run([sys.executable, "-c", f"{code}\nassert before < 4e8, before"], check=True)
    assert held
