"""A live camera, without one: its frames are timed as they come, and the newest are looked at."""

import os
import signal
import threading
import time

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harlib import HarlibError, inference
from harlib.cli import main
from harlib.data import ClipSpec, Settings, encode
from harlib.evaluation import Confidence
from harlib.inference import camera, live, writers
from harlib.inference.predictor import Predictor
from harlib.inference.views import Cut

pytestmark = pytest.mark.quick


class Brightness:
    """A network that calls a clip bright by its mean, and takes its time."""

    def __init__(self, takes_s=0.0):
        self.takes_s, self.clips = takes_s, []

    def predict_on_batch(self, clips):
        time.sleep(self.takes_s)
        self.clips.append(clips)
        bright = np.asarray(clips, np.float64).mean(axis=(1, 2, 3, 4)) / 255
        return np.stack([1 - bright, bright], axis=1)


def predictor(takes_s=0.0, *, frames=4, stride=1, fps=100.0, clip_fps=None, codec="raw"):
    return Predictor(
        name="mine/03_c3d",
        model=Brightness(takes_s),
        categories=("dark", "bright"),
        settings=Settings(codec, 16, fps),
        cut=Cut(ClipSpec(frames=frames, stride=stride, size=(16, 16), fps=clip_fps)),
        confidence=Confidence(1.0, 0.6, videos=10, turned_away=0.05, accuracy=0.9),
    )


class Scripted:
    """A camera whose frame of grey i arrives at `times[i]`, by a clock of its own."""

    name, fps = "camera:0", 30.0

    def __init__(self, times):
        self.times, self.now, self.at, self.closed = list(times), 0.0, 0, False

    def clock(self):
        return self.now

    def read(self):
        if self.at == len(self.times):
            return None
        self.now = self.times[self.at]
        self.at += 1
        return np.full((16, 24, 3), (self.at - 1) % 256, np.uint8)

    def close(self):
        self.closed = True


class Flickering:
    """A camera of 200 frames per second, in real time, that turns from dark to bright."""

    name, fps = "camera:0", 200.0

    def __init__(self, seconds=60.0):
        self.began, self.seconds, self.closed = time.monotonic(), seconds, False

    def read(self):
        time.sleep(0.005)
        now = time.monotonic() - self.began
        if now > self.seconds:
            return None
        return np.full((24, 32, 3), 10 if int(now * 4) % 2 else 245, np.uint8)

    def close(self):
        self.closed = True


def greys(times, rate, hold=1000):
    """The grey of each number that a camera of these times gives."""
    source = Scripted(times)
    with camera.Latest(source, rate, hold, None, clock=source.clock) as latest:
        latest.start()
        with pytest.raises(HarlibError, match="camera:0 gives no more frames, after"):
            latest.clip(10**9, np.array([0]), 10**9)
        seen = [int(frame[0, 0, 0]) for frame in latest._held]
    assert source.closed and latest.arrived == len(times)
    return seen


@pytest.mark.parametrize(("times", "rate", "seen"), [
    (np.arange(31) / 30, 10, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]),  # every third
    (np.arange(5) / 5, 10, [0, 0, 1, 1, 2, 2, 3, 3]),  # a slow camera repeats
    ([0, 0.09, 0.12, 0.31, 0.5], 10, [0, 1, 2, 3, 3]),  # the nearest
    ([0, 0.1, 2.0, 2.1], 5, [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]),  # a pause
    ([100, 100.1, 100.2, 100.3], 10, [0, 1, 2]),  # the clock begins with the first frame
])  # fmt: skip
def test_frames_are_those_nearest_in_time(times, rate, seen):
    assert greys(times, rate) == seen


def test_memory_does_not_grow_even_after_a_pause_of_hours():
    assert greys(np.arange(5000) / 30, 30, hold=8) == [n % 256 for n in range(4991, 4999)]
    assert len(greys([0, 0.1, 36_000.0, 36_000.1], 30, hold=8)) == 8


def test_the_newest_are_taken_where_too_many_have_come():
    source = Scripted(np.arange(41) / 10)
    with camera.Latest(source, 10, 24, None, clock=source.clock) as latest:
        latest.start()
        latest._thread.join()
        offsets = np.arange(0, 8, 2)
        start, frames = latest.clip(20, offsets, late=16)  # 13 have come after it
        assert start == 20 and [f[0, 0, 0] for f in frames] == [20, 22, 24, 26]
        start, frames = latest.clip(16, offsets, late=16)  # 17 have
        assert start == 33 and [f[0, 0, 0] for f in frames] == [33, 35, 37, 39]
        assert latest.clip(40, offsets, late=16, for_s=3.0) is None


