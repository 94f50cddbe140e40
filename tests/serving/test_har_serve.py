"""What `har serve` answers, whatever is sent to it; and that nothing of it stays."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import av
import hostile
import numpy as np
import psutil
import pytest
import small_network
from click.testing import CliRunner
from served import ask, line, served

from harlib import HarlibError
from harlib.cli import main
from harlib.data import encode
from harlib.inference import writers
from harlib.serving import serve_predictor, uploads

LONGEST_S, LIMIT = 20.0, 3_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the server keeps what is sent: nothing may stay there."""
    patch = pytest.MonkeyPatch()
    root = tmp_path_factory.mktemp("temporary")
    patch.setattr(tempfile, "tempdir", str(root))
    yield root
    patch.undo()


@pytest.fixture(scope="module")
def server(folder):
    options = {"licence": "CC BY 4.0", "limit": LIMIT, "longest_s": LONGEST_S, "limit_s": 8.0}
    with served(serve_predictor, small_network.load, most=24, **options) as (serving, lines):
        assert lines[0] == "mine/small: 3 categories"
        yield serving
    assert not any(folder.iterdir())


@pytest.fixture(scope="module")
def clip(tmp_path_factory, moving_square):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode(path, moving_square(frames=50), fps=25)
    return path


@pytest.fixture
def nothing_stays(folder):
    """At the end of the test no video is left, within a moment."""
    yield
    end = time.monotonic() + 10
    while (kept := videos(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not kept


def videos(folder):
    return [path for path in folder.glob("*/*") if path.name != "lock"]


def predict(serving, content, name="clip.mp4", more=""):
    path = f"/api/predict?name={quote(name)}{more}"
    return ask(serving, "POST", path, content)[:2]


def of_one_colour(path, value, seconds=1):
    frames = (np.full((48, 64, 3), value, np.uint8) for _ in range(25 * seconds))
    encode(path, frames, fps=25)
    return path.read_bytes()


def test_the_answer_is_that_of_har_predict(server, clip, nothing_stays):
    own = small_network.load()(clip)
    status, text = predict(server, clip.read_bytes())
    found = json.loads(text)
    assert status == 200 and found["video"] == "clip.mp4"
    as_written = writers.record(own, 5) | {"video": "clip.mp4"}
    assert {key: found[key] for key in as_written} == as_written
    assert list(found["probabilities"].values()) == pytest.approx(own.probabilities.tolist())
    assert list(found["calibrated"].values()) == pytest.approx(own.calibrated.tolist())
    assert [s["label"] for s in found["segments"]] == own.segments()["label"].tolist()
    assert "gradcam" not in found
    status, text = predict(server, clip.read_bytes(), more="&gradcam=1")
    looked = json.loads(text)["gradcam"]
    assert looked["image"] is None and "exported network" in looked["error"]
    about = json.loads(ask(server, "GET", "/api/model")[1])
    assert about["run"] == "mine/small" and about["categories"] == list(small_network.CATEGORIES)
    assert about["input"]["frames"] == 8 and about["licence"] == "CC BY 4.0"


def test_the_page_is_told_how_it_goes(server, clip, nothing_stays):
    status, text = predict(server, clip.read_bytes(), "<i>x.mp4", "&progress=1")
    first, *_, last = map(json.loads, text.splitlines())
    assert status == 200 and first == {"before": 0}
    assert last["answer"]["video"] == "<i>x.mp4"
    assert "&lt;i&gt;x.mp4" in last["html"] and "<i>x.mp4" not in last["html"]
    assert "&lt;b&gt;odd&lt;/b&gt; name" in last["html"] and "<b>odd</b>" not in last["html"]
    assert last["csv"].startswith(",".join(writers.COLUMNS))
    failed = predict(server, b"no video", more="&progress=1")[1].splitlines()[-1]
    assert json.loads(failed)["error"].startswith("the video cannot be read: not a video that can")
    page = ask(server, "GET", "/")
    assert "Choose a video" in page[1] and "&lt;b&gt;odd&lt;/b&gt; name" in page[1]
    assert page[1].split('script nonce="')[1].split('"')[0] in page[2]["Content-Security-Policy"]


def test_what_is_too_much_gets_one_line(server, tmp_path, nothing_stays):
    def endless():
        for _ in range(300):  # 30 MB, of which nobody was told before
            yield b"0" * 100_000

    status, text = ask(server, "POST", "/api/predict", endless())[:2]
    assert (status, line(text)) == (413, "more came, and at most 3.0 MB are taken")
    large = {"Content-Length": str(10**9), "Expect": "100-continue"}
    assert line(ask(server, "POST", "/api/predict", None, large)[1]).startswith("1.0 GB came, and")
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert line(ask(server, "POST", "/api/predict", b"--x", form)[1]).startswith("a form came: sen")
    assert line(ask(server, "POST", "/api/predict")[1]).startswith("the body is empty: send a vide")

    for container, options, words in (
        ("mp4", {}, "it is longer than 0:20 min: its header says 4 h 00 min"),
        ("matroska", {"live": "1"}, "it is longer than 0:20 min"),  # whose header does not say
    ):
        path = tmp_path / container
        with av.open(str(path), "w", format=container, options=options) as file:
            stream = file.add_stream("mpeg4", rate=Fraction(1))
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
            stream.gop_size = 100
            stream.thread_count = 1
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 90, np.uint8))
            for number in range(4 * 3600):
                frame.pts = number
                frame.time_base = Fraction(1)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        status, text = predict(server, path.read_bytes())
        assert (status, line(text)) == (422, f"the video cannot be read: {words}")


