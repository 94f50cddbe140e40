"""All five notebooks end to end through `har study`, and what it leaves behind."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml
from tiny_study import FILES, har, write_study

from harlib.data.demo import dataset
from harlib.study.report import downloads
from harlib.study.runs.study_files import notebook_path

RUNS = [name for name in FILES if name != "common"]
MODELS = ["02_frame_cnn", "03_c3d", "04_resnext101"]
NETWORKS = {
    "02_frame_cnn": "frame_cnn small, width 0.25, RGB frames, 1 × 32 × 32",
    "03_c3d": "c3d, width 0.125, RGB frames, 8 × 32 × 32",
    "04_resnext101": "resnext3d_26, width 0.125, RGB frames, 8 × 32 × 32",
}


def test_all_runs_complete_and_the_last_line_is_the_index(tiny_study):
    root, done = tiny_study
    assert done.returncode == 0, done.stdout + done.stderr
    for name in RUNS:
        assert f"{name}: complete" in done.stdout
    assert re.search(r"03_c3d: epoch 1/1, loss \d", done.stdout)
    for stage in ("01_data_prep: drawing videos ", "02_frame_cnn: training on stills, epoch 1/1",
                  "03_c3d: checks before training ", "04_resnext101: checks before training ",
                  "05_evaluation: where the best 3D network looked "):  # fmt: skip
        assert stage in done.stdout, done.stdout
    # a stage of less than half a second may come and go unseen, but not in every run
    assert re.search(r"0\d_\w+: scoring val \d/2", done.stdout), done.stdout
    assert done.stdout.splitlines()[-1] == "Report: reports/tiny/index.html"
    assert done.stderr == ""


def test_the_first_line_says_how_long_it_will_take(tiny_study):
    line = tiny_study[1].stdout.splitlines()[0]
    number = "(under 1|\\d+)"
    each = ", ".join(f"{name} {number}" for name in RUNS)
    assert re.fullmatch(
        rf"About \d+ minutes? on this machine \(.+, measured for \d+ s\): {each}", line
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_run_leaves_its_files(tiny_study, name):
    run = tiny_study[0] / "runs" / "tiny" / name
    for file in ("params.yaml", "environment.json", "history.csv", "checkpoints", "model.keras",
                 "scores.npz", "views.npz", "metrics.json", f"{name}.ipynb"):  # fmt: skip
        assert (run / file).exists(), file
    params = yaml.safe_load((run / "params.yaml").read_text())
    assert (params["seed"], params["epochs"], params["crop"]) == (1, 1, "hara")
    metrics = json.loads((run / "metrics.json").read_text())
    scores = np.load(run / "scores.npz")
    right = scores["video_scores"].argmax(1) == scores["label"]
    assert metrics["video"]["top1"] == pytest.approx(right.mean())
    assert metrics["video"]["n"] == 6
    assert np.load(run / "views.npz")["view_scores"].shape == (6, 2, 3)


def test_a_second_call_keeps_what_is_complete(tiny_study):
    root, _ = tiny_study
    again = har(root, "study", "tiny")
    assert again.returncode == 0, again.stdout + again.stderr
    for name in RUNS:
        assert f"{name}: kept" in again.stdout
    assert "this machine" not in again.stdout  # nothing to run, nothing to foretell


def test_stills_come_first_in_the_frame_cnn(tiny_study):
    run = tiny_study[0] / "runs" / "tiny" / "02_frame_cnn"
    assert (run / "stills" / "history.csv").exists()
    page = (tiny_study[0] / "reports" / "tiny" / "02_frame_cnn.html").read_text()
    assert f"stills of {len(dataset.STILLS)} actions" in page


class Page(HTMLParser):
    """What a page would load, its pictures without alt text, and its text."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.images, self.links, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "img":
            self.images.append(given.get("alt"))
        if tag == "a":
            self.links.append(given.get("href", ""))
        else:
            self.loads += [given[key] for key in ("src", "href", "data") if given.get(key)]

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("name", [*RUNS, "index"])
def test_a_report_is_one_file_that_needs_no_network(tiny_study, name):
    text = (tiny_study[0] / "reports" / "tiny" / f"{name}.html").read_text()
    page = Page(text)
    assert all(load.startswith("data:") for load in page.loads)
    assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", text)
    assert "require.js" not in text and "mathjax" not in text.lower()
    pages = {f"{run}.html" for run in [*RUNS, "index"]} | {"videos.html", "MODEL_CARD.md", ""}
    mine = MODELS if name == "index" else {name} & set(MODELS)
    known = pages | {f"{run}/{file}" for run in mine for file in downloads.NAMES}
    folder = tiny_study[0] / "reports" / "tiny"
    assert all((folder / link).exists() for link in known)
    if name != "index":  # what a notebook cites is a link, and loads nothing
        known |= set(re.findall(r"\]\((https?://[^)]+)\)", notebook_path(name).read_text()))
    assert {link.partition("#")[0] for link in page.links} <= known
    assert all(alt and len(alt) > 20 for alt in page.images)
    assert "No description has been provided" not in text
    if name != "index":
        assert len(page.images) >= 3
        assert '<details class="code">' in text
    assert len(text) < 8_000_000


