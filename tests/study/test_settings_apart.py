"""Which settings of runs differ."""

import json

import pytest
import yaml

from harlib.study.params.trained import C3D, FrameCNN, ResNeXt101
from harlib.study.runs import settings_apart

pytestmark = pytest.mark.quick


def run(root, name, params=C3D, store="", left_out=(), **values):
    folder = root / name
    folder.mkdir()
    given = params(study=root.name, run=name, **values).model_dump(mode="json")
    given = {key: value for key, value in given.items() if key not in left_out}
    (folder / "params.yaml").write_text(yaml.safe_dump(given))
    (folder / "run.json").write_text(json.dumps({"store_hash": store} if store else {}))
    return folder


def told(**runs):
    table = settings_apart.table(runs)
    return {row.pop("setting"): tuple(row.values()) for row in table.to_dict("records")}


def test_only_what_differs_is_told(tmp_path):
    one = run(tmp_path, "03_c3d", epochs=8, threads=1, data_root="", store="a")
    two = run(tmp_path, "03_c3d.long", epochs=16, threads=9, left_out=["jitter", "size"], store="b")
    assert told(a=one, b=two) == {"epochs": ("8", "16"), "clip store": ("a", "b")}
    assert told(a=one, b=one) == {}


def test_a_key_that_a_file_lacks_has_the_notebooks_default(tmp_path):
    one = run(tmp_path, "03_c3d", width=0.5)
    two = run(tmp_path, "03_c3d.b", left_out=["width", "patience"])
    assert told(a=one, b=two) == {"width": ("0.5", "0.25")}


def test_what_one_network_alone_has_is_told(tmp_path):
    own = {"width": 0.5, "dropout": 0.0}
    one = run(tmp_path, "03_c3d", **own)
    two = run(tmp_path, "04_resnext101", ResNeXt101, **own)
    both = {"model": ("c3d_bn", "resnext3d_26"), "dense": ("256", "–"), "cardinality": ("–", "16")}
    assert told(a=one, b=two) == both
    three = run(tmp_path, "04_resnext101.b", ResNeXt101, cardinality=8, **own)
    assert told(a=one, b=three) == both | {"cardinality": ("–", "8")}


def test_what_one_notebook_alone_has_is_told_where_it_was_changed(tmp_path):
    one = run(tmp_path, "03_c3d")
    two = run(tmp_path, "02_frame_cnn", FrameCNN)
    found = told(a=one, b=two)
    assert found["backbone"] == ("–", "small") and found["pixels"] == ("rgb", "–")
    assert not {"stills", "stills_epochs"} & set(found)
    three = run(tmp_path, "02_frame_cnn.b", FrameCNN, stills_epochs=3)
    assert told(a=one, b=three)["stills_epochs"] == ("–", "3")


def test_a_recipes_number_stands_where_no_option_changes_it(tmp_path):
    one = run(tmp_path, "03_c3d", recipe="modern", recipe_options={"lr": 1e-3, "ema": 0.9})
    two = run(tmp_path, "03_c3d.b", recipe="modern")
    assert told(a=one, b=two) == {"recipe_options.ema": ("0.9", "as the recipe says")}
    three = run(tmp_path, "03_c3d.c", recipe="modern", recipe_options={"lr": 0.01})
    assert told(b=two, c=three) == {"recipe_options.lr": ("0.001", "0.01")}


def test_a_run_of_no_notebook_is_compared_by_its_file_alone(tmp_path):
    for name, epochs in (("mine", 1), ("yours", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.yaml").write_text(f"epochs: {epochs}\nwhat: {{a: [1, 2]}}")
    assert told(a=tmp_path / "mine", b=tmp_path / "yours") == {"epochs": ("1", "2")}
