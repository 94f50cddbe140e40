"""What notebooks show to explain themselves: numbers of the network, source, pictures."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from harlib import figures, models
from harlib.models import arithmetic
from harlib.study.steps import lesson
from harlib.training import recipes


@pytest.fixture(scope="module")
def network():
    return models.build("resnext3d_26", 2, frames=8, size=32, width=0.125, cardinality=4)


def test_the_box_holds_the_networks_own_numbers(network, tiny_store):
    plan = recipes.build("modern", steps_per_epoch=10, epochs=4, lr=2e-3)
    box = lesson.arithmetic(network, tiny_store, split="val", plan=plan)
    here = {name: numbers for name, _, numbers in box.rows}
    dear = max(arithmetic.convolutions(network), key=lambda one: one.macs)
    assert f"= {dear.weights:,}" in here["weights"]
    assert here["loss of guessing"] == f"ln 2 = {math.log(2):.2f}"
    assert f"step 39: {plan.lr_at(39):.2g}" in here["learning rate"]
    assert "2 val videos" in here["95 % interval"]
    assert dear.layer in repr(box) and "<table" in box._repr_html_()
    assert "learning rate" not in {
        row[0] for row in lesson.arithmetic(network, tiny_store, split="val").rows
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(optimizer="adam", lr=1e-4, levels=(1.0, 0.5), level_rule="window"), "lower level"),
        (dict(optimizer="sgd", lr=0.1, drop_epochs=(2, 3)), "0.1 after each of the epochs 2, 3"),
        (dict(optimizer="sgd", lr=0.1, decay=1e-3), "/ (1 + 0.001 · step)"),
        (dict(optimizer="adamw", lr=1e-3, cosine=True, warmup_epochs=1), "after 10 steps"),
    ],
)
@pytest.mark.quick
def test_the_rate_says_what_the_recipe_does(options, words):
    from harlib.training import Recipe

    _, formula, numbers = lesson._rate(Recipe("own", "", 10, 4, **options))
    assert words in numbers and formula.startswith("rate")


def test_source_is_the_code_that_is_installed(network):
    (shown,) = lesson.source(lesson.source)
    assert shown.startswith("Source: harlib/study/steps/lesson.py, source, ")
    assert "return Sources(" in shown
    module, function = lesson.source(models.c3d, models.build)
    assert module.startswith("Source: harlib/models/c3d.py, ") and "STAGES = (" in module
    assert function.startswith("Source: harlib/models/registry.py, build, ")
    assert "&lt;" not in function and "<script>" not in lesson.source(lesson)._repr_html_()


def test_pictures_are_shown_with_words(network, tiny_store, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "show", lambda drawn: shown.append(figures.alt(drawn)))
    lesson.show_kernels(network)
    lesson.show_bottleneck(network)
    for clips, stride, fps in ((3, 1, None), ("windows", 2, None), ("windows", 1, 12.5)):
        p = SimpleNamespace(frames=4, stride=stride, clip_fps=fps, size=24, clips=clips)
        lesson.show_views(p, tiny_store, split="val", crops=3)
    first = next(one for one in arithmetic.convolutions(network) if one.groups > 1)
    assert f"{first.weights:,} weights" in shown[1]
    assert "3 clips of 4 frames" in shown[2] and "9 views" in shown[2]
    assert shown[3] == shown[4]  # the videos have 25 frames a second
    assert all(len(text) > 50 for text in shown) and len(shown) == 5


@pytest.mark.quick
def test_a_long_video_is_drawn_in_bars():
    short, long = (figures.views(np.arange(32).reshape(2, 16), n) for n in (40, 9000))
    assert len(long.patches) < len(short.patches)
