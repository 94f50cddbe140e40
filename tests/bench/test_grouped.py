"""The rows of `har bench grouped`: that they are measured, and that `choose` follows them."""

import json
from collections import defaultdict
from pathlib import Path

import keras
import pytest
from click.testing import CliRunner

from harlib.bench import grouped as bench
from harlib.cli import main
from harlib.models import grouped

ROWS = Path(__file__).parents[2] / "benchmarks" / "grouped.json"
# Of the fastest way's time: what two measurements of one way may differ by.
NEAR = 1.15

if keras.backend.backend() != "tensorflow":
    pytest.skip("ways are measured on TensorFlow", allow_module_level=True)


def cases():
    """Milliseconds by way, of every shape and dtype in the committed rows."""
    found = defaultdict(dict)
    for row in json.loads(ROWS.read_text()):
        shape = {k: v for k, v in row.items() if k not in ("way", "cpu_ms")}
        found[json.dumps(shape)][row["way"]] = row["cpu_ms"]
    return [(json.loads(shape), ways) for shape, ways in found.items()]


@pytest.mark.quick
def test_the_choice_is_the_fastest_way_measured():
    slow = []
    for shape, ways in cases():
        channels = shape["channels"] // shape["groups"]
        chosen = grouped.choose(shape["frames"], channels, shape["kernel"])
        if chosen == "packs":  # rows hold each number of packs once, by the smallest that has it
            size = grouped.pack_size(shape["groups"], channels)
            chosen = next(
                way
                for way, (method, most) in bench.WAYS.items()
                if method == "packs"
                and way in ways
                and grouped.pack_size(shape["groups"], channels, most) == size
            )
        if ways[chosen] > NEAR * min(ways.values()):
            slow.append((shape, chosen, ways))
    assert not slow


@pytest.mark.quick
def test_every_shape_of_the_shipped_networks_has_rows():
    measured = {(r["model"], r["frames"], r["channels"], r["dtype"]) for r in map(first, cases())}
    assert {model for model, *_ in measured} == {name for name, *_ in bench.NETWORKS}
    assert {dtype for *_, dtype in measured} == set(bench.DTYPES)
    name, options, batch = bench.NETWORKS[-1]
    wanted = bench.shapes(name, options, batch)
    rows = [{k: shape[k] for k in wanted[0]} for shape, _ in cases() if shape["model"] == name]
    assert [shape for shape in wanted if shape not in rows] == []


def first(case):
    return case[0]


@pytest.mark.quick
def test_the_command_measures_every_way(tmp_path, monkeypatch):
    tiny = {"frames": 4, "size": 32, "width": 0.125, "cardinality": 4}
    monkeypatch.setattr(bench, "shapes", shape_of(bench.shapes, tiny))
    done = CliRunner().invoke(
        main, ["bench", "grouped", "--turns", "1", "--json", str(tmp_path / "rows.json")]
    )
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["way"] for row in rows} == {"time", "packs8", "packs16"}
    assert {row["dtype"] for row in rows} == {"float32", "bfloat16"}
    assert all(row["cpu_ms"] > 0 and row["strides"] for row in rows)
    assert "float32 4 x 2x8x8x16, stride 1: time" in done.output


def shape_of(shapes, options):
    """`shapes` of a tiny network, its first, whatever network is asked for."""
    return lambda name, _, batch: shapes("resnext3d_26", options, 4)[:1]
