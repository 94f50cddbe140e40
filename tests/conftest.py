"""Fixtures that tests of several stages share."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import parity_table
import pytest

from harlib.data.catalog.catalog import Catalog
from harlib.data.store.clip_store import ClipStore
from harlib.data.store.prepare import prepare
from harlib.data.video.files import encode

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# XLA compiles in a third of the time, and tests compute next to nothing; their numbers are compared
# with other backends' anyway.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.pop("HARLIB_ROOT", None)  # a person's own project is none of the tests'
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # of a job that a script started with &; what tests start would inherit it and hear no Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
REAL = os.environ.get("HARLIB_REAL_DATA")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("real") and not REAL:
            item.add_marker(pytest.mark.skip(reason="HARLIB_REAL_DATA is unset: no real clips"))


def pytest_terminal_summary(terminalreporter):
    """Says how many real-clip tests ran: a log must show it, passing tests print nothing.

    Where networks were compared with their originals it prints how far apart they were.
    """
    passed = [r for r in terminalreporter.getreports("passed") if r.when == "call"]
    real = sum("real" in report.keywords for report in passed)
    terminalreporter.write_line(f"real-clip tests passed: {real} (HARLIB_REAL_DATA={REAL})")
    done = passed + [r for r in terminalreporter.getreports("failed") if r.when == "call"]
    found = [value for r in done for key, value in r.user_properties if key == "parity"]
    if found:
        terminalreporter.write_line(parity_table.markdown(found))


@pytest.fixture(autouse=True)
def _no_project_of_another_test():
    """`har` in this process sets HARLIB_ROOT, which the next test's programs would inherit."""
    yield
    os.environ.pop("HARLIB_ROOT", None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real clips; for tests marked `real`."""
    return Path(REAL)


def _moving_square(frames=20, height=48, width=64, seed=0) -> np.ndarray:
    """A bright square that crosses a dim gradient: uint8 (frames, height, width, 3)."""
    rng = np.random.default_rng(seed)
    clip = np.zeros((frames, height, width, 3), np.uint8)
    clip[:] = np.linspace(20, 120, width, dtype=np.uint8)[:, None] * rng.uniform(0.3, 1, 3)
    top, side = rng.integers(0, height // 2), height // 3
    for number, frame in enumerate(clip):
        left = number * (width - side) // max(1, frames - 1)
        frame[top : top + side, left : left + side] = (
            rng.integers(150, 256, 3) if not number else (230, 200, 60)
        )
    return clip


@pytest.fixture(scope="session")
def moving_square():
    """(frames=20, height=48, width=64, seed=0) -> a clip of a square that crosses the picture."""
    return _moving_square


@pytest.fixture(scope="session")
def write_videos(tmp_path_factory):
    """Writes small mp4 files and returns their catalog: (count, categories) -> Catalog.

    Three of four videos are "train", the others "val"; 20 to 30 frames of 48 x 64 at 25 fps.
    """

    def write(count=4, categories=("run", "sit down")) -> Catalog:
        folder = tmp_path_factory.mktemp("videos")
        rows = []
        for place, category in enumerate(categories):
            for number in range(count):
                name = f"{category.replace(' ', '_')}_{number:02d}"
                path = folder / f"{name}.mp4"
                seed = 1000 * place + number
                encode(path, _moving_square(frames=20 + seed % 11, seed=seed), fps=25)
                split = "val" if number % 4 == 3 else "train"
                rows.append((name, str(path), category, split, name, np.nan, np.nan))
        columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
        return Catalog(pd.DataFrame(rows, columns=columns), "squares")

    return write


@pytest.fixture(scope="session")
def tiny_catalog(write_videos) -> Catalog:
    """8 videos: 2 categories x (3 train + 1 val)."""
    return write_videos()


@pytest.fixture(scope="session")
def tiny_store(tiny_catalog, tmp_path_factory) -> ClipStore:
    """The videos of `tiny_catalog` as a JPEG store, short side 32. Not to be changed."""
    root = tmp_path_factory.mktemp("store")
    prepare(tiny_catalog, root, size=32, workers=1, progress=False)
    return ClipStore(root)


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, headless; without it its tests are skipped and say so, on CI they fail."""
    if CHROMIUM is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("no chromium here; install it (Debian: sudo apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless"]
        )
        yield started
        started.close()
