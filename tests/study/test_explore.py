"""The controls without a browser: what a change shows, and what a report shows instead."""

import base64
import io
import json

import ipywidgets
import numpy as np
import pytest
import yaml
from PIL import Image

from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.evaluation import Scores
from harlib.study.runs import study_files
from harlib.study.widgets import controls, explore

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


def trained(root, run="03_c3d", **changes):
    """A study's trained run, as far as a control asks for it."""
    folder = root / "runs" / "tiny" / run
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(study_files.defaults("03_c3d") | changes))


def test_what_a_training_sees_is_what_the_run_did_to_its_clips(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    own = {"crop": "random", "color": 0.4, "flip": False, "size": 24, "frames": 6, "stride": 2,
           "grey": 0.3, "reverse": 0.5, "jitter": 0.2}  # fmt: skip
    trained(tmp_path, **own)
    seen, cut = [], explore.augment
    monkeypatch.setattr(
        explore,
        "augment",
        lambda clip, rng, **how: seen.append((clip, how)) or cut(clip, rng, **how),
    )
    control = explore.augmentations(store, "tiny", "03_c3d")
    clip, how = seen[-1]
    assert len(clip) == 6
    assert how == {name: own[name] for name in ("size", "crop", "flip", "color", "grey", "reverse")}
    (crop,) = parts(control, ipywidgets.Dropdown)
    assert crop.value == "random"
    assert "as in 03_c3d: random crops of 24 pixels, 6 frames, stride 2, color 0.4" in texts(
        control
    )
    assert "02_frame_cnn is not there yet" in texts(
        explore.augmentations(store, "tiny", "02_frame_cnn")
    )


def test_a_picture_keeps_its_own_size(store):
    """In a box of ipywidgets it would be stretched to the page's width."""
    for control in (explore.browse(store, height=224), explore.augmentations(store)):
        (picture,) = parts(control, ipywidgets.Image)
        assert picture.layout.width == picture.layout.height == "auto"
        assert picture.layout.align_self == "flex-start"
    (picture,) = parts(explore.browse(store, height=224), ipywidgets.Image)
    with Image.open(io.BytesIO(picture.value)) as frame:
        assert frame.height == 224


def test_augmentations_change_with_their_settings(store):
    control = explore.augmentations(store)
    (picture,) = parts(control, ipywidgets.Image)
    before = picture.value
    parts(control, ipywidgets.FloatSlider)[0].value = 0.6
    assert picture.value != before


def test_mistakes_are_named(store, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="two scored runs") as caught:
        explore.compare(store, {"one": scores(store)})
    assert caught.value._render_traceback_() == [str(caught.value)]
    with pytest.raises(ValueError, match="'two' has no scores on this clip store; there are one"):
        explore.of_run({"one": scores(store)}, "two")
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="har study tiny"):
        explore.open_study("tiny")


def test_a_study_is_opened_with_its_scores(store, tmp_path, monkeypatch, capsys):
    """Runs of another store, here with the same videos' names, are left out and named."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    runs = tmp_path / "runs" / "tiny"
    places = {"01_data_prep": ("gone", "e"), "02_frame_cnn": (str(store.root), "earlier"),
              "03_c3d": (str(store.root), store.hash), "03_c3d.fold2": ("gone", "e")}  # fmt: skip
    for name, (place, made) in places.items():
        (runs / name).mkdir(parents=True)
        (runs / name / "params.yaml").write_text(yaml.safe_dump({"store": place}))
        (runs / name / "run.json").write_text(json.dumps({"store_hash": made}))
        if not name.startswith("01"):
            scores(store).save(runs / name)
    opened, found = explore.open_study("tiny")
    assert list(found) == ["03_c3d"]
    assert len(opened.videos) == 12
    earlier, gone = capsys.readouterr().out.splitlines()
    assert earlier.startswith("02_frame_cnn was scored on the clip store earlier, and ")
    assert "har study tiny trains and scores on the store that is there" in earlier
    assert gone.startswith("The clip store e that 03_c3d.fold2 was scored on is no longer there")
