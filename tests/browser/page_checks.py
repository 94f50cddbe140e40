"""What every page must be: alone, silent, narrow and wide, for all readers, by keyboard, whole."""

import contextlib
import io
import re
import unicodedata

import pypdf
from axe_playwright_python.sync_playwright import Axe

AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_UNFOLD = "document.querySelectorAll('details').forEach(fold => fold.open = true)"
# The code is left out on paper; what else is folded on the screen must be there.
_TEXTS = """[...document.querySelectorAll(
    'h1, h2, h3, p, li, dt, dd, th, td, summary, pre, figcaption')]
    .filter(e => !e.closest('details.code')).map(e => e.textContent)"""


@contextlib.contextmanager
def opener(browser):
    """Opens pages; what one asks for and what it says to the console are kept in its lists."""
    contexts = []

    def opened(path, *, width=1600, dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def alone_and_silent(page):
    """Nothing but the page itself is asked for, nothing is said to the console."""
    away = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    assert not away, away
    assert len([url for url in page.asked if url.startswith("file:")]) == 1
    assert not page.said, page.said


def fits(page):
    """Unfolded, the page is no wider than its window; all pictures have words. How many."""
    page.evaluate(_UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    alts = page.eval_on_selector_all("img", "images => images.map(image => image.alt)")
    assert all(len(alt) > 15 for alt in alts)
    return len(alts)


def axe_finds_nothing(page):
    """No finding of level AA on the unfolded page."""
    page.evaluate(_UNFOLD)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": AA}})
    found = [
        f"{item['id']}: {node['html'][:120]}: {node['failureSummary']}"
        for item in found.response["violations"]
        for node in item["nodes"]
    ]
    assert not found, found


def keyboard_reaches_the_folds(page):
    """Tab comes to every fold, and Enter opens it. How many there are."""
    folds = page.locator("summary").count()
    reached = set()
    for _ in range(8 * folds):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "[...document.querySelectorAll('summary')].indexOf(document.activeElement)"
        )
        if place >= 0 and place not in reached:
            reached.add(place)
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open")
            page.keyboard.press("Enter")
        if len(reached) == folds:
            break
    assert reached == set(range(folds))
    return folds


def prints_whole(page):
    """Every text of the page, folded or not, and every figure is on the paper."""
    texts = page.evaluate(_TEXTS)
    # a picture that stands there twice is in the file once
    shown = page.eval_on_selector_all("img:not(details img)", "all => all.map(one => one.src)")
    figures = len(set(shown))
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))
    paper = _letters("".join(sheet.extract_text() for sheet in printed.pages))
    lost = [text for text in texts if _letters(text) not in paper]
    assert not lost, lost
    assert len(_letters("".join(texts))) > 100
    pictures = [
        kind
        for sheet in printed.pages
        for kind in sheet["/Resources"].get("/XObject", {}).values()
        if kind.get_object()["/Subtype"] == "/Image"
    ]
    assert len(pictures) >= figures


def _letters(text):
    """What survives line breaks, ligatures and fonts: Latin letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", unicodedata.normalize("NFKC", text))
