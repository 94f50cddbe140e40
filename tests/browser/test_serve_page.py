"""The page of `har serve` in a real browser: a video is chosen or dropped, and named."""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import page_checks
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
import small_network
from served import served

from harlib.data import encode
from harlib.serving import serve_predictor

NAME = "a clip of " + 12 * "long_name_" + ".mp4"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    with served(serve_predictor, small_network.load, limit=1_000_000) as (serving, _):
        yield serving
    assert not any(Path(tempfile.tempdir).iterdir())
    patch.undo()


@pytest.fixture(scope="module")
def clip(tmp_path_factory, moving_square):
    path = tmp_path_factory.mktemp("clip") / NAME
    encode(path, moving_square(frames=50), fps=25)
    return path


@pytest.fixture
def opened(browser, server):
    """Opens the page; see `page_checks.opener`."""
    with contextlib.ExitStack() as stack:

        def opened(width=1280, dark=False, **options):
            context = stack.enter_context(
                browser.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme="dark" if dark else "light",
                    **options,
                )
            )
            page = context.new_page()
            page.asked, page.said = [], []
            page.on("request", lambda request: page.asked.append(request.url))
            page.on("console", lambda message: page.said.append(message.text))
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.goto(server.address)
            return page

        yield opened


def answered(page):
    page.wait_for_selector("#answer h2", timeout=30_000)
    return page.inner_text("#answer h2 >> nth=0"), page.inner_text(".answer")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_a_chosen_video_is_named(opened, clip, server, width, dark):
    page = opened(width, dark)
    page_checks.axe_finds_nothing(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    # the system's own dialog is no part of the page
    page.evaluate("document.getElementById('file').click = () => { window.asked = true; }")
    page.keyboard.press("Enter")
    page.wait_for_function("window.asked")
    page.set_input_files("#file", clip)
    own = small_network.load()(clip)
    name, sentence = answered(page)
    assert name == NAME and sentence.startswith(own.label)
    assert page.locator(".times polyline").count() == 3
    assert "<b>odd</b> name" in page.inner_text(".bars")
    assert page.evaluate("document.activeElement.id") == "answer"  # read out, and Tab goes on there
    page.wait_for_function("document.querySelector('#answer video').readyState > 0")
    page.locator("button[data-s]").last.click()
    start = float(page.locator("button[data-s]").last.get_attribute("data-s"))
    assert page.evaluate("document.querySelector('#answer video').currentTime") >= start - 0.05
    for kind, first in (("json", "{"), ("csv", "video,level,")):
        with page.expect_download() as saved:
            page.click(f"#{kind}")
        assert saved.value.suggested_filename == NAME.replace("mp4", kind)
        text = Path(saved.value.path()).read_text()
        assert text.startswith(first)
        assert kind != "json" or json.loads(text)["label"] == own.label
    page_checks.fits(page)
    page_checks.axe_finds_nothing(page)
    assert not page.said
    assert all(url.removeprefix("blob:").startswith(("data:", server.address.partition("?")[0]))
               for url in page.asked)  # fmt: skip


def test_what_is_dropped_and_cannot_be_named_is_said(opened, clip):
    page = opened()

    def drop(*contents):
        files = "[" + ",".join(f"new File([{c}], 'dropped.mp4')" for c in contents) + "]"
        page.evaluate(
            f"""() => {{
              const held = new DataTransfer();
              for (const file of {files}) held.items.add(file);
              for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(
                new DragEvent(kind, {{ dataTransfer: held, bubbles: true, cancelable: true }}));
            }}"""
        )
        page.wait_for_selector("#status.failed")
        return page.inner_text("#status")

    assert drop("'no video'").startswith("the video cannot be read: not a video that can be opened")
    assert drop("new Uint8Array(2e6)") == "dropped.mp4 has 2.0 MB, and at most 1.0 MB are taken."
    assert drop("''") == "dropped.mp4 is empty, or a folder: give a video's file."
    assert drop("'a'", "'b'") == "One video at a time: drop a single file."
    assert page.locator("#answer h2").count() == 0
    page.set_input_files("#file", clip)
    assert answered(page)[0] == NAME
    assert page.inner_text("#status") == ""


def test_without_a_camera_it_is_said(opened):
    page = opened()
    page.click("#record")
    page.wait_for_selector("#status.failed")
    assert page.inner_text("#status").startswith("The camera is not there or may not be used (")
