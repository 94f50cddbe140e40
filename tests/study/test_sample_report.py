"""Pages written from a study's runs: their pictures, their place, and the sample of them."""

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from harlib import figures, shipped
from harlib.cli import main
from harlib.figures.style import new_axes
from harlib.study.report import run_page

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study

SAMPLE = shipped.FOLDER / "reports" / "sample"
BUDGET = 3_000_000  # bytes of the sample in all


class Links(HTMLParser):
    """What a page links to, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key == "href" and tag == "a":
                self.links.append(value)
            elif key in ("href", "src"):
                self.loads.append(value)


def check_pages(folder, budget):
    """Pages that load nothing, link to each other and to papers alone, and keep to the budget."""
    pages = sorted(folder.glob("*.html"))
    assert (folder / "index.html") in pages and len(pages) > 1
    for page in pages:
        text = page.read_text()
        found = Links(text)
        assert all(load.startswith("data:") for load in found.loads), page.name
        for link in found.links:
            if re.match(r"https?://[\w.-]+/\S", link):  # a paper or a data set
                continue
            file = unquote(link.partition("#")[0]) or page.name
            assert (folder / file).is_file(), f"{page.name}: {link}"
        assert not re.search(r"(?<![\w/])/(home|root|tmp|work|Users)/\w", text), page.name
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= budget


@pytest.mark.quick
def test_the_sample_is_small_and_its_links_resolve():
    check_pages(SAMPLE, BUDGET)


@pytest.mark.quick
def test_the_readme_shows_pictures_of_the_sample():
    readme, script = ((shipped.FOLDER / name).read_text()
                      for name in ("README.md", "docs/screenshots.py"))  # fmt: skip
    pictures = re.findall(r"docs/(report[\w-]*\.jpg)", readme)
    assert pictures == re.findall(r'"(report[\w-]*\.jpg)"', script) and len(pictures) == 2
    for picture in pictures:
        width, height = Image.open(shipped.FOLDER / "docs" / picture).size
        assert width == 1100 and 500 < height < 2500


def test_har_report_writes_the_pages_into_any_folder(tmp_path, monkeypatch):
    written = hand_made_study.write(tmp_path)
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    out = tmp_path / "docs" / "sample"
    done = CliRunner().invoke(main, ["report", "kinetics400-15", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(out / "index.html")
    made, before = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (out, written)
    )
    assert made == before
    check_pages(out, BUDGET)


def test_a_run_without_a_notebook_is_named_and_not_linked(tmp_path, monkeypatch):
    hand_made_study.write(tmp_path)
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    for name in ("02_frame_cnn", "03_c3d.modern"):  # the last is the best: the card is its own
        (tmp_path / "runs" / "kinetics400-15" / name / f"{name}.ipynb").unlink()
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["report", "kinetics400-15", "--out", str(out)])
    assert done.exit_code == 0, done.output
    check_pages(out, BUDGET)
    assert "03_c3d.modern" in (out / "index.html").read_text()


@pytest.mark.quick
def test_a_study_without_runs_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    done = CliRunner().invoke(main, ["report", "demo"])
    assert done.exit_code == 1 and "no run 'demo'; there are none yet" in done.output


@pytest.mark.quick
def test_photographs_become_webp_and_line_art_stays():
    rng = np.random.default_rng(0)
    blocks = np.repeat(rng.integers(0, 250, (4, 12, 8, 8, 1)), 3, axis=-1)  # clips of 12 frames
    smooth = np.kron(blocks, np.ones((1, 1, 8, 8, 1))).astype(np.uint8)
    smooth = smooth + rng.integers(0, 4, smooth.shape).astype(np.uint8)  # a little sensor noise
    line = new_axes(20, 12)
    line.plot(rng.random(9000))
    sheet = figures.contact_sheet(list(smooth), ["a", "b", "c", "d"])
    pictures = [figures.png(sheet), figures.png(line)]
    outputs = [
        nbformat.v4.new_output(
            "display_data", {"image/png": base64.b64encode(picture).decode()},
            metadata={"image/png": {"alt": "a picture of something"}},
        )
        for picture in pictures
    ]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)])
    run_page._compress_photographs(notebook)
    photograph, drawing = notebook.cells[0].outputs
    assert photograph.metadata["image/png"]["kind"] == "image/webp"
    small = base64.b64decode(photograph.data["image/png"])
    assert len(small) < len(pictures[0]) / 3
    before, after = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
                     for data in (pictures[0], small))  # fmt: skip
    assert np.abs(before - after).mean() < 3  # of 255
    assert base64.b64decode(drawing.data["image/png"]) == pictures[1]
    assert len(drawing.data["image/png"]) > run_page._LARGE  # it was not too small to matter
