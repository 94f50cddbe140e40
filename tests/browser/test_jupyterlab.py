"""Notebooks 00 and 03 in a real JupyterLab: what a person sees, plays, marks, interrupts."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from harlib import shipped
from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.corrections import corrected
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.evaluation import Scores, metrics

CATEGORIES = ["bow", "clap", "wave"]
TRAINING = """
width: 0.125
dense: 8
frames: 8
size: 24
batch: 4
epochs: 5000
preflight: "off"
"""


@pytest.fixture(scope="module")
def project(write_videos, tmp_path_factory):
    """A project with a study of 12 videos and two scored runs, and notebooks 00 and 03."""
    root = tmp_path_factory.mktemp("project")
    catalog = write_videos(4, CATEGORIES)
    place = root / "data" / "demo" / "store"
    prepare(catalog, place, size=32, workers=1, progress=False)
    for number, run in enumerate(("02_frame_cnn", "03_c3d")):
        rng = np.random.default_rng(number)
        label = np.repeat(np.arange(3), 4)
        video = [f"{CATEGORIES[kind]}_{place % 4:02d}" for place, kind in enumerate(label)]
        share = rng.dirichlet(np.ones(3), size=(12, 2))
        scores = Scores(video, label, CATEGORIES, share.mean(axis=1), share)
        scores.save(root / "runs" / "demo" / run)
        state = json.dumps({"store_hash": ClipStore(place).hash, "status": "complete"})
        (root / "runs" / "demo" / run / "run.json").write_text(state)
        protocol = {"split": "val", "clips": 2, "crops": 1, "frames": 8, "stride": 1, "size": 32}
        network = {"name": "c3d", "parameters": 1000, "gmacs": 0.1, "width": 1.0}
        metrics.write(root / "runs" / "demo" / run, scores, protocol, network, 1.0)
    data = root / "runs" / "demo" / "01_data_prep"
    data.mkdir()
    (data / "params.yaml").write_text(yaml.safe_dump({"store": ""}))
    catalog.to_csv(root / "list.csv")
    only = new_notebook(
        cells=[new_code_cell("from harlib.study.widgets import videos\nvideos.browser('demo')")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(only, root / "videos.ipynb")
    for name in ("00_explore", "03_c3d"):
        text = (shipped.FOLDER / "notebooks" / f"{name}.ipynb").read_text()
        # The scores of 03 are made by hand; its training takes a name of its own.
        text = text.replace('"run = \\"03_c3d\\"  # this', '"run = \\"03_c3d.mine\\"  # this')
        (root / f"{name}.ipynb").write_text(text)
    params = root / "params" / "demo"
    params.mkdir(parents=True)
    (params / "03_c3d.yaml").write_text(TRAINING)
    return root


@pytest.fixture(scope="module")
def lab(project):
    """The address of a JupyterLab that serves the project; it ends with the tests."""
    state = project / "jupyter"
    environment = os.environ | {
        "HARLIB_ROOT": str(project),
        "JUPYTER_CONFIG_DIR": str(state),
        "JUPYTER_DATA_DIR": str(state),
        "JUPYTER_RUNTIME_DIR": str(state),
        "JUPYTERLAB_SETTINGS_DIR": str(state),
        "JUPYTERLAB_WORKSPACES_DIR": str(state),
    }
    log = (project / "lab.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--port=0",
         "--ip=127.0.0.1", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
         f"--ServerApp.root_dir={project}"],
        cwd=project, env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        for _ in range(300):
            found = re.search(r"http://127\.0\.0\.1:\d+/", (project / "lab.log").read_text())
            if found or server.poll() is not None:
                break
            time.sleep(0.2)
        assert found, (project / "lab.log").read_text()
        yield found[0]
    finally:
        server.terminate()  # its kernels end with it
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


@contextlib.contextmanager
def opened(browser, project, width, height):
    """An empty page; what it showed when a test failed is pictured and printed."""
    page = browser.new_page(viewport={"width": width, "height": height})
    try:
        yield page
    except Exception:
        page.screenshot(path=project / "lab.png")
        print(page.inner_text("body"))  # a log has no pictures
        raise
    finally:
        page.close()


def run_all(page, address):
    """Opens a notebook and chooses Run All, as a person does."""
    page.set_default_timeout(180_000)  # TensorFlow on a busy machine
    page.goto(address)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.get_by_text("| Idle").first.wait_for()  # before, a slow machine may lose the command
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    choose(page, "Run", "runmenu:run-all")


def choose(page, menu, command):
    """Chooses an entry of the menu bar."""
    page.locator(f".lm-MenuBar-item:has-text('{menu}')").first.click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()


def test_a_training_says_how_far_it_is_and_an_interrupt_is_a_line(browser, lab, project):
    with opened(browser, project, 1600, 4500) as page:
        run_all(page, f"{lab}lab/tree/03_c3d.ipynb")
        line = page.locator(".jp-OutputArea p:has(progress)")
        line.wait_for()
        assert re.match(r"epoch \d+/5000, loss ", line.inner_text().strip())
        said = line.inner_text()
        page.wait_for_function(
            "said => document.querySelector('.jp-OutputArea p:has(progress)').innerText != said",
            arg=said,
        )
        page.screenshot(path=project / "training.png")
        choose(page, "Kernel", "kernelmenu:interrupt")
        stopped = page.locator(".jp-OutputArea:has-text('run this cell again to resume')").last
        stopped.wait_for()
        page.screenshot(path=project / "interrupted.png")
        error = page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
        assert error.count() == 1
        assert re.fullmatch(
            r".*stopped .*: run this cell again to resume", error.inner_text().strip()
        )
        line.wait_for(state="detached")  # it goes within a moment of the cell's end


def test_the_controls_show_and_a_click_changes_the_picture(browser, lab, project):
    with opened(browser, project, 1600, 3000) as page:
        # a workspace of its own: beside another open notebook JupyterLab asks which kernel to take
        run_all(page, f"{lab}lab/workspaces/exploring/tree/00_explore.ipynb")
        pictures = page.locator(".jp-OutputArea img.widget-image")
        pictures.nth(3).wait_for()
        assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0

        browsing = pictures.first
        box = browsing.bounding_box()
        assert (round(box["height"]), round(box["width"])) == (224, 294)  # of 32 x 42 pixels
        before = browsing.get_attribute("src")
        page.locator(".widget-dropdown:has-text('category') select").select_option("wave")
        page.locator(".widget-label:has-text('wave_00')").first.wait_for()
        assert browsing.get_attribute("src") != before

        before = pictures.last.get_attribute("src")
        cells = page.locator(".jp-OutputArea button.widget-button:enabled")
        heading = page.locator(".widget-html-content:has-text('called')").last
        said = heading.inner_text()
        for number in range(cells.count()):
            cells.nth(number).click()
            page.wait_for_timeout(300)
            if heading.inner_text() != said:
                break
        assert heading.inner_text() != said
        page.wait_for_function(
            "before => [...document.querySelectorAll('.jp-OutputArea img.widget-image')]"
            ".at(-1).src != before", arg=before,
        )  # fmt: skip


def test_a_wrong_label_is_marked_by_keys_and_the_table_is_read(browser, lab, project):
    table = project / "params" / "demo" / "corrections.csv"
    with opened(browser, project, 1600, 1200) as page:
        run_all(page, f"{lab}lab/workspaces/marking/tree/videos.ipynb")
        box = page.locator(".har-videos")
        names, said = box.locator("tbody button.name"), box.locator("p[role=status]").last
        names.first.wait_for()
        assert said.inner_text() == "0 marks in params/demo/corrections.csv."
        box.get_by_label("Find in name").fill("bow_03")
        page.wait_for_function("document.querySelectorAll('.har-videos tbody tr').length == 1")
        names.first.click()
        clip = box.locator("video")
        clip.wait_for()
        page.wait_for_function("document.querySelector('.har-videos video').currentTime > 0.05")
        assert clip.get_attribute("src").startswith("blob:")

        box.get_by_label("Find in name").fill("_03")
        page.wait_for_function("document.querySelectorAll('.har-videos tbody tr').length == 3")
        box.get_by_label("Order").select_option("id")
        names.first.click()
        heading = box.locator(".panel h2")
        assert heading.inner_text() == "bow_03"
        for key, shown in (("n", "clap_03"), ("n", "wave_03"), ("n", "wave_03"),
                           ("p", "clap_03"), ("ArrowDown", "wave_03")):  # fmt: skip
            page.keyboard.press(key)
            assert heading.inner_text() == shown
        page.keyboard.press("m")
        page.keyboard.type("cl")
        page.keyboard.press("Enter")
        box.get_by_text("wave_03: clap, not wave. 1 mark in params").wait_for()
        assert box.locator("tbody small.doubt:has-text('marked: clap')").count() == 1
        assert table.read_text() == "video,label,correction,note\nwave_03,wave,clap,\n"
        page.screenshot(path=project / "marked.png")
        page.keyboard.press("p")
        assert heading.inner_text() == "clap_03"
        page.keyboard.press("m")
        page.keyboard.type("(")
        page.keyboard.press("Enter")
        box.get_by_text("clap_03: left out, not clap. 2 marks").wait_for()
        page.keyboard.press("u")
        box.get_by_text("clap_03: the last mark is taken back. 1 mark").wait_for()
        assert (
            page.locator(".jp-Notebook .jp-Cell").count() == 1
        )  # no key of JupyterLab's was meant
    right = corrected(Catalog.from_csv(project / "list.csv"), table).frame
    assert dict(zip(right["video_id"], right["category"], strict=True))["wave_03"] == "clap"
