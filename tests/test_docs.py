"""The documentation site: built strictly, without dead links, alone in a browser, of every door."""

import functools
import http.server
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from harlib.data import encode

sys.path.insert(0, str(Path(__file__).parent / "browser"))
import page_checks

ROOT = Path(__file__).parents[1]
DOORS = ("data", "models", "training", "evaluation", "figures", "inference", "serving", "labelling")
# `python -m mkdocs build` lets nothing through that is only a warning elsewhere: see mkdocs.yml.
BUILD = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir"]
NOWHERE = "http://127.0.0.1:9"  # what would be fetched while building is not


class Page(HTMLParser):
    """The links, loads and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ("id", "name"):
                self.anchors.add(value)
            elif key in ("href", "src"):
                self._take(tag, dict(attributes), value)

    def _take(self, tag, attributes, value):
        kept = self.links if tag == "a" or attributes.get("rel") in ("prev", "next") else self.loads
        kept.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    missing = [n for n in ("mkdocs", "material", "mkdocstrings") if not importlib.util.find_spec(n)]
    if missing:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop(f"{missing[0]} is not installed; run: .venv/bin/pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("docs") / "site"
    environment = os.environ | {"http_proxy": NOWHERE, "https_proxy": NOWHERE}
    done = subprocess.run([*BUILD, folder], cwd=ROOT, env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def test_no_link_is_dead_and_nothing_comes_from_the_web(site, pages):
    dead = []
    for name, page in pages.items():
        if name == "404.html":  # its links are those of a server's root
            continue
        for link in page.links + page.loads:
            parts = urlsplit(urljoin(name, link))
            if parts.scheme == "data" or (parts.scheme and link in page.links):
                continue
            path, anchor = unquote(parts.path) or name, unquote(parts.fragment)
            there = not parts.scheme and (site / path).is_file()
            filters = path.endswith("/videos.html") and "=" in anchor  # read by its script
            if not there or (
                anchor and path in pages and not filters and anchor not in pages[path].anchors
            ):
                dead.append(f"{name}: {link}")
    assert not dead
    assert len(pages) > 20 and sum(len(page.links) for page in pages.values()) > 500


def test_the_pages_of_the_sample_are_those_of_every_run_of_the_demo(pages):
    runs = {path.stem for path in (ROOT / "params" / "demo").glob("[0-9]*.yaml")}
    sample = {Path(name).stem for name in pages if name.startswith("reports/sample/")}
    assert sample == runs | {"index", "videos"}, "run: make study && make sample-report"
    linked = pages["docs/sample-report.html"].links
    assert {f"../reports/sample/{name}.html" for name in sample} <= set(linked)


def _door(name):
    door = importlib.import_module(f"harlib.{name}")
    modules = {n for n in door.__all__ if importlib.util.find_spec(f"harlib.{name}.{n}")}
    shown = set(door.__all__) - {"commands"}  # `har COMMAND --help` tells of them
    return modules & shown, shown - modules


@pytest.mark.parametrize("name", DOORS)
def test_all_that_a_door_shows_is_on_its_page(pages, name):
    modules, names = _door(name)
    anchors = pages[f"docs/api/{name}.html"].anchors
    missing = {n for n in modules | names if f"harlib.{name}.{n}" not in anchors}
    assert not missing


@pytest.mark.parametrize("width", [400, 1600])
def test_a_page_is_alone_silent_and_fits(browser, site, pages, width):
    with page_checks.opener(browser) as opened:
        for name in sorted(pages):
            if name == "404.html" or name.startswith("reports/"):  # see test_sample_report
                continue
            page = opened(site / name, width=width)
            away = [url for url in page.asked if not url.startswith(("file:", "data:"))]
            assert not away and not page.said, (name, away, page.said)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (name, wide)
            assert page.locator("article h1").count() == 1, name
            page.context.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index", "docs/api/figures", "docs/container"])
def test_axe_finds_nothing_of_level_aa(browser, site, name, dark):
    with page_checks.opener(browser) as opened:
        page_checks.axe_finds_nothing(opened(site / f"{name}.html", dark=dark))


def test_a_reader_comes_from_the_start_to_the_sample_and_finds_a_name(browser, site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Says nothing."""

    handler = functools.partial(Quiet, directory=str(site))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        browser.new_context(viewport={"width": 1600, "height": 900}) as context,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = context.new_page()
        page.set_default_timeout(120_000)  # the index is read on a busy machine
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.get_by_placeholder("Search").fill("training_batches")
        found = page.locator(".md-search-result__link").first
        found.wait_for()
        assert "docs/api/data.html" in found.get_attribute("href")
        page.keyboard.press("Escape")
        page.get_by_role("link", name="A sample report").first.click()
        page.get_by_role("link", name="05 Evaluation").click()
        page.wait_for_url("**/reports/sample/05_evaluation.html")
        assert page.locator("img").count() > 5
        server.shutdown()


def test_the_example_of_the_api_runs(tmp_path, moving_square, monkeypatch, capsys):
    for seed, category in enumerate(6 * ["run", "sit down"]):
        path = tmp_path / "videos" / category / f"{seed}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode(path, moving_square(seed=seed), fps=25)
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "api" / "index.md").read_text(), re.S
    )
    short = code.replace("steps_per_epoch=20, epochs=5", "steps_per_epoch=1, epochs=1")
    assert short != code
    monkeypatch.chdir(tmp_path)
    exec(compile(short, "docs/api/index.md", "exec"), {})
    assert "sit down" in capsys.readouterr().out
    assert (tmp_path / "run" / "scores.npz").is_file()
