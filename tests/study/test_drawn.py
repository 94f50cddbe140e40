"""What a run's training sees of a video, by its own settings."""

import numpy as np
import pytest
from tiny_study import write_study

from harlib import figures
from harlib.data import Augmentation, ClipSpec, ClipStore, prepare, training_batches
from harlib.study.runs import study_files
from harlib.study.steps import drawn, inputs

pytestmark = pytest.mark.quick


class Plan:
    mix = ""


class Blends(Plan):
    mix = "cutmix"


@pytest.fixture
def shown(monkeypatch):
    kept = []
    monkeypatch.setattr(figures, "show", kept.append)
    return kept


@pytest.fixture
def own(tmp_path, monkeypatch, write_videos):
    """(values -> parameters of run 03 or 02, the store)."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    catalog = write_videos(8, ["a", "<b>"])
    prepare(catalog, tmp_path / "store", size=32, workers=1, progress=False)
    folder = write_study(tmp_path, "own", {"03_c3d": "", "02_frame_cnn": ""})

    def params(name="03_c3d", **values):
        values = {"frames": 4, "size": 24, "batch": 4, **values}
        return study_files.load_run([folder / f"{name}.yaml"], values).params

    return params, ClipStore(tmp_path / "store")


def test_the_clips_are_those_of_the_runs_batches_and_the_title_has_its_settings(own, shown):
    params, store = own
    p = params(crop="random", color=0.4, grey=0.3, reverse=0.5, jitter=0.25, pixels="residual")
    said = drawn.show_clips(p, Plan, store)
    assert "the first 4 times (seed 0)" in said and "pixels: residual" in said
    (ax,) = shown
    title = ax.get_title("left").replace("\n", " ")
    assert title == (
        "crop: random to 24 × 24 pixels; 4 frames, stride 1; flip: half of the clips; color: ± 40 "
        "%; grey: 30 % of the clips; reverse: 50 % of the clips; jitter: speed × or ÷ up to 1.25"
    )
    assert title in figures.alt(ax)
    row, clips, labels = inputs.shown_clips(p, Plan, store, 1)
    changes = Augmentation(crop="random", color=0.4, grey=0.3, reverse=0.5, jitter=0.25)
    first, theirs = training_batches(store, ClipSpec(frames=4, size=24), changes, batch=4)[0]
    assert np.array_equal(first[0], clips[0]) and theirs[0] == labels[0]
    assert store.videos["video_id"][row] in said


def test_blended_labels_are_said(own, shown):
    params, store = own
    p = params(mix="cutmix", mix_share=0.5)
    drawn.show_clips(p, Blends, store)
    (ax,) = shown
    assert ax.get_title("left").replace("\n", " ").endswith("mix: cutmix in 50 % of the batches")
    titles = [label.get_text() for label in ax.get_yticklabels()]
    assert titles[0] == "as stored" and titles[1].startswith("draw 1")
    blended = inputs.shown_clips(p, Blends, store, 4)[2]
    assert ["%" in title for title in titles[1:]] == (blended.max(axis=1) < 0.995).tolist()


def test_single_frames_share_a_row_and_shuffled_labels_are_said(own, shown):
    params, store = own
    drawn.show_clips(params("02_frame_cnn", frames=1), Plan, store)
    assert [label.get_text() for label in shown[0].get_yticklabels()] == ["as stored", "8 draws"]
    names, seen = store.categories, set()
    for seed in range(6):
        p = params(shuffle_labels=True, seed=seed)
        row, _, labels = inputs.shown_clips(p, Plan, store, 4)
        drawn.show_clips(p, Plan, store)
        titles = [label.get_text() for label in shown[-1].get_yticklabels()]
        wrong = bool(labels[0] != store.videos["label"][row])
        said = f"called {names[int(labels[0])]}" if wrong else ""
        assert titles[1:] == [f"draw {number}\n{said}" for number in range(1, 5)]
        seen.add(wrong)
    assert seen == {True, False}


def test_a_shuffled_label_is_said_where_nothing_is_blended(own, shown):
    params, store = own
    said = set()
    for seed in range(6):
        p = params(mix="cutmix", mix_share=0.0001, shuffle_labels=True, seed=seed)
        row, _, labels = inputs.shown_clips(p, Blends, store, 4)
        drawn.show_clips(p, Blends, store)
        wrong = labels[0].argmax() != store.videos["label"][row]
        assert ("called" in shown[-1].get_yticklabels()[1].get_text()) == wrong
        said.add(bool(wrong))
    assert said == {True, False}


def test_a_run_without_steps_says_so(own, shown):
    params, store = own
    assert "no training steps" in drawn.show_clips(params(), None, store)
    assert not shown
