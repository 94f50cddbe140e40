"""The zip file of a study: whole, the same twice, its links resolve, and it tells no place."""

import base64
import getpass
import gzip
import io
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from harlib import HarlibError, inference
from harlib.cli import main
from harlib.evaluation import Scores
from harlib.study.report import bundle, private

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    return hand_made_study.write(tmp_path_factory.mktemp("project"))


def packed(reports, file, **options):
    runs = reports.parents[1] / "runs" / reports.name
    return bundle.write(runs, reports, file, say=lambda _: None, **options)


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if key in ("href", "src")]


def dead_links(folder):
    """Relative links of the unpacked pages that lead nowhere, and how many resolve."""
    dead, alive = [], 0
    for page in folder.rglob("*.html"):
        for link in Links(page.read_text(encoding="utf-8")).found:
            place = unquote(re.split("[#?]", link)[0])
            if not place or re.match(r"[a-z]+:", link):
                continue
            target = (page.parent / place).resolve()
            inside = target.is_relative_to(folder.resolve()) and target.is_file()
            dead, alive = (dead, alive + 1) if inside else ([*dead, (page.name, link)], alive)
    return dead, alive


@pytest.mark.quick
def test_the_unpacked_pages_hold_together(reports, tmp_path):
    file = packed(reports, tmp_path / "study.zip")
    zipfile.ZipFile(file).extractall(tmp_path / "out")
    dead, alive = dead_links(tmp_path / "out")
    assert not dead and alive > 30
    names = {path.relative_to(reports) for path in reports.rglob("*") if path.is_file()}
    there = {p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert there == names | {Path("README.txt")}
    readme = (tmp_path / "out" / "README.txt").read_text()
    assert "index.html" in readme and "No network lies here: the network of" in readme


@pytest.mark.quick
def test_the_same_twice_and_nothing_is_overwritten(reports, tmp_path):
    one, two = (packed(reports, tmp_path / name).read_bytes() for name in ("a.zip", "b.zip"))
    assert one == two
    with pytest.raises(HarlibError, match=r"a\.zip is there already.*--overwrite"):
        packed(reports, tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes(b"older")
    assert packed(reports, tmp_path / "a.zip", overwrite=True).read_bytes() == one
    inside = packed(reports, reports / "study.zip")
    assert packed(reports, inside, overwrite=True).read_bytes() == one  # it is not part of itself
    inside.unlink()


@pytest.mark.quick
def test_what_pages_link_to_elsewhere_comes_along(tmp_path):
    reports = hand_made_study.write(tmp_path)
    other = tmp_path / "runs" / reports.name / "03_c3d" / "segments" / "va l" / "index.html"
    other.parent.mkdir(parents=True)
    other.write_text('<a href="table.csv">table</a><a href="https://arxiv.org/abs/1">paper</a>')
    (other.parent / "table.csv").write_text("a,b\n")
    link = f"../../runs/{reports.name}/03_c3d/segments/va%20l/index.html#x"
    page = reports / "03_c3d.html"
    page.write_text(page.read_text().replace("<main>", f'<main><a href="{link}">segments</a>'))
    zipfile.ZipFile(packed(reports, tmp_path / "s.zip")).extractall(tmp_path / "out")
    assert dead_links(tmp_path / "out")[0] == []
    moved = f'href="runs/{reports.name}/03_c3d/segments/va%20l/index.html#x"'
    assert moved in (tmp_path / "out" / "03_c3d.html").read_text()
    (other.parent / "table.csv").unlink()
    with pytest.raises(HarlibError, match=r"index\.html leads to table\.csv, which is not there"):
        packed(reports, tmp_path / "t.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "reports", "runs", "s.zip"]


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("config.json", content)
    return file.getvalue()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (lambda text: text.encode(), "notes.txt"),
        (lambda text: b"\xff\xfe" + text.encode(), "notes.bin"),
        (lambda text: zipped(text), "model.keras"),
        (lambda text: b"<p>" + base64.b64encode(gzip.compress(text.encode())), "videos.txt"),
    ],
    ids=["text", "binary", "zip", "packed"],
)
def test_a_place_on_this_machine_is_refused(reports, tmp_path, kind, name):
    (reports / name).write_bytes(kind(f"made in {reports.parents[1]}/runs, and so on"))
    try:
        with pytest.raises(HarlibError) as refused:
            packed(reports, tmp_path / "study.zip")
    finally:
        (reports / name).unlink()
    assert name in str(refused.value) and "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("by mira", "mira"),
        ("/home/someone/videos", "/home/someone/videos"),
        ("C:\\Users\\Someone\\x", "C:\\Users\\Someone\\x"),
        ("mira_run.mp4, mirage, x-mira, samira", ""),
        ("see https://example.org/home/someone", ""),
        ("1/2 and /usr/bin/ffmpeg", ""),
        ('src="data:image/png;base64,AA/mira/home/someone+"', ""),
    ],
)
def test_what_tells_of_a_person(text, shown, tmp_path, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "mira")
    assert private.finder(tmp_path)(text) == shown
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    assert private.finder(tmp_path)("the root of it") == ""


@pytest.mark.quick
def test_har_report_asks_before_it_works(tmp_path, monkeypatch):
    reports = hand_made_study.write(tmp_path)
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))

    def har(*arguments):
        return CliRunner().invoke(main, ["report", *map(str, arguments)])

    there = tmp_path / "there.zip"
    there.write_bytes(b"mine")
    done = har(reports.name, "--bundle", there)
    assert done.exit_code == 1 and "there already" in done.output and there.read_bytes() == b"mine"
    assert har(reports.name, "--bundle", tmp_path / "x.tar").exit_code == 1
    assert "--bundle FILE.zip" in har(reports.name, "--overwrite").output
    one = har(f"{reports.name}/03_c3d", "--bundle", tmp_path / "x.zip")
    assert one.exit_code == 1 and "--bundle is of a whole study" in one.output
    done = har(reports.name, "--bundle", there, "--overwrite")
    assert done.exit_code == 0 and zipfile.is_zipfile(there), done.output


def test_card_and_bundle_end_in_a_label(tiny_study, tmp_path):
    root, _ = tiny_study
    file = tmp_path / "tiny.zip"
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    run = {"cwd": root, "env": environment, "capture_output": True, "text": True}
    har = [sys.executable, "-m", "harlib.cli", "report", "tiny", "--bundle"]
    done = subprocess.run([*har, file], **run)
    assert done.returncode == 0, done.stdout + done.stderr
    again = subprocess.run([*har, tmp_path / "again.zip"], **run)
    assert again.returncode == 0 and (tmp_path / "again.zip").read_bytes() == file.read_bytes()
    zipfile.ZipFile(file).extractall(tmp_path / "out")
    assert dead_links(tmp_path / "out")[0] == []

    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 10
    (name,) = re.findall(r"network = ['\"]runs/tiny/(.+?)['\"]", code)
    video = sorted((root / "data" / "tiny" / "source").rglob("*.mp4"))[0]
    done = subprocess.run([sys.executable, "-c", code, video], **run)
    assert done.returncode == 0, done.stderr
    label = done.stdout.splitlines()[-1]
    known = [*Scores.load(root / "runs" / "tiny" / name).categories, inference.NONE_OF_THESE]
    assert label in known
    assert inference.load(tmp_path / "out" / "model" / "model.keras")(video).label == label
