"""Tables and texts of the pages, copied for papers: exact, by keyboard, where it is refused too."""

import csv

import hand_made_study
import page_checks
import pytest

from harlib.study.report import index

REFUSED = "Object.defineProperty(navigator, 'clipboard', {get: () => undefined})"


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    return hand_made_study.write(tmp_path_factory.mktemp("study"))


@pytest.fixture
def opened(browser, reports):
    """Opens a page whose clipboard is refused, so that what is copied can be read."""
    with page_checks.opener(browser) as opened:

        def refusing(name, **options):
            page = opened(reports / f"{name}.html", **options)
            page.evaluate(REFUSED)
            return page

        yield refusing


def copied(page, table, name):
    bar = page.locator(f"{table} + .copy, .scroll:has({table}) + .copy").first
    bar.get_by_role("button", name=name).click()
    box = bar.locator("textarea")
    box.wait_for()
    picked = "e => e.value.slice(e.selectionStart, e.selectionEnd)"
    assert box.evaluate(picked) == box.input_value() and box.evaluate(
        "e => document.activeElement === e"
    )
    return box.input_value()


def test_the_accuracies_as_markdown_and_latex(opened):
    page = opened("index")
    cells = page.eval_on_selector_all(
        "#runs tr", "rows => rows.map(r => [...r.cells].map(c => c.innerText.trim()))"
    )
    lines = copied(page, "#runs", "Markdown").splitlines()
    assert len(lines) == 2 + len(hand_made_study.RUNS)
    assert lines[1].startswith("| --- | --- | ---: |")
    best = [cell.strip() for cell in lines[2].strip("|").split(" | ")]
    assert best[0].replace("\\_", "_") == cells[1][0] and "–" in best[2]
    lines = copied(page, "#runs", "LaTeX").splitlines()
    assert lines[1] == r"\begin{table}" and lines[-1] == r"\end{table}"
    assert lines[3] == r"\caption{Accuracy of all models of the study kinetics400-15}"
    assert lines[4] == r"\label{tab:accuracy-of-all-models-of-the-study-kinetics400-15}"
    row = lines[lines.index(r"\midrule") + 1]
    name = cells[1][0].replace("_", r"\_")
    assert row.startswith(f"{name} & ") and row.endswith(r" \\")
    assert r"\,\% (" in row and "--" in row and "–" not in row and "×" not in row
    page.locator("#runs th button").first.click()  # as it is sorted now
    assert copied(page, "#runs", "LaTeX").splitlines() != lines


def test_hostile_categories_are_escaped(opened, reports):
    page = opened("03_c3d")
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    table = "table[data-copy='Each category of 03_c3d']"
    tex = copied(page, table, "LaTeX")
    assert (
        r"\textless{}script\textgreater{}document.title = 'owned'"
        r"\textless{}/script\textgreater{} & 12 & " in tex
    )
    assert r"\textbackslash{} `tick` \$x\$ \_under\_ *star* & 12 & " in tex
    accuracy = float(rows(reports)[1]["accuracy"])
    assert f"& {100 * accuracy:.1f}\\,\\% & " in tex
    marked = copied(page, table, "Markdown")
    assert r"\\ \`tick\` $x$ \_under\_ \*star\* | 12 |" in marked
    assert r"\<script\>" in marked


def rows(reports):
    with open(reports / "03_c3d" / "categories.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_how_to_cite_is_copied_by_keyboard(browser, reports):
    with page_checks.opener(browser) as opened:
        page = opened(reports / "index.html")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        bar = page.locator("#cite + pre + .copy")
        bar.get_by_role("button", name="Copy").focus()
        page.keyboard.press("Enter")
        bar.get_by_role("status").get_by_text("copied").wait_for()
        text = page.evaluate("navigator.clipboard.readText()")
        assert text.startswith("@software{harlib,") and bar.locator("textarea").count() == 0
        assert len([url for url in page.asked if url.startswith("file:")]) == 1


@pytest.mark.parametrize("name", ["index", "03_c3d"])
def test_the_text_box_is_accessible_and_fits_a_phone(opened, name):
    page = opened(name, width=390)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.locator(".copy button").first.click()
    page.locator(".copy textarea").wait_for()
    page_checks.axe_finds_nothing(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_stands_below_a_lines_name_is_not_copied(browser, tmp_path):
    runs = tmp_path / "runs" / "mine"
    for number, name in enumerate(("03_c3d.a", "03_c3d.b")):
        hand_made_study._model_run(runs / name, seed=number, skill=2.0)
        params = (runs / name / "params.yaml").read_text()
        (runs / name / "params.yaml").write_text(params.replace("seed: 0", f"seed: {number}"))
    with page_checks.opener(browser) as opened:
        page = opened(index.write_index(runs))
        page.evaluate(REFUSED)
        line = copied(page, "#runs", "Markdown").splitlines()[2]
        assert line.startswith("| 03\\_c3d, 2 seeds | "), line
        assert page.locator("#runs .seeds").inner_text().startswith("seeds from")
