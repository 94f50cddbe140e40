"""The reports in a real browser: offline, silent, narrow and wide, by keyboard, on paper."""

import re
from urllib.parse import unquote

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
    page = opened(name)
    page_checks.prints_whole(page)
    for paper in ("A4", "Letter"):
        page_checks.prints_full_pages(page, paper)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_contents_lead_to_every_heading(opened, width):
    page = opened("03_c3d", width=width)
    contents = page.get_by_role("navigation", name="Contents")
    if width == 390:
        assert not contents.get_by_role("link").count()
        contents.locator("summary").click()
    else:
        page.evaluate("window.scrollTo(0, 1500)")
        assert contents.bounding_box()["x"] + 100 < page.locator("h2 >> nth=0").bounding_box()["x"]
        assert page.locator(".beside").bounding_box()["y"] >= 0  # it stays where one has scrolled
    links = contents.get_by_role("link")
    assert links.all_inner_texts() == ["How good is it?", "By category", "How good is it?"]
    for number, place in enumerate(("How-good-is-it?", "By-category", "How-good-is-it?-2")):
        links.nth(number).click()
        assert page.evaluate("decodeURIComponent(location.hash.slice(1))") == place
        heading = page.locator("h2, h3").nth(number)
        assert heading.get_attribute("id") == place
        assert heading.evaluate("e => e === document.querySelector(':target')")
        own = heading.get_by_role("link")
        own.focus()
        assert own.get_attribute("aria-label").startswith("Link to: ") and own.is_visible()


def test_pages_lead_to_each_other(opened, reports):
    page = opened("02_frame_cnn")
    head = page.get_by_role("navigation", name="Other pages of the study")
    assert head.get_by_role("link").all_inner_texts() == [
        "← 01_data_prep", "All runs", "The videos", "03_c3d →"]  # fmt: skip
    named = page.locator("p.reading", has_text="this is one").get_by_role("link")
    assert named.all_inner_texts() == ["03_c3d", "03_c3d.modern"]
    named.nth(1).click()
    page.wait_for_url("**/03_c3d.modern.html")
    foot = page.get_by_role("navigation", name="Previous and next page")
    assert foot.locator("[rel=next]").count() == 0
    foot.locator("[rel=prev]").click()
    page.wait_for_url("**/03_c3d.html")


def test_a_cell_a_row_and_a_table_lead_to_their_videos(opened):
    page = opened("02_frame_cnn", width=1280)
    figures = page.locator(".figure")
    cell = figures.nth(0).locator("svg a").nth(0)
    figures.nth(0).scroll_into_view_if_needed()
    box = cell.locator("rect").bounding_box()
    said = cell.locator("title").text_content()
    wanted = cell.get_attribute("href")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/videos.html#*")
    address = dict(pair.split("=", 1) for pair in page.url.partition("#")[2].split("&"))
    assert unquote(page.url).endswith(unquote(wanted)) and address.keys() >= {
        "run",
        "true",
        "called",
    }
    assert unquote(address["true"]) in hand_made_study.HOSTILE
    count = int(said.rpartition(": ")[2].split()[0])
    assert count and f"{count} of 60 videos" in page.inner_text("main")
    page.go_back()
    fold = page.locator(".listed").nth(0)
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == said
    page.keyboard.press("Enter")
    page.wait_for_url("**/videos.html#*")
    assert unquote(page.url).endswith(unquote(wanted))
    page.go_back()
    row = figures.nth(1).locator("svg a").nth(0)
    assert set(re.findall(r"(\w+)=", row.get_attribute("href"))) == {"run", "true"}
    links = page.locator("td a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert sum("called=" in link for link in links) > 3
    assert all(link.startswith("videos.html#run=02_frame_cnn&true=") for link in links)


def test_on_a_phone_a_figure_fits_until_it_is_wanted_large(opened):
    page = opened("02_frame_cnn", width=390)
    figure = page.locator(".figure").nth(1)
    picture = figure.locator("img")
    assert picture.bounding_box()["width"] <= 350
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    page.mouse.click(box["x"] + 150, box["y"] + box["height"] / 2)  # no link is hit
    assert page.url.endswith("02_frame_cnn.html")
    natural = picture.evaluate("image => image.naturalWidth")
    assert picture.bounding_box()["width"] == natural > 600
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    figure.get_by_role("checkbox", name="Full size").focus()
    page.keyboard.press("Space")
    assert picture.bounding_box()["width"] <= 350


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
