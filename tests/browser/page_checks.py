"""What every page must be: alone, silent, narrow and wide, for all readers, by keyboard, whole."""

import contextlib
import hashlib
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
    .filter(e => !e.closest('details.code, .listed, .contents')).map(e => e.textContent)"""


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
    """Tab comes to every fold that is shown, and Enter opens or closes it. How many there are."""
    folds = page.locator("summary:visible").count()
    stops = page.locator("a, button, summary, input, select, textarea, [tabindex='0']").count()
    reached = set()
    for _ in range(stops + 2):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "[...document.querySelectorAll('summary')].filter(e => e.checkVisibility())"
            ".indexOf(document.activeElement)"
        )
        if place >= 0 and place not in reached:
            reached.add(place)
            was = page.evaluate("document.activeElement.parentElement.open")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open") != was
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


def prints_full_pages(page, paper):
    """No figure is torn by the edge of a page, and no page is left half empty.

    Returns the fill of each page but the last: how far down it something is printed.
    """
    sheets = pypdf.PdfReader(io.BytesIO(page.pdf(format=paper))).pages
    shown, fills = [], []
    for sheet in sheets:
        bottoms, names = [], []

        def text(said, matrix, place, *_, bottoms=bottoms):
            if said.strip():
                bottoms.append(_times(place, matrix)[5])

        def drawn(operator, operands, matrix, _, sheet=sheet, bottoms=bottoms, names=names):
            kind = sheet["/Resources"].get("/XObject", {}).get(operands[0]) if operands else None
            if operator == b"Do" and kind and kind.get_object()["/Subtype"] == "/Image":
                bottom, top = sorted((matrix[5], matrix[5] + matrix[3]))
                assert bottom >= 0 and top <= float(sheet.mediabox.top), "a figure leaves its page"
                bottoms.append(bottom)
                names.append(hashlib.sha256(kind.get_object().get_data()).digest())

        sheet.extract_text(visitor_text=text, visitor_operand_before=drawn)
        shown += set(names)
        fills.append(1 - min(bottoms) / float(sheet.mediabox.top))
    assert len(shown) == len(set(shown)), "a figure goes over two pages"
    assert all(fill >= 0.5 for fill in fills[:-1]), fills
    return fills[:-1]


def _letters(text):
    """What survives line breaks, ligatures and fonts: Latin letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", unicodedata.normalize("NFKC", text))


def _times(one, other):
    """The product of two matrices of PDF: [a b c d e f] stands for [[a b 0] [c d 0] [e f 1]]."""
    a, b, c, d, e, f = one
    g, h, i, j, k, m = other
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j,
            e * g + f * i + k, e * h + f * j + m)  # fmt: skip
