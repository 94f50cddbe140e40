"""`har features`: the same numbers in every format, resumed, and nothing overwritten unasked."""

import importlib.util
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from harlib import HarlibError, cli, models
from harlib.data import ClipSpec, ClipStore
from harlib.study.steps import video_features


@pytest.fixture
def small(monkeypatch):
    """A tiny network stands for the published ones."""
    keras.utils.set_random_seed(0)
    model = models.build("r3d_18", 3, frames=4, size=32, width=0.125)
    source = video_features.Source("tiny", model, ClipSpec(frames=4, size=32), None, 10.0, 40)
    monkeypatch.setattr(video_features, "network", lambda name: source)
    return model


@pytest.fixture
def videos(write_videos, tmp_path):
    """Six videos in folders of any depth, one that is broken, and a text beside them."""
    listed = write_videos(3, ["run", "sit down"])
    for number, path in enumerate(listed.frame["path"]):
        folder = tmp_path / "videos" / ("deep/er" if number % 2 else "")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"v{number}.mp4").write_bytes(Path(path).read_bytes())
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "videos" / "notes.txt").write_text("mine")
    return tmp_path / "videos"


def write(videos, out, **options):
    said = []
    options = {"clips": 2, "batch": 3, "say": said.append} | options
    return video_features.write("tiny", videos, out, **options), "\n".join(said)


def read(path):
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return {name: file[name].asstr()[()] if file[name].dtype == object else file[name][()]
                    for name in file}  # fmt: skip
    table = pd.read_parquet(path)
    return {"features": np.stack(table.pop("features"))} | {n: table[n].to_numpy() for n in table}


def test_every_format_holds_the_same(small, videos, tmp_path):
    # parquet where its extra is installed
    others = [".h5", *([".parquet"] if importlib.util.find_spec("pyarrow") else [])]
    first, said = write(videos, tmp_path / "f.npz")
    assert "12 vectors of 64 numbers, one a clip, of 6 videos, by tiny" in first
    assert "notes.txt" in said and "unreadable 1" in said and "group" not in said
    found = {suffix: read(tmp_path / f"f{suffix}") for suffix in (".npz",)}
    for suffix in others:
        write(videos, tmp_path / f"f{suffix}")
        found[suffix] = read(tmp_path / f"f{suffix}")
    names = ["features", "video_id", "category", "split", "group", "view", "start_s"]
    for suffix in others:
        for name in names:
            np.testing.assert_array_equal(found[suffix][name], found[".npz"][name], suffix)
    ids = found[".npz"]["video_id"]
    assert set(ids) == {"v0.mp4", "v2.mp4", "v4.mp4", "deep/er/v1.mp4", "deep/er/v3.mp4",
                        "deep/er/v5.mp4"}  # fmt: skip
    assert found[".npz"]["view"].tolist() == [0, 1] * 6
    assert (found[".npz"]["start_s"][1::2] > 0).all() and not found[".npz"]["start_s"][::2].any()
    assert not list(tmp_path.glob("*.part"))  # neither parts nor the store made on the way


def test_of_a_video_the_mean_of_its_clips(small, videos, tmp_path):
    write(videos, tmp_path / "clips.npz")
    said, _ = write(videos, tmp_path / "videos.npz", per="video")
    assert "6 vectors of 64 numbers, one a video, of 6 videos" in said
    clips, whole = read(tmp_path / "clips.npz"), read(tmp_path / "videos.npz")
    np.testing.assert_allclose(
        whole["features"], clips["features"].reshape(6, 2, -1).mean(1), rtol=1e-5
    )
    assert whole["video_id"].tolist() == clips["video_id"][::2].tolist()


def test_one_file_a_named_layer_and_all_windows(small, videos, tmp_path):
    write(videos / "v0.mp4", tmp_path / "one.npz", layer="stage1_block1_relu1", clips="windows")
    found = read(tmp_path / "one.npz")
    assert set(found["video_id"]) == {"v0.mp4"} and found["features"].shape[1] == 8
    assert len(found["view"]) >= 2
    with pytest.raises(HarlibError, match="no layer 'stage9'"):
        write(videos / "v0.mp4", tmp_path / "two.npz", layer="stage9")


def test_it_resumes_to_the_same_file(small, videos, tmp_path, monkeypatch):
    write(videos, tmp_path / "whole.npz")
    calls = []
    computed = video_features.evaluation.features.computed

    def stopped(model, batches):
        for answer in computed(model, batches):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            yield answer

    monkeypatch.setattr(video_features.evaluation.features, "computed", stopped)
    with pytest.raises(KeyboardInterrupt):
        write(videos, tmp_path / "again.npz")
    assert (tmp_path / "again.npz.part" / "store" / "store.json").is_file()
    assert not (tmp_path / "again.npz").exists()
    write(videos, tmp_path / "again.npz")
    assert len(calls) == 3 + 2  # of four batches two had been kept
    one, other = read(tmp_path / "whole.npz"), read(tmp_path / "again.npz")
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_store_is_read_as_it_is(small, tiny_store, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tiny_store.root.rglob("*")}
    write(tiny_store.root, tmp_path / "f.npz")
    found = read(tmp_path / "f.npz")
    videos = ClipStore(tiny_store.root).videos
    assert set(zip(found["video_id"], found["split"], strict=True)) == set(
        zip(videos["video_id"], videos["split"], strict=True)
    )
    assert before == {path: path.stat().st_mtime_ns for path in tiny_store.root.rglob("*")}


def test_published_weights_see_any_store_at_their_own_rate(monkeypatch):
    monkeypatch.setattr(models, "build", lambda *_, **__: "a network")
    monkeypatch.setattr(models, "load_weights", lambda *_: None)
    x3d = video_features.network("x3d_xs/kinetics400")
    assert (x3d.clip.fps, x3d.fps, x3d.size) == (2.5, 2.5, 182)
    image = video_features.network("efficientnet_lite0/imagenet")
    assert (image.clip.frames, image.clip.fps, image.fps) == (1, None, None)


def test_what_is_there_stays_and_what_is_wrong_is_said(small, videos, tmp_path):
    (tmp_path / "f.npz").write_text("mine")
    with pytest.raises(HarlibError, match="f.npz is there already"):
        write(videos, tmp_path / "f.npz")
    assert (tmp_path / "f.npz").read_text() == "mine"
    write(videos, tmp_path / "f.npz", overwrite=True)
    assert read(tmp_path / "f.npz")["features"].size
    with pytest.raises(HarlibError, match="f.csv names no format: end it in .npz, .h5, .parquet"):
        write(videos, tmp_path / "f.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(HarlibError, match="holds no videos"):
        write(tmp_path / "empty", tmp_path / "g.npz")


def test_without_pyarrow_parquet_names_the_package(small, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HarlibError, match="parquet files need pyarrow: pip install"):
        write(videos, tmp_path / "f.parquet")
    assert not list(tmp_path.glob("f.*"))  # before any work


def test_the_command_says_what_it_does_not_know(tmp_path, videos):
    def run(*arguments):
        return CliRunner().invoke(cli.main, ["features", *map(str, arguments)])

    out = tmp_path / "f.npz"
    assert "x3d_zz" in run("x3d_zz/kinetics400", videos, "--out", out).output
    said = run("x3d_xs/kinetics400", videos, "--out", out, "--clips", "few").output
    assert "'few' is neither a number above 0 nor windows" in said
    assert "does not exist" in run("x3d_xs/kinetics400", tmp_path / "none", "--out", out).output