def test_twenty_at_once_are_all_answered(server, clip, nothing_stays):
    content = clip.read_bytes()
    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(lambda n: predict(server, content, f"{n}.mp4"), range(20)))
    assert [json.loads(text)["video"] for _, text in found] == [f"{n}.mp4" for n in range(20)]


def test_a_place_in_the_queue_and_its_end(folder, clip, tmp_path):
    """More than may wait are told to come again; who goes makes room, and nothing of it stays."""
    dark = of_one_colour(tmp_path / "dark.mp4", 0)
    head = "POST /api/predict?progress=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    whole = f"{head}Content-Length: {len(dark)}\r\n\r\n".encode() + dark
    with served(serve_predictor, small_network.load, most=3, limit_s=60.0) as (serving, _):
        links = [socket.create_connection(("127.0.0.1", serving.port)) for _ in range(3)]
        for place in range(2):  # the first is looked at for a minute, the second waits
            links[place].sendall(whole)
            assert f'{{"before": {place}}}'.encode() in _received(links[place])
        links[2].sendall(whole[:-9])  # and one is still being sent
        _until(lambda: len(videos(folder)) == 3)
        status, text, headers = ask(serving, "POST", "/api/predict", clip.read_bytes())
        assert status == 503 and headers["Retry-After"] == "10"
        assert line(text) == "3 videos are being sent or wait already: try again in a moment"
        links[2].close()
        _until(lambda: len(videos(folder)) == 2)
        with socket.create_connection(("127.0.0.1", serving.port)) as watching:
            watching.sendall(whole)
            assert b'{"before": 2}' in _received(watching)
            links[1].close()
            assert b'{"before": 1}' in _received(watching)
            links[0].close()
            _until(lambda: len(videos(folder)) == 1)
    assert not any(folder.glob("har-serve-*/*.mp4"))


def _until(done):
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def _received(link):
    """What comes up to the end of a line of JSON."""
    got = b""
    link.settimeout(20)
    while not got.endswith(b"}\n\r\n"):
        got += link.recv(1)
    return got


