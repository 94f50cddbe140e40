"""The controls without a browser: what a change shows, and what a report shows instead."""

import base64

import ipywidgets
import numpy as np
import pytest
import yaml

from harlib.data.prepare import prepare
from harlib.data.store import ClipStore
from harlib.evaluation.score import Scores
from harlib.study import controls, explore

pytestmark = pytest.mark.quick
CATEGORIES = ["a", "b <i>", "c"]


@pytest.fixture(scope="module")
def store(write_videos, tmp_path_factory):
    root = tmp_path_factory.mktemp("explored") / "store"
    prepare(write_videos(4, CATEGORIES), root, size=32, workers=1, progress=False)
    return ClipStore(root)


def scores(store, seed=0, skill=1.0):
    """Scores of all videos of the store."""
    videos, rng = store.videos, np.random.default_rng(seed)
    logits = rng.normal(size=(len(videos), 2, 3))
    logits[np.arange(len(videos)), :, videos["label"]] += skill
    share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return Scores(videos["video_id"], videos["label"], store.categories, share.mean(axis=1), share)


def parts(control, kind):
    """All widgets of a kind in a control, depth first."""
    found = [control] if isinstance(control, kind) else []
    for child in getattr(control, "children", ()):
        found += parts(child, kind)
    return found


def texts(control):
    return " ".join(part.value for part in parts(control, (ipywidgets.Label, ipywidgets.HTML)))


def test_browse_plays_the_chosen_video(store):
    control = explore.browse(store)
    (picture,) = parts(control, ipywidgets.Image)
    first = picture.value
    assert first[8:12] == b"WEBP"
    category = next(d for d in parts(control, ipywidgets.Dropdown) if d.description == "category")
    category.value = "c"
    assert picture.value != first
    assert "1 of 3: c_00, c" in texts(control)
    (number,) = parts(control, ipywidgets.BoundedIntText)
    number.value = 3
    assert "3 of 3: c_02" in texts(control)


def test_a_control_holds_a_picture_for_reports(store):
    data, about = explore.browse(store)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]).startswith(bytes([137]) + b"PNG")
    assert len(about["image/png"]["alt"]) > 20


def test_compare_filters_by_who_is_right(store):
    a, b = scores(store, 0, 1.0), scores(store, 1, 1.0)
    control = explore.compare(store, {"first": a, "second": b})
    kind = next(d for d in parts(control, ipywidgets.Dropdown) if d.description == "videos")
    right = [one.video_scores.argmax(1) == one.label for one in (a, b)]
    for name, wanted in (
        ("only A right", right[0] & ~right[1]),
        ("both wrong", ~right[0] & ~right[1]),
    ):
        kind.value = name
        count = int(wanted.sum())
        assert (f"1 of {count}: " if count else "no video of this kind") in texts(control)
    kind.value = "all"
    before = texts(control)
    (view,) = parts(control, ipywidgets.IntSlider)
    view.value = 2
    assert texts(control) != before
    assert all("<i>" not in part.value for part in parts(control, ipywidgets.HTML))


def test_a_click_on_a_cell_plays_its_videos(store):
    own = scores(store)
    control = explore.confusions(store, own)
    cells = parts(control, ipywidgets.Button)
    assert len(cells) == 9
    cells[0].click()
    count = int(((own.label == 0) & (own.video_scores.argmax(1) == 0)).sum())
    assert f"<b>a</b>, rightly called <b>a</b>: {count} of 4 videos" in texts(control)
    assert all("<i>" not in part.value for part in parts(control, ipywidgets.HTML))


def test_many_categories_are_a_list(store, monkeypatch):
    monkeypatch.setattr(controls, "CELLS", 2)
    control = explore.confusions(store, scores(store, skill=0.0))
    (chosen,) = parts(control, ipywidgets.Dropdown)
    chosen.index = len(chosen.options) - 1
    assert "called" in texts(control)


def test_augmentations_change_with_their_settings(store):
    control = explore.augmentations(store)
    (picture,) = parts(control, ipywidgets.Image)
    before = picture.value
    parts(control, ipywidgets.FloatSlider)[0].value = 0.6
    assert picture.value != before


def test_mistakes_are_named(store, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="two scored runs"):
        explore.compare(store, {"one": scores(store)})
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="har study tiny"):
        explore.open_study("tiny")


def test_a_study_is_opened_with_its_scores(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    runs = tmp_path / "runs" / "tiny"
    places = {"01_data_prep": "gone", "03_c3d": str(store.root), "03_c3d.fold2": "gone"}
    for name, place in places.items():
        (runs / name).mkdir(parents=True)
        (runs / name / "params.yaml").write_text(yaml.safe_dump({"store": place}))
    for name in ("03_c3d", "03_c3d.fold2"):
        scores(store).save(runs / name)
    opened, found = explore.open_study("tiny")
    assert list(found) == ["03_c3d"]
    assert len(opened.videos) == 12