@pytest.mark.parametrize(("made", "every", "rate", "offsets", "span", "step"), [
    ({"fps": 10.0}, None, 10, [0, 1, 2, 3], 4, 10),  # clips of under half a second: one a second
    ({"fps": 5.0, "stride": 2}, None, 5, [0, 2, 4, 6], 8, 8),
    ({"fps": 10.0}, 2.0, 10, [0, 1, 2, 3], 4, 20),
    ({"fps": 10.0, "clip_fps": 4.0}, 0.5, 10, [0, 2, 5, 7], 10, 5),
    ({"fps": None, "clip_fps": 4.0}, None, 4, [0, 1, 2, 3], 4, 4),
    ({"fps": None, "stride": 8}, None, 30, [0, 8, 16, 24], 32, 32),  # as the camera gives them
    ({"fps": 10.0}, 0.001, 10, [0, 1, 2, 3], 4, 1),
])  # fmt: skip
def test_a_camera_is_looked_at_as_videos_were(made, every, rate, offsets, span, step):
    pace = live.Pace.of(predictor(**made), 30.0, every)
    assert (pace.rate, pace.offsets.tolist(), pace.span, pace.step) == (rate, offsets, span, step)


def watched(one, source, **options):
    lines = []
    live.predict(one, source, say=lines.append, **options)
    return lines


def rows(out):
    return pd.read_csv(out)


def test_windows_are_said_and_written_as_they_come(tmp_path):
    out, sizes, lines = tmp_path / "rows.csv", [], []

    def say(line):
        lines.append(line)
        sizes.append(out.stat().st_size if out.exists() else 0)

    one, source = predictor(codec="jpeg"), Flickering()
    live.predict(one, source, every=0.04, for_s=1.0, top=2, out=out, say=say)
    table = rows(out)
    assert list(table.columns) == [*writers.COLUMNS, "time"]
    windows = table[table["rank"] == 1].reset_index(drop=True)
    assert 2 <= len(windows) <= 25 and len(table) == 2 * len(windows)
    assert (windows["end_s"] - windows["start_s"]).round(3).eq(0.04).all()
    assert windows["start_s"].is_monotonic_increasing and windows["end_s"].max() < 1.1
    assert set(windows["label"]) == {"dark", "bright"} and (table["video"] == "camera:0").all()
    assert pd.to_datetime(table["time"]).is_monotonic_increasing
    said = [line for line in lines if line[:8].count(":") == 2 and "%" in line]
    assert len(said) == len(windows) and sizes[:3] == sorted(set(sizes[:3]))
    assert all(label in line for label, line in zip(windows["label"], said, strict=True))
    assert any("frames came, " in line and "per second" in line for line in lines)
    assert any("A video is none of these where" in line for line in lines)
    assert lines[-1] == f"{out}: {len(windows)} windows" and source.closed
    # the network was warmed up on a whole clip, and sees clips of one shape alone
    assert {clip.shape for clip in one.model.clips} == {(1, 4, 16, 16, 3)}


def test_what_computes_too_slowly_sees_the_newest_and_says_what_it_left_out():
    slow = predictor(takes_s=0.2)
    lines = watched(slow, Flickering(), every=0.04, for_s=1.5)
    late = [line for line in lines if "behind: " in line]
    assert len(late) >= 3
    for line in late:
        behind = float(line.partition("[")[2].split()[0])
        assert 0.2 <= behind < 0.9, line  # and does not grow
    assert any("of those due were left out because computing took too long" in n for n in lines)


def test_ctrl_c_ends_it_as_a_person_means_it(tmp_path):
    out, source = tmp_path / "rows.csv", Flickering()
    timer = threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    lines = watched(predictor(), source, every=0.05, out=out)
    timer.join()
    assert source.closed and lines[-1] == f"{out}: {(rows(out)['rank'] == 1).sum()} windows"


