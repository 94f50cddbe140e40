"""The pages of the real notebooks 05 and 06, and their index, in a real browser."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import page_checks

# name of a page, its study, and how many figures and folds it has at least
PAGES = {
    "index": ("tiny", 0, 0),
    "05_evaluation": ("tiny", 12, 20),
    "06_performance": ("machine", 3, 12),
}


@pytest.fixture
def opened(browser, tiny_study, machine_study):
    """Opens one of PAGES by its name."""
    folders = {root.parent.name: root for (made, _) in (tiny_study, machine_study)
               for root in (made / "reports").glob("*/index.html")}  # fmt: skip
    with page_checks.opener(browser) as opened:
        yield lambda name, **options: opened(
            folders[PAGES[name][0]].with_name(f"{name}.html"), **options
        )


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_silent_fits_and_has_no_finding(opened, name, width):
    page = opened(name, width=width, dark=width == 400)
    page_checks.alone_and_silent(page)
    assert page_checks.fits(page) >= PAGES[name][1]
    page_checks.axe_finds_nothing(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_reached_by_keyboard_answers_first_and_prints_whole(opened, name):
    page = opened(name)
    assert len(page.locator("header .answer").inner_text()) > 40
    assert page_checks.keyboard_reaches_the_folds(page) >= PAGES[name][2]
    page_checks.prints_whole(page)
