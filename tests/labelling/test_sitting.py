"""`har label` before its page: what it refuses, and who may ask."""

import threading
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
import sittings

from harlib import HarlibError
from harlib.labelling import looking, pages, sitting

pytestmark = pytest.mark.quick


@pytest.fixture
def videos(tmp_path):
    (tmp_path / "videos").mkdir()
    for number in range(3):
        (tmp_path / "videos" / f"{number}.mp4").write_bytes(b"nobody looks into it here")
    return tmp_path / "videos"


def test_several_labels_per_video_are_refused_in_a_line(tmp_path, videos, monkeypatch):
    table = tmp_path / "labels.csv"
    network = types.SimpleNamespace(name="two/03_c3d", thresholds=np.array([0.5, 0.4]))
    monkeypatch.setattr(looking, "eye", lambda source: looking.Eye(network, ("a", "b"), "f0"))
    ask = {"table": table, "say": lambda line: None}
    with pytest.raises(HarlibError, match="^two/03_c3d: several labels per video"):
        sitting.label("two/03_c3d", str(videos), **ask)
    with pytest.raises(HarlibError, match="^--category: several labels"):
        sitting.label("two/03_c3d", str(videos), categories=["a|b"], **ask)
    table.write_text("path,label\nvideos/0.mp4,a|b\n")
    with pytest.raises(HarlibError, match="labels.csv: several labels per video"):
        sitting.label("mine/03_c3d", str(videos), **ask)
    with pytest.raises(HarlibError, match="token"):
        sitting.label("mine/03_c3d", str(videos), token="short", **ask)


def test_a_label_that_is_several_is_refused(tmp_path, videos):
    session = sittings.session(tmp_path, sorted(map(str, videos.iterdir())))
    with pytest.raises(HarlibError, match="'jump.walk' is several labels"):
        session.label(session.state()["video"]["number"], "jump|walk")
    assert not session.labels.path.exists()


def test_who_does_not_know_the_token_sees_and_writes_nothing(tmp_path, videos):
    session = sittings.session(tmp_path, sorted(map(str, videos.iterdir())))
    there, found = threading.Event(), []

    def ready(serving):
        found.append(serving)
        there.set()

    thread = threading.Thread(target=pages.serve, args=(session,), kwargs={
        "port": 0, "token": "known-to-me", "ready": ready, "say": lambda line: None})  # fmt: skip
    thread.start()
    assert there.wait(30)
    try:
        own = f"http://127.0.0.1:{found[0].port}/api/state"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(own, timeout=30)
        request = urllib.request.Request(own, headers={"Authorization": "Bearer known-to-me"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert b'"left": 3' in answer.read()
    finally:
        found[0].stop()
        thread.join(30)
