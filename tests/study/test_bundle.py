"""The zip file of a study: whole, the same twice, its links resolve, and it tells no place."""

import base64
import getpass
import gzip
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from click.testing import CliRunner

import harlib
from harlib import HarlibError, evaluation, inference, models
from harlib.cli import main
from harlib.data import ClipSpec, ClipStore, Protocol, prepare
from harlib.data.loading import clip_input
from harlib.evaluation import metrics
from harlib.run_folder import RunFolder
from harlib.study.report import bundle, index, private
from harlib.study.runs import scored_videos
from harlib.study.widgets import previews

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study
import videos_study


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
    assert there == names | {Path("README.txt"), Path("LICENSE.txt")}
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
    own = shutil.copytree(reports.parent.parent, tmp_path / "own") / "reports" / reports.name
    for name in ("study.zip", "03_c3d.gone.html", "notes.txt", "videos/0123456789ab.mp4"):
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_bytes(b"of an earlier day")
    inside = packed(own, own / "study.zip", overwrite=True)
    assert inside.read_bytes() == one  # nothing leads to any of these


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


@pytest.mark.quick
def test_of_the_copies_of_videos_come_along_those_that_the_page_plays(tmp_path):
    runs = videos_study.write(tmp_path, videos=6)
    copies = tmp_path / "reports" / "mine" / "videos"
    copies.mkdir(parents=True)
    name = previews.Clips(scored_videos.load(runs)).name(0)
    for file in (f"{name}.mp4", "0123456789ab.mp4"):
        (copies / file).write_bytes(b"moving")
    reports = index.write_index(runs).parent
    with zipfile.ZipFile(packed(reports, tmp_path / "s.zip")) as file:
        found = [one for one in file.namelist() if one.startswith("videos/")]
    assert found == [f"videos/{name}.mp4"]
    (copies / f"{name}.mp4").unlink()
    with pytest.raises(HarlibError, match="leads to videos/.*which is not there"):
        packed(reports, tmp_path / "t.zip")


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
    page = (reports / "index.html").read_text()
    (reports / "index.html").write_text(f'{page}<a href="{name}">notes</a>')
    try:
        with pytest.raises(HarlibError) as refused:
            packed(reports, tmp_path / "study.zip")
    finally:
        (reports / name).unlink()
        (reports / "index.html").write_text(page)
    assert name in str(refused.value) and "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("in /elsewhere/mira/x", "/elsewhere/mira"),
        ("D:\\Clips\\mira\\x", "D:\\Clips\\mira"),
        ("~mira/x and mira@host", "~mira/"),
        ("by mira@host: $", "mira@h"),
        ("by mira, </mira> a/mira/b /mira (x)/mira", ""),
        ("data_root: ../../home/mira/clips", "../../home/mira"),
        ("file:///disk/mira/x", "file:///disk/mira"),
        ("s3://bucket/mira/x", "s3://bucket/mira"),
        ("…/mira/videos", "…/mira"),
        ("\\\\server\\mira\\x", "\\\\server\\mira"),
        ("http://host/mira and https://host/x/mira/y", ""),
        ("…/home/clips/a.mp4 and ~/home/x", ""),
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
@pytest.mark.parametrize("name", ["max", "li", "data", "video", "run", "do", "c3d", "runs", "a"])
def test_an_account_may_have_the_name_of_anything_in_the_pages(
    reports, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(getpass, "getuser", lambda: name)
    assert zipfile.is_zipfile(packed(reports, tmp_path / "study.zip"))


@pytest.mark.quick
def test_of_packed_data_its_text_alone_is_read():
    text = b'{"id": ["/home/someone/x"]}'
    whole = len(text).to_bytes(4, "little") + text + b" /home/other/y"
    found = private.finder(Path("/x"))
    assert found(base64.b64encode(gzip.compress(whole)).decode()) == "/home/someone/x"
    whole = whole.replace(b"/home/someone/x", b"______________x")
    assert found(base64.b64encode(gzip.compress(whole)).decode()) == ""


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
    one = har(f"{reports.name}/03_c3d", "--previews", "600kB")
    assert one.exit_code == 1 and "--previews is of a whole study" in one.output
    assert "is no size" in har(reports.name, "--previews", "few").output
    done = har(reports.name, "--bundle", there, "--overwrite")
    assert done.exit_code == 0 and zipfile.is_zipfile(there), done.output


@pytest.fixture(scope="module")
def trained(write_videos, tmp_path_factory):
    """(a project's folder, a video's file) with one run of a network that took two small steps."""
    root, catalog = tmp_path_factory.mktemp("project"), write_videos()
    store_dir, run = root / "data" / "mine" / "store", root / "runs" / "mine" / "03_c3d"
    prepare(catalog, store_dir, size=32, codec="jpeg", fps=None, workers=1, progress=False)
    store, spec = ClipStore(store_dir), ClipSpec(frames=4, size=24)
    model = models.build("c3d", 2, frames=4, size=24, width=0.0625, dense=8)
    model.compile("adam", "sparse_categorical_crossentropy")
    clips = np.stack([store.read(row, range(4))[:, 4:28, 4:28] for row in range(len(store))])
    model.fit(clips, store.videos["label"].to_numpy(), epochs=2, verbose=0)
    run.mkdir(parents=True)
    model.save(run / "model.keras")
    scores = evaluation.score(model, store, spec, Protocol("val", clips=2), run_dir=run,
                              progress=False)  # fmt: skip
    how = {"frames": 4, "stride": 1, "size": 24, "split": "val", "clips": 2, "crops": 1,
           "crop_scale": 1.0, "stored": clip_input.stored(store_dir)}  # fmt: skip
    metrics.write(run, scores, how, {"name": "c3d", "parameters": 1, "gmacs": 1.0}, 1.0)
    hand_made_study._finish(run, [], minutes=1.0)
    params = (run / "params.yaml").read_text()
    (run / "params.yaml").write_text(params.replace("frames: 16", "frames: 4"))
    state = RunFolder(run).read_state() | {"store_hash": store.hash}
    RunFolder(run).write_state(**state)
    return root, catalog.frame["path"][0]


def test_card_and_bundle_end_in_a_label(trained, tmp_path):
    root, video = trained
    environment = {key: value for key, value in os.environ.items() if key != "HARLIB_ROOT"}
    run = {"cwd": root, "env": environment, "capture_output": True, "text": True}
    file = tmp_path / "mine.zip"
    har = [sys.executable, "-m", "harlib.cli", "report", "mine", "--bundle", file]
    done = subprocess.run(har, **run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with the network of 03_c3d" in done.stdout
    zipfile.ZipFile(file).extractall(tmp_path / "out")
    assert dead_links(tmp_path / "out")[0] == []
    again = bundle.write(root / "runs" / "mine", root / "reports" / "mine", tmp_path / "again.zip")
    assert again.read_bytes() == file.read_bytes()

    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 10
    done = subprocess.run([sys.executable, "-c", code, video], **run | {"cwd": tmp_path / "out"})
    assert done.returncode == 0, done.stderr
    label = done.stdout.splitlines()[-1]
    assert label in ("run", "sit down", inference.NONE_OF_THESE)
    assert inference.load(tmp_path / "out" / "model" / "model.keras")(video).label == label

    texts = {name: (tmp_path / "out" / name).read_text() for name in ("index.html", "README.txt")}
    own = (root / "reports" / "mine" / "index.html").read_text()
    for text in (card, html.unescape(texts["index.html"])):
        assert 'load_model("model/model.keras")' in text and "not in the zip file" in text
        assert 'network = "model/model.keras"' in text
    assert 'network = "runs/mine/03_c3d"' in html.unescape(own)
    assert len(own.splitlines()) == len(texts["index.html"].splitlines())
    said = " ".join(texts["README.txt"].split())
    assert f"harlib {harlib.__version__} is installed from its source" in said
    assert "confidence in README.json was measured on" in said and "one clip of the video" in said
    about = json.loads((tmp_path / "out" / "model" / "README.json").read_text())
    assert "av" in about["files"]["example_keras.py"]["needs"]
    licence = (Path(harlib.__file__).parents[1] / "LICENSE").read_text()
    assert (tmp_path / "out" / "LICENSE.txt").read_text() == licence