def test_a_camera_that_is_pulled_out_ends_it_with_what_was_said(tmp_path):
    out, source = tmp_path / "rows.csv", Flickering(seconds=0.6)
    lines = []
    with pytest.raises(HarlibError, match="camera:0 gives no more frames, after 0 s|after 1 s"):
        live.predict(predictor(), source, every=0.05, out=out, say=lines.append)
    assert source.closed and len(rows(out)) > 2 and "frames came" in lines[-1]
    with pytest.raises(HarlibError, match="opens but gives no frame"):
        watched(predictor(), Flickering(seconds=0))


def test_a_time_shorter_than_a_clip_is_refused():
    with pytest.raises(HarlibError, match="--for 0.01s is shorter than a clip .*, 0.04 s"):
        watched(predictor(), Flickering(), for_s=0.01)


@pytest.fixture
def one_camera(tmp_path, monkeypatch):
    """A machine whose first camera shows a video file, at its pace; the calls that opened it."""
    clip = np.zeros((60, 48, 64, 3), np.uint8)
    clip[..., 0] = 240  # red
    encode(tmp_path / "seen.mp4", clip, fps=60)
    real, calls = cv2.VideoCapture, []

    class Capture:
        def __init__(self, number, backend):
            calls.append((number, backend))
            self.there = number == 0
            self.file = real(str(tmp_path / "seen.mp4")) if self.there else None

        def isOpened(self):
            return self.there

        def set(self, key, value):
            return False

        def get(self, key):
            return self.file.get(key)

        def read(self):
            time.sleep(1 / 60)
            return self.file.read()

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setattr(camera, "_PATIENCE_S", 0.2)
    return calls


def test_opencvs_frames_are_rgb(one_camera):
    opened = camera.Camera("camera:0")
    frame = opened.read()
    assert opened.fps == 60 and frame.shape == (48, 64, 3)
    assert frame[..., 0].min() > 200 and frame[..., 1:].max() < 40
    assert one_camera[0][0] == 0
    with pytest.raises(HarlibError, match="camera:1: no camera answers; look whether one is plu"):
        camera.Camera("camera:1")
    with pytest.raises(HarlibError, match="'camera:front' names no camera: write camera:0"):
        camera.Camera("camera:front")


def test_a_machine_without_such_a_camera_says_so_in_one_line(capfd):
    with pytest.raises(HarlibError, match="camera:4242: no camera answers"):
        camera.Camera("camera:4242")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def har(tmp_path, monkeypatch):
    """The command about cameras, of a network that is at hand."""
    monkeypatch.setattr(inference, "load", lambda source, checkpoint: predictor(fps=30.0))

    def run(*arguments):
        return CliRunner().invoke(main, ["predict", str(tmp_path), *map(str, arguments)])

    return run


def test_the_command_watches_a_camera(har, one_camera, tmp_path):
    out = tmp_path / "rows.csv"
    done = har("camera:0", "--for", "700ms", "--every", "200ms", "--threshold", "0.1", "--top", 1,
               "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    table = rows(out)
    assert 1 <= len(table) <= 4 and set(table["label"]) == {"dark"}
    assert done.output.count("dark, ") == len(table) and "The threshold, 10.0 %" in done.output
    again = har("camera:0", "--for", "700ms", "--out", out)
    assert again.exit_code == 1 and "is there already: name another file" in again.output
    longer = har("camera:0", "--for", "1min", "--out", out, "--overwrite")
    assert longer.exit_code == 1 and "Error: camera:0 gives no more frames" in longer.output


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (("camera:0", "camera:1"), 2, "a camera is watched alone"),
    (("camera:0", "--clips", "3"), 2, "--clips is for files, not for a camera"),
    (("camera:0", "--report", "new"), 2, "--report is for files"),
    (("camera:0", "--overlay", "new.mp4"), 2, "--overlay is for files"),
    (("camera:0", "--out", "rows.json"), 1, "rows.json names no format: end it in .csv"),
    (("camera:7",), 1, "Error: camera:7: no camera answers"),
    (("camera:front",), 1, "names no camera: write camera:0"),
    (("gone.mp4", "--for", "3s"), 2, "--for is for a live camera"),
])  # fmt: skip
def test_what_a_camera_cannot_do_is_one_line(har, one_camera, arguments, code, said):
    done = har(*arguments)
    assert done.exit_code == code and said in done.output
    assert len(done.output.strip().splitlines()) <= 4
