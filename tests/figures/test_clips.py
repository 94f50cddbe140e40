"""Moving pictures: small, in a fold, with their titles as text."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from harlib.figures import clips as strips

pytestmark = pytest.mark.quick


def clips(count=2, frames=6, side=40):
    return list(
        np.random.default_rng(0).integers(0, 256, (count, frames, side, side, 3), dtype=np.uint8)
    )


def test_an_animation_holds_all_frames_at_their_speed():
    picture = Image.open(io.BytesIO(strips.animation(clips()[0], fps=8, height=64)))
    assert (picture.format, picture.size, picture.n_frames) == ("WEBP", (64, 64), 6)
    picture.load()
    assert picture.info["duration"] == 125
    assert picture.info["loop"] == 0


def test_titles_are_text_and_the_fold_is_closed():
    page = strips.strip(clips(), ["<script>x</script>", 'a "b"'], fps=[8, 4], name="wrong <ones>")
    assert "<script>" not in page and "<ones>" not in page
    assert page.count("<img") == 2
    assert re.findall(r'alt="([^"]*)"', page)[1] == "Moving picture: a &quot;b&quot;"
    assert page.startswith("<details><summary>")


def test_the_same_clips_give_the_same_bytes_within_the_limit():
    large = strips.strip(clips(), "ab", fps=8, name="n")
    small = strips.strip(clips(), "ab", fps=8, name="n", limit=len(large) // 2)
    assert len(small) < len(large)
    assert large == strips.strip(clips(), "ab", fps=8, name="n")
    with pytest.raises(ValueError, match="more than 1,000"):
        strips.strip(clips(), "ab", fps=8, name="n", limit=1000)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="one title a clip"):
        strips.strip(clips(), ["one"], fps=8, name="n")
    with pytest.raises(ValueError, match="float64"):
        strips.animation(np.zeros((2, 4, 4, 3)), fps=8)