def test_the_index_names_every_run_with_its_numbers(tiny_study):
    root, _ = tiny_study
    text = (root / "reports" / "tiny" / "index.html").read_text()
    assert "top‑5" not in text
    for name in RUNS:
        assert f'href="{name}.html"' in text
    for name, network in NETWORKS.items():
        row = next(part for part in text.split("<tr")[1:] if f'href="{name}.html"' in part)
        assert network in row
        for page in ("05_evaluation", name):
            assert network in (root / "reports" / "tiny" / f"{page}.html").read_text()
    for name in MODELS:
        metrics = json.loads((root / "runs" / "tiny" / name / "metrics.json").read_text())
        row = next(part for part in text.split("<tr")[1:] if f'href="{name}.html"' in part)
        for level in ("video", "clip"):
            assert metrics[level]["top5"] is None  # three categories
            for key in ("top1", "mean_class"):
                assert f"{100 * metrics[level][key]:.1f} %" in row
        assert f"{metrics['model']['parameters']:,}" in row
        assert f"{metrics['minutes']:.1f}" in row


def test_the_same_files_give_the_same_bytes(tiny_study):
    from harlib.study.report import run_page

    root, _ = tiny_study
    for name in RUNS:
        page = root / "reports" / "tiny" / f"{name}.html"
        before = page.read_bytes()
        run_page.write_report(root / "runs" / "tiny" / name)
        assert page.read_bytes() == before


def test_a_saved_run_can_be_scored_again(tiny_study):
    root, _ = tiny_study
    run = root / "runs" / "tiny" / "03_c3d"
    before = np.load(run / "scores.npz")["video_scores"]
    done = har(root, "evaluate", "runs/tiny/03_c3d", "--checkpoint", "last")
    assert done.returncode == 0, done.stderr
    assert "names the action in" in done.stdout
    np.testing.assert_allclose(np.load(run / "scores.npz")["video_scores"], before, atol=1e-5)


def test_a_run_is_scored_exported_and_reported_by_its_name_wherever_it_lies(tiny_study, tmp_path):
    root, _ = tiny_study
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    aside = tmp_path / "runs" / "tiny" / "before" / "03_c3d"
    (tmp_path / "runs" / "tiny" / "03_c3d").rename(tmp_path / "03_c3d")
    aside.parent.mkdir()
    shutil.move(tmp_path / "03_c3d", aside)
    kept = tmp_path / "runs" / "tiny" / "02_frame_cnn"
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    done = har(tmp_path, "evaluate", "tiny/before/03_c3d", "--clips", "1")
    assert done.returncode == 0, done.stderr
    assert "runs/tiny/before/03_c3d/scores-clips_1" in done.stdout
    done = har(tmp_path, "report", "runs/tiny/before/03_c3d")
    assert done.returncode == 0, done.stderr
    assert (aside / "03_c3d.html").is_file()
    done = har(tmp_path, "export", "02_frame_cnn")
    assert done.returncode == 0, done.stderr
    assert (kept / "export" / "model.keras").is_file()
    assert {path: path.read_bytes() for path in before} == before
    for name in ("tiny", "runs/tiny"):
        done = har(tmp_path, "report", name)
        assert done.returncode == 0 and done.stdout.endswith("reports/tiny/index.html\n")


def test_a_run_copied_to_another_machine_and_study_is_scored_exported_and_reported(
    tiny_study, tmp_path
):
    root, _ = tiny_study
    run = tmp_path / "runs" / "other" / "03_c3d"
    shutil.copytree(root / "runs" / "tiny" / "03_c3d", run)
    done = har(tmp_path, "evaluate", "other/03_c3d")
    assert done.returncode == 1 and "make it again with notebook 01" in done.stderr
    shutil.copytree(root / "data" / "tiny" / "store", tmp_path / "data" / "other" / "store")
    before = np.load(run / "scores.npz")["video_scores"]
    done = har(tmp_path, "evaluate", "other/03_c3d")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(run / "scores.npz")["video_scores"], before, atol=1e-5)
    done = har(tmp_path, "export", "other/03_c3d")
    assert done.returncode == 0, done.stderr
    assert (run / "export" / "model.keras").is_file()
    done = har(tmp_path, "report", "other")
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "03_c3d.html"):
        assert (tmp_path / "reports" / "other" / page).is_file()
    assert "other" in (tmp_path / "reports" / "other" / "index.html").read_text()
    assert not (tmp_path / "runs" / "tiny").exists() and not (tmp_path / "data" / "tiny").exists()


def test_a_failed_run_keeps_its_notebook_and_the_exit_code_says_so(tiny_study, tmp_path):
    root, _ = tiny_study
    shutil.copytree(root / "data" / "tiny", tmp_path / "data" / "tiny")
    for still in (tmp_path / "data" / "tiny" / "source" / "stills").rglob("*.jpg"):
        still.write_bytes(b"no picture")
    write_study(tmp_path, "tiny", {name: FILES[name] for name in ("common", *MODELS[:2])})
    done = har(tmp_path, "study", "tiny", "--no-forecast")
    assert done.returncode == 1
    assert "02_frame_cnn: FAILED: " in done.stdout
    assert "03_c3d: complete" in done.stdout  # the others go on
    failed = tmp_path / "runs" / "tiny" / "02_frame_cnn"
    assert json.loads((failed / "run.json").read_text())["status"] == "failed"
    assert "could be decoded" in (failed / "02_frame_cnn.ipynb").read_text()
    assert "This run failed" in (tmp_path / "reports" / "tiny" / "02_frame_cnn.html").read_text()
    assert "failed: " in (tmp_path / "reports" / "tiny" / "index.html").read_text()
