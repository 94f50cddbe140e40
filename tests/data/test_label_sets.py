"""Several labels per video: what a category with "|" means."""

import numpy as np
import pytest

from harlib.data import Catalog, CatalogError, label_sets
from harlib.data.store import category_file

pytestmark = pytest.mark.quick

CATEGORIES = ["clapping", "clapping|walking", "walking", "walking|waving"]


def test_single_labels_stay_as_they_are():
    assert not label_sets.several(["walk", "run"])
    assert label_sets.classes(["walk", "run"]) == ["walk", "run"]  # in the store's order
    assert label_sets.indices(["walk", "run"]) == ()


def test_classes_and_members():
    assert label_sets.classes(CATEGORIES) == ["clapping", "walking", "waving"]
    assert label_sets.indices(CATEGORIES) == ((0,), (0, 1), (1,), (1, 2))
    wanted = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1]]
    np.testing.assert_array_equal(label_sets.members(CATEGORIES), wanted)


def table(tmp_path, *labels):
    for number in range(len(labels)):
        (tmp_path / f"{number}.avi").touch()
    rows = "".join(f"{number}.avi,{label}\n" for number, label in enumerate(labels))
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    return tmp_path / "list.csv"


def test_the_order_and_spelling_of_labels_do_not_matter(tmp_path):
    listed = Catalog.from_table(
        table(tmp_path, "walking|Clapping", "clapping | walking", "walking", "walking|walking")
    )
    assert listed.categories == ["Clapping|walking", "walking"]
    assert any("2 labels in 2 combinations" in note for note in listed.notes)
    assert sum("look alike" in note for note in listed.notes) == 1
    listed.to_csv(tmp_path / "catalog.csv")
    assert Catalog.from_csv(tmp_path / "catalog.csv").categories == listed.categories


def test_nothing_beside_a_stroke_is_refused(tmp_path):
    with pytest.raises(CatalogError, match=r"has nothing on one side of a \|"):
        Catalog.from_table(table(tmp_path, "walking|", "walking|"))


def test_file_names_hold_no_stroke():
    names = category_file.slugs(CATEGORIES)
    assert names["clapping|walking"] == "clapping_walking" and len(set(names.values())) == 4


def test_categories_are_chosen_by_label(tmp_path):
    labels = ["clapping", "clapping|walking", "walking", "walking|waving", "waving"]
    listed = Catalog.from_table(table(tmp_path, *(labels * 2)))
    chosen = listed.select(categories=["walking", "clapping"])
    assert chosen.categories == ["clapping", "clapping|walking", "walking"]
    with pytest.raises(CatalogError, match="no category 'wavng'; nearest: 'waving'"):
        listed.select(categories=["wavng"])
    pairs = Catalog.from_table(table(tmp_path, *(["clapping|walking"] * 4)))
    with pytest.raises(CatalogError, match="has no videos of walking and nothing else"):
        pairs.select(categories=["walking"])
