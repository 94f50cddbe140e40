"""The reports in a real browser: offline, silent, narrow and wide, by keyboard, on paper."""

import hand_made_study
import page_checks
import pytest

from harlib.study.report import index, run_page

PAGES = ("index", "01_data_prep", *hand_made_study.RUNS)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    return hand_made_study.write(tmp_path_factory.mktemp("study"))


@pytest.fixture
def opened(browser, reports):
    """Opens a page of the hand-made study by its name."""
    with page_checks.opener(browser) as opened:
        yield lambda name, **options: opened(reports / f"{name}.html", **options)


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_silent_alone_and_fits(opened, name, width):
    page = opened(name, width=width)
    page_checks.alone_and_silent(page)
    assert page_checks.fits(page) or name == "index"


@pytest.mark.parametrize("name", PAGES)
def test_hostile_names_are_text(opened, name):
    page = opened(name)
    assert "owned" not in page.title()
    assert page.locator("img[onerror]").count() == 0
    assert page.locator("script", has_text="owned").count() == 0
    if name == "index":
        assert hand_made_study.HOSTILE[0] in page.inner_text("body")
        assert hand_made_study.HOSTILE[3] in page.inner_text("body")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index", "01_data_prep", "03_c3d"])
def test_axe_finds_nothing_of_level_aa(opened, name, dark):
    page_checks.axe_finds_nothing(opened(name, dark=dark))


def test_the_keyboard_reaches_the_folds(opened):
    assert page_checks.keyboard_reaches_the_folds(opened("03_c3d", width=400)) >= 4


def test_the_keyboard_sorts_the_table(opened):
    page = opened("index")

    def column(number):
        return page.eval_on_selector_all(
            f"#runs tbody td:nth-child({number})", "cells => cells.map(c => c.dataset.value)"
        )

    best_first = [float(value) for value in column(3)]
    assert best_first == sorted(best_first, reverse=True)
    page.locator("#runs th button").nth(2).focus()
    page.keyboard.press("Enter")
    assert [float(value) for value in column(3)] == sorted(best_first)
    assert page.get_attribute("#runs th:nth-child(3)", "aria-sort") == "ascending"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert column(1) == sorted(column(1))
    assert page.get_attribute("#runs th:nth-child(3)", "aria-sort") is None


@pytest.mark.parametrize("name", ["index", "01_data_prep", "03_c3d"])
def test_a_page_prints_whole(opened, name):
    page_checks.prints_whole(opened(name))


def test_a_widget_leaves_its_picture_or_nothing(opened):
    page = opened("01_data_prep")
    assert "VBox" not in page.content()
    assert page.locator('img[alt="One frame of each of the videos"]').count() == 1


def test_the_index_tells_quoted_from_measured_and_holds_the_card(opened, reports):
    page = opened("index")
    text = page.inner_text("main")
    assert "Quoted, not measured here" in text
    assert page.locator("#runs tbody tr").count() == len(hand_made_study.RUNS)
    assert "59.0" not in page.inner_text("#runs")
    written = (reports / "MODEL_CARD.md").read_text()
    assert "best model's card" in text
    first = page.inner_text("#runs tbody tr:first-child td:first-child")
    title = written.partition("\n")[0]
    assert title.startswith(f"# {first}") and title.endswith(" of the study kinetics400-15")
    assert "<script>" not in written


def test_the_same_files_give_the_same_bytes(reports):
    runs = reports.parents[1] / "runs" / reports.name

    def contents():
        return {path: path.read_bytes() for path in reports.rglob("*") if path.is_file()}

    before = contents()
    for folder in sorted(runs.iterdir()):
        run_page.write_report(folder)
    index.write_index(runs)
    assert contents() == before
    assert all(len(content) < 8_000_000 for content in before.values())
