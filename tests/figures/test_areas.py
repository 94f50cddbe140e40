"""The areas of figures that stand for videos: where they lie, and what they lead to."""

import io

import numpy as np
import pytest
from hand_made import RUNS, six
from PIL import Image

from harlib import figures
from harlib.evaluation import calibration, metrics
from harlib.study.wording import addresses

pytestmark = pytest.mark.quick
MATRIX = np.array([[3, 1, 0], [0, 2, 2], [0, 0, 4]])
NAMES = ["bow", "clap & wave", "wave"]


def drawn(ax):
    """(the picture, what is said of it)."""
    picture = Image.open(io.BytesIO(figures.png(ax))).convert("RGB")
    return picture, figures.about(ax)


def test_a_cell_is_where_its_colour_is_and_leads_to_its_videos():
    picture, about = drawn(figures.confusion(MATRIX, NAMES, run="03_c3d (c3d, 16 × 48 × 48)"))
    areas = {area["words"]: area for area in about["areas"]}
    assert list(areas) == [
        "clap & wave called wave: 2 videos", "bow called clap & wave: 1 video",
        "wave, called so: 4 videos", "bow, called so: 3 videos",
        "clap & wave, called so: 2 videos",
        "the videos of bow", "the videos of clap & wave", "the videos of wave",
    ]  # fmt: skip
    for words, area in areas.items():
        left, top, width, height = area["box"]
        assert 0 <= left < left + width <= picture.width
        assert 0 <= top < top + height <= picture.height
        red, _, blue = picture.getpixel((left + 3, top + 3))
        if ", called so" in words:
            assert blue > red
        elif "called" in words:
            assert red > blue
    found = areas["clap & wave called wave: 2 videos"]["filters"]
    assert addresses.videos(**found) == "videos.html#run=03_c3d&true=clap%20%26%20wave&called=wave"
    assert about["more"] == 0


def test_a_row_reaches_from_its_name_to_the_end_of_its_axes():
    table = metrics.per_category(six())
    picture, about = drawn(figures.per_category(table))
    first, second, *_ = about["areas"]
    assert first["box"][0] < 40 and first["box"][2] > 0.9 * picture.width
    assert abs(first["box"][1] + first["box"][3] - second["box"][1]) <= 2
    assert first["filters"] == {"true": table.sort_values("accuracy")["category"].iloc[-1]}


def test_the_right_and_the_wrong_videos_of_a_run_are_the_bar_and_what_it_lacks():
    _, about = drawn(figures.accuracy_bars(RUNS))
    wrong, right, *_ = about["areas"]
    assert (wrong["filters"]["right"], right["filters"]["right"]) == ("no", "yes")
    share = right["box"][2] / (wrong["box"][2] + right["box"][2])
    assert share == pytest.approx(RUNS["video_top1"].iloc[0], abs=0.01)


@pytest.mark.parametrize("classes", [45, 600])
def test_of_many_categories_as_many_as_can_be_hit_are_kept_and_the_others_counted(classes):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 2, (classes, classes))
    _, about = drawn(figures.confusion(matrix, [f"action {n}" for n in range(classes)]))
    kept = about["areas"]
    assert len(kept) == (400 if classes == 45 else 40)
    assert all((area["box"] is None) == (classes == 600) for area in kept)
    names = classes * (classes <= 60)
    assert len(kept) + about["more"] == int((matrix > 0).sum()) + names


def test_a_figure_without_areas_says_nothing_of_them():
    _, about = drawn(figures.reliability({"a": calibration.reliability(six())}, error={"a": 0.1}))
    assert set(about) == {"alt"}
