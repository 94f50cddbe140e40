"""The rows of `har bench grouped`: that they are measured, and that `choose` follows them."""

import json
from collections import defaultdict
from pathlib import Path

import keras
import pytest
from click.testing import CliRunner

from harlib import machine
from harlib.bench import grouped as bench
from harlib.cli import main
from harlib.models import grouped_conv3d
from harlib.training import precision

ROWS = Path(__file__).parents[2] / "benchmarks" / "grouped.json"
PACKS = {"packs8", "packs16"}
# Of the fastest way's time: what two measurements of one way may differ by.
NEAR = 1.15

if keras.backend.backend() != "tensorflow":
    pytest.skip("ways are measured on TensorFlow", allow_module_level=True)


def cases():
    """Milliseconds by way, of every CPU, shape and dtype in the committed rows."""
    found = defaultdict(dict)
    for row in json.loads(ROWS.read_text()):
        shape = {k: v for k, v in row.items() if k not in ("way", "cpu_ms")}
        found[json.dumps(shape)][row["way"]] = row["cpu_ms"]
    return [(json.loads(shape), ways) for shape, ways in found.items()]


@pytest.mark.quick
def test_the_choice_is_the_fastest_way_measured(monkeypatch):
    slow = []
    for shape, ways in cases():
        channels = shape["channels"] // shape["groups"]
        wide = has(shape, "avx512f")
        monkeypatch.setattr(grouped_conv3d.machine, "has_avx512", lambda wide=wide: wide)
        monkeypatch.setattr(grouped_conv3d, "has_gradient", lambda dtype, ways=ways: "time" in ways)
        chosen = grouped_conv3d.choose(
            shape["frames"],
            channels,
            shape["kernel"],
            pixels=shape["height"] * shape["width"],
            dtype=shape["dtype"],
        )
        if chosen == "packs":  # rows hold each number of packs once, by the smallest that has it
            size = grouped_conv3d.pack_size(shape["groups"], channels)
            chosen = next(
                way
                for way, (method, most) in bench.WAYS.items()
                if method == "packs"
                and way in ways
                and grouped_conv3d.pack_size(shape["groups"], channels, most) == size
            )
        if ways[chosen] > NEAR * min(ways.values()):
            slow.append((shape, chosen, ways))
    assert not slow


@pytest.mark.quick
def test_every_shape_of_the_shipped_networks_has_rows():
    measured = [shape for shape, _ in cases()]
    kinds = {(has(shape, "avx512f"), shape["dtype"]) for shape in measured}
    assert kinds == {(True, "float32"), (True, "bfloat16"), (False, "float32")}
    for kind in {has_wide for has_wide, _ in kinds}:
        rows = [shape for shape in measured if has(shape, "avx512f") == kind]
        assert {row["model"] for row in rows} == {name for name, *_ in bench.NETWORKS}
        name, options, batch = bench.NETWORKS[-1]
        for wanted in bench.shapes(name, options, batch):
            assert any(wanted.items() <= row.items() for row in rows), wanted


def has(shape, instruction):
    return instruction in shape["instructions"]


@pytest.mark.quick
def test_the_command_measures_every_way(tmp_path, monkeypatch):
    tiny = {"frames": 4, "size": 32, "width": 0.125, "cardinality": 4}
    monkeypatch.setattr(bench, "shapes", shape_of(bench.shapes, tiny))
    done = CliRunner().invoke(
        main, ["bench", "grouped", "--turns", "1", "--json", str(tmp_path / "rows.json")]
    )
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    dtypes = {"float32", "bfloat16"} if precision.has_bfloat16() else {"float32"}
    assert {row["dtype"] for row in rows} == dtypes
    for dtype in dtypes:
        trained = {"time"} if grouped_conv3d.has_gradient(dtype) else set()
        assert {row["way"] for row in rows if row["dtype"] == dtype} == trained | PACKS
    assert all(row["cpu_ms"] > 0 and row["strides"] for row in rows)
    assert all(row["cpu"] and row["kernels"] == machine.describe()["kernels"] for row in rows)
    assert "float32 4 x 2x8x8x16, stride 1: " in done.output


def shape_of(shapes, options):
    """`shapes` of a tiny network, its first, whatever network is asked for."""
    return lambda name, _, batch: shapes("resnext3d_26", options, 4)[:1]
