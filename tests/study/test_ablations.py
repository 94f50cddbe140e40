"""Notebook 07's steps: what is trained, and what is said of it."""

import pandas as pd
import pytest

from harlib.study.params.notebooks import ParamsError, validate
from harlib.study.runs import study_files
from harlib.study.steps import ablations
from harlib.study.wording import tables

pytestmark = pytest.mark.quick
VARIANTS = {"base": {}, "plain": {"flip": False, "recipe_options": {"lr": 0.1}}}


def params(**changes):
    values = (
        study_files.defaults("07_ablations") | {"seeds": [3, 4], "variants": VARIANTS} | changes
    )
    return validate("07_ablations", values)


def test_every_variant_is_planned_with_every_seed_in_a_folder_of_its_own():
    p = params(recipe_options={"weight_decay": 0.1})
    planned = ablations.plans(p)
    assert [(name, seed) for name, seed, _ in planned] == [
        ("base", 3), ("base", 4), ("plain", 3), ("plain", 4)
    ]  # fmt: skip
    assert [own.seed for _, _, own in planned] == [3, 4, 3, 4]
    assert [own.flip for _, _, own in planned] == [True, True, False, False]
    assert planned[3][2].recipe_options == {"lr": 0.1}
    assert len({own.run_dir for *_, own in planned}) == 4
    assert {own.run_dir.parent for *_, own in planned} == {p.run_dir}
    assert {own.store_dir for *_, own in planned} == {p.store_dir}
    assert params(variants={"a": {}, "b": {"devices": 2}}).most_devices == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variants": {}}, "names no variant"),
        ({"variants": {"a": {"flop": True}}}, "a changes 'flop', .*nearest valid name: 'flip'"),
        ({"variants": {"a": {"seed": 1}}}, "a changes 'seed'"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_wrong_variants_are_named(changes, words):
    with pytest.raises(ParamsError, match=words):
        params(**changes)


def test_a_variant_that_does_not_go_together_is_named_before_any_training():
    with pytest.raises(ParamsError, match="variant odd: key 'devices': is 3, which does not"):
        ablations.plans(params(variants={"odd": {"devices": 3}}))


def test_mean_and_range_over_the_seeds():
    table = pd.DataFrame(
        {
            "variant": ["base"] * 3 + ["plain"] * 3 + ["batch-8"] * 3,
            "seed": [0, 1, 2] * 3,
            "network": ["c3d_bn, width 0.25"] * 9,
            "video_top1": [0.6, 0.7, 0.8, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9],
            "clip_top1": [0.5] * 9,
            "minutes": [1.0, 2.0, 3.0] * 3,
        }
    )
    summed = ablations.summary(table).set_index("variant")
    assert list(summed.index) == ["base", "plain", "batch-8"]
    assert summed.video_top1.to_list() == pytest.approx([0.7, 0.4, 0.8])
    assert (summed.lowest["plain"], summed.highest["plain"]) == (0.3, 0.5)
    assert {"lowest", "highest"} <= tables.PERCENT
    assert summed.difference.to_list() == pytest.approx([0.0, -0.3, 0.1])
    said = ablations.reading(summed.reset_index())
    assert "plain -30.0 points;" in said
    assert "batch-8 +10.0 points, but the ranges overlap." in said
    assert said.startswith("base (c3d_bn, width 0.25) names 70.0 % of the videos right")
    alone = ablations.reading(ablations.summary(table[table["seed"] == 0]))
    assert "batch-8 +10.0 points; with one seed a variant nothing shows what is chance." in alone
