"""Notebook 00 in a real JupyterLab: it opens, its controls show, a click changes the picture."""

import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from harlib.data.prepare import prepare
from harlib.evaluation.score import Scores
from harlib.study.files import CHECKOUT

CATEGORIES = ["bow", "clap", "wave"]


@pytest.fixture(scope="module")
def project(write_videos, tmp_path_factory):
    """A project with a study of 12 videos and two scored runs, and notebook 00."""
    root = tmp_path_factory.mktemp("project")
    catalog = write_videos(4, CATEGORIES)
    prepare(catalog, root / "data" / "demo" / "store", size=32, workers=1, progress=False)
    for number, run in enumerate(("02_frame_cnn", "03_c3d")):
        rng = np.random.default_rng(number)
        label = np.repeat(np.arange(3), 4)
        video = [f"{CATEGORIES[kind]}_{place % 4:02d}" for place, kind in enumerate(label)]
        share = rng.dirichlet(np.ones(3), size=(12, 2))
        scores = Scores(video, label, CATEGORIES, share.mean(axis=1), share)
        scores.save(root / "runs" / "demo" / run)
    data = root / "runs" / "demo" / "01_data_prep"
    data.mkdir()
    (data / "params.yaml").write_text(yaml.safe_dump({"store": ""}))
    shutil.copy(CHECKOUT / "notebooks" / "00_explore.ipynb", root)
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


def test_the_controls_show_and_a_click_changes_the_picture(browser, lab, project):
    page = browser.new_page(viewport={"width": 1600, "height": 3000})
    page.set_default_timeout(40_000)
    try:
        page.goto(f"{lab}lab/tree/00_explore.ipynb")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        page.locator(".lm-MenuBar-item:has-text('Run')").first.click()
        page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
        pictures = page.locator(".jp-OutputArea img.widget-image")
        pictures.nth(3).wait_for()
        assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0

        browsing = pictures.first
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
    except Exception:
        page.screenshot(path=project / "lab.png")
        raise
    finally:
        page.close()
