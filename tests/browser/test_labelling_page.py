"""`har label` in a real browser: ten videos by keyboard, the table, axe, narrow and wide."""

import csv
import sys
import threading
from pathlib import Path

import page_checks
import pytest

from harlib.labelling import pages
from harlib.study import new_study

sys.path.insert(0, str(Path(__file__).parents[1] / "labelling"))
import sittings


@pytest.fixture
def served(tmp_path, moving_square):
    """(address, session) of a page with 18 videos, the network's categories on the keys 1 to 3."""
    paths = sittings.videos(tmp_path / "videos", moving_square)
    session = sittings.session(tmp_path, paths, probabilities=True, size=10)
    there, found = threading.Event(), []

    def ready(serving):
        found.append(serving)
        there.set()

    thread = threading.Thread(
        target=pages.serve,
        args=(session,),
        kwargs={"port": 0, "token": "known-to-me", "ready": ready, "say": lambda line: None},
    )
    thread.start()
    assert there.wait(30)
    yield found[0].address, session
    found[0].stop()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def opened(browser, served):
    """Opens the page; the first video plays."""
    contexts = []

    def open_(width=1280, dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(served[0])
        assert page.url == served[0].partition("?token=")[0]  # no one who looks on reads it
        playing(page)
        return page

    yield open_
    for context in contexts:
        context.close()


def playing(page):
    """Waits until the video that the heading names plays."""
    page.wait_for_function(
        "() => { const v = document.getElementById('video');"
        " return v.readyState >= 2 && !v.paused && v.ariaLabel ==="
        " document.getElementById('name').textContent; }"
    )


def number(page):
    return int(page.inner_text("#name").removeprefix("person").removesuffix("_take.mp4"))


def press(page, key):
    before = page.inner_text("#name")
    page.keyboard.press(key)
    page.wait_for_function("name => document.getElementById('name').textContent !== name",
                           arg=before)  # fmt: skip


def test_ten_videos_are_labelled_by_keyboard_and_new_study_reads_them(opened, served, tmp_path):
    page = opened()
    wanted = {}
    for _ in range(10):
        playing(page)
        one = number(page)
        assert page.locator("#guess li").first.inner_text() == f"{sittings.action(one)} 80 %"
        assert page.locator("[aria-pressed=true], [aria-checked=true], :checked").count() == 0
        wanted[one] = sittings.action(one)
        assert page.locator("#train").is_hidden()
        press(page, str(1 + sittings.ACTIONS.index(wanted[one])))
    with open(tmp_path / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(r["path"][13:].partition("_")[0]): r["label"] for r in rows} == wanted
    page.locator("#train").wait_for()
    assert "har new-study labels-10 --videos" in page.inner_text("#commands")
    assert page.inner_text("#counts") == "10 labelled, 10 of them now; 0 set aside now; 8 left"
    counts = dict(zip(sittings.ACTIONS, page.locator(".count").all_inner_texts(), strict=True))
    assert counts == {name: str(list(wanted.values()).count(name)) for name in sittings.ACTIONS}
    seen = new_study.look(tmp_path / "labels.csv")
    assert len(seen.catalog) == 10 and not seen.unreadable
    named = dict(zip(seen.catalog.frame["video_id"], seen.catalog.frame["category"], strict=True))
    assert named == {f"person{one}_take": name for one, name in wanted.items()}
    assert not page.said and not [url for url in page.asked if not url.startswith(
        (served[0].partition("?")[0], "data:", "blob:"))]  # fmt: skip


def test_undo_skip_and_a_new_category_by_keyboard(opened, served, tmp_path):
    page = opened()
    first = number(page)
    press(page, "1")
    press(page, "u")
    assert number(page) == first
    press(page, "s")
    assert (tmp_path / "labels-skipped.csv").read_text() == (
        f"path\nvideos/person{first}_take.mp4\n"
    )
    second = number(page)
    page.keyboard.press("n")
    page.keyboard.type("1 sits u")  # letters that are keys elsewhere
    press(page, "Enter")
    assert page.locator("#keys .name").all_inner_texts() == [*sittings.ACTIONS, "1 sits u"]
    page.keyboard.press("Control+1")  # the browser's own
    press(page, "4")
    text = (tmp_path / "labels.csv").read_text()
    assert f"person{second}_take.mp4,1 sits u\n" in text and text.count("1 sits u") == 2
    assert page.inner_text("#counts").startswith("2 labelled, 2 of them now; 1 set aside now")


def test_a_video_that_cannot_be_shown_is_said_and_skipped(opened, served, tmp_path):
    _, session = served
    later = session.state()["then"]
    Path(session.seen.videos[later]).write_bytes(b"no video any more")
    page = opened()
    press(page, "1")
    page.wait_for_function("() => document.getElementById('failed').textContent")
    assert "It cannot be shown:" in page.inner_text("#failed")
    press(page, "s")
    playing(page)
    assert page.inner_text("#failed") == ""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_and_axe_finds_nothing(opened, served, width, dark):
    served[1].label(served[1].state()["video"]["number"], "a category with a rather long name")
    page = opened(width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page_checks.axe_finds_nothing(page)
    assert page.locator("#video").get_attribute("aria-label")
    reached = set()
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 12)"))
    assert {"1jump0", "s cannot tel", "u undo"} <= reached