def test_a_worker_that_crashes_or_hangs_is_replaced(server, clip, tmp_path, nothing_stays):
    (worker,) = multiprocessing.active_children()
    worker.kill()  # with nothing to do: the next video is not to blame
    worker.join(20)
    status, text = predict(server, of_one_colour(tmp_path / "dark.mp4", 0))
    said = "looking at this video took longer than 0:08 min: it was stopped"
    assert (status, line(text)) == (422, said)
    status, text = predict(server, of_one_colour(tmp_path / "white.mp4", 255))
    assert status == 422
    assert line(text).endswith("its decoder or the network crashed (SIGSEGV)")
    status, text = predict(server, clip.read_bytes())
    assert status == 200, text


def test_two_hundred_hostile_files_and_names_are_answered(server, clip, nothing_stays):
    before = _memory()
    answered = 0
    for name, content in hostile.files(clip.read_bytes(), 200):
        status, text = predict(server, content, name)
        assert status in (200, 400, 413, 422), (name[:50], text)
        if status != 200:
            line(text)
        answered += 1
    assert answered == 200 and not os.path.exists("owned")
    assert predict(server, clip.read_bytes())[0] == 200
    assert _memory() < before + 100_000_000


def _memory():
    """Bytes of this process, which serves, and of its worker."""
    own = psutil.Process()
    return sum(one.memory_info().rss for one in [own, *own.children(recursive=True)])


def test_what_killed_servers_left_goes_at_the_next_start(folder):
    with uploads.Uploads() as held:
        left = folder / "har-serve-left"
        left.mkdir()
        (left / "x.mp4").write_bytes(b"x")
        other = folder / "other"
        other.mkdir()
        for path in (left, other, held.folder):
            os.utime(path, (1, 1))
        upload = held.new("../../x.MP4")
        assert upload.path.parent == held.folder and upload.path.suffix == ".mp4"
        uploads.sweep()
        assert not left.exists() and other.is_dir() and upload.path.is_file()
        upload.write(b"abc")
        upload.finish()
        assert upload.path.read_bytes() == b"abc" and upload.size == 3
        upload.remove()
        upload.remove()
        assert held.new("a.exe").path.suffix == ""
    assert not held.folder.exists()
    other.rmdir()


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import small_network
from harlib.serving import serve_predictor
if __name__ == "__main__":
    serve_predictor(small_network.load)
"""


def test_ctrl_c_in_the_middle_of_a_video_leaves_nothing(folder, tmp_path):
    started = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(Path(small_network.__file__).parent)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)}, start_new_session=True,
    )  # fmt: skip
    assert started.stdout.readline() == "mine/small: 3 categories\n"
    port = int(started.stdout.readline().split("/")[2].split(":")[1])
    worker = [p for p in psutil.Process(started.pid).children() if "spawn_main" in str(p.cmdline())]
    dark = of_one_colour(tmp_path / "dark.mp4", 0)
    with socket.create_connection(("127.0.0.1", port)) as link:
        head = f"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(dark)}\r\n"
        link.sendall(head.encode() + b"\r\n" + dark)
        _until(lambda: len(videos(tmp_path)) == 1)
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(20) == 0
    assert started.stdout.read() == ""
    started.stdout.close()
    assert [path.name for path in tmp_path.iterdir()] == ["dark.mp4"]
    _until(lambda: not any(p.is_running() and p.status() != "zombie" for p in worker))


def test_what_cannot_be_served_is_said(folder, monkeypatch, tmp_path):
    before = list(folder.iterdir())
    with pytest.raises(HarlibError, match="runs/mine is no trained run"):
        serve_predictor(small_network.fail)
    assert list(folder.iterdir()) == before
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    for arguments, words in (
        (["mine/03_c3d"], "no run 'mine/03_c3d'"),
        (["mine/03_c3d", "--max-upload", "much"], "'much' is no size; write it as 8GB or 500MB"),
        (["mine/03_c3d", "--max-length", "long"], "'long' is no time above 0"),
        (["mine/03_c3d", "--port", "70000"], "70000 is not in the range 0<=x<=65535"),
    ):
        done = CliRunner().invoke(main, ["serve", *arguments])
        assert done.exit_code and words in done.output, done.output
