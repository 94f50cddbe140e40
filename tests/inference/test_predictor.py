"""A trained network on a video's file says what it said when the run was scored."""

import dataclasses
import json
import os
import shutil
from fractions import Fraction

import av
import keras
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from harlib import HarlibError, evaluation, inference, models
from harlib.cli import main
from harlib.data import ClipSpec, ClipStore, Protocol, encode, prepare
from harlib.data.loading import clip_input
from harlib.evaluation import Scores, metrics
from harlib.inference import asking
from harlib.run_folder import RunFolder

FRAMES, SIZE = 4, 24


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    model = models.build("c3d", 2, frames=FRAMES, size=SIZE, width=0.0625, dense=8)
    kernel = model.get_layer("classifier").kernel
    kernel.assign(50 * kernel)  # far from even probabilities
    return model


@pytest.fixture(scope="module")
def finished(network, write_videos, tmp_path_factory):
    """(how it is stored, clip, protocol) -> (run's folder, catalog) of a scored run."""
    catalog = write_videos()

    def finish(store=None, clip=None, protocol=None):
        root = tmp_path_factory.mktemp("project")
        settings = {"size": 32, "codec": "jpeg", "fps": None} | (store or {})
        prepare(catalog, root / "store", workers=1, progress=False, **settings)
        spec = ClipSpec(frames=FRAMES, size=SIZE, **(clip or {}))
        how = Protocol("val", **({"clips": 3} | (protocol or {})))
        run = root / "runs" / "mine" / "03_c3d"
        run.mkdir(parents=True)
        network.save(run / "model.keras")
        opened = ClipStore(root / "store")
        scores = evaluation.score(network, opened, spec, how, run_dir=run, progress=False)
        said = {"frames": FRAMES, "stride": spec.stride, "clip_fps": spec.fps, "size": SIZE,
                "split": "val", "clips": how.clips, "crops": how.crops,
                "crop_scale": how.crop_scale, "checkpoint": "last",
                "stored": clip_input.stored(root / "store")}  # fmt: skip
        metrics.write(run, scores, said, {"name": "c3d", "parameters": 1, "gmacs": 1.0}, 1.0)
        (run / "params.yaml").write_text(yaml.safe_dump({"study": "mine", "run": "03_c3d"}))
        return run, catalog

    return finish


def paths(catalog, scores):
    files = catalog.frame[catalog.frame["split"] == "val"].set_index("video_id")["path"]
    return [files[name] for name in scores.video_id]


@pytest.mark.parametrize(
    ("store", "clip", "protocol"),
    [
        ({}, {}, {}),
        ({"codec": "h264"}, {"stride": 2}, {"crops": 3}),
        ({"codec": "raw", "size": (30, 44)}, {}, {"crop_scale": 0.8}),
        ({"fps": 8.0}, {}, {"clips": "windows"}),
        ({}, {"fps": 11.0}, {"clips": 2}),
        ({"fps": 10.0}, {"fps": 6.0}, {"clips": "windows", "crops": 5}),
    ],
    ids=["plain", "h264", "stretched", "windows", "rate of the clip", "both rates"],
)
def test_a_file_gets_the_scores_of_the_run(finished, store, clip, protocol):
    run, catalog = finished(store, clip, protocol)
    scores = Scores.load(run)
    predictor = inference.load(run)
    assert predictor.name == "mine/03_c3d" and predictor.categories == ("run", "sit down")
    for row, path in enumerate(paths(catalog, scores)):
        found = predictor(path)
        assert np.abs(found.probabilities - scores.video_scores[row]).max() <= 1e-4
        views = scores.view_scores[row].reshape(-1, predictor.cut.crops, 2)
        views = views[~np.isnan(views).any(axis=(1, 2))].mean(axis=1)
        assert np.abs(found.windows - views).max() <= 1e-4
        assert (found.confidence is not None) == (found.calibrated is not None) is True


@pytest.mark.parametrize("to", ["keras", "saved_model", "onnx"])
def test_an_export_gives_the_same_without_the_study(finished, to, tmp_path):
    if to == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("export runs on TensorFlow")
    run, catalog = finished()
    out = tmp_path / {"keras": "m.keras", "saved_model": "m", "onnx": "m.onnx"}[to]
    done = CliRunner().invoke(main, ["export", str(run), "--to", to, "--output", str(out)])
    assert done.exit_code == 0, done.output
    own, exported = inference.load(run), inference.load(out)
    assert exported.categories == own.categories and exported.cut == own.cut
    assert exported.settings == own.settings and exported.clips == own.clips
    assert dataclasses.asdict(exported.confidence) == pytest.approx(
        dataclasses.asdict(own.confidence)
    )
    path = paths(catalog, Scores.load(run))[0]
    assert np.abs(exported(path).probabilities - own(path).probabilities).max() <= 1e-4
    assert inference.load(tmp_path).name == "mine/03_c3d"  # its folder names it too


def test_a_long_video_is_windows_in_the_same_memory(finished, moving_square, tmp_path, monkeypatch):
    run, _ = finished({"fps": 5.0}, {"stride": 1}, {})
    predictor = inference.load(run)
    square = moving_square(frames=25)
    encode(tmp_path / "long.mp4", (square[i % 25] for i in range(45 * 25)), fps=25)
    found = predictor(tmp_path / "long.mp4")
    assert len(found.windows) == 57 and found.end_s[-1] == pytest.approx(45.0)
    assert np.allclose(np.diff(found.start_s), 0.8)
    every = predictor(tmp_path / "long.mp4", every_s=2.0)
    assert np.allclose(np.diff(every.start_s), 2.0)
    spread = predictor(tmp_path / "long.mp4", clips=3)
    assert len(spread.windows) == 3 and spread.end_s[-1] == pytest.approx(45.0)
    # each batch is computed before the frames of the one after the next are asked for
    most, held = 0, []
    original = asking.Predictor.scored

    def counted(self, every, batch=8):
        def watched():
            for view in every:
                held.append(view)
                yield view

        nonlocal most
        for result in original(self, watched(), batch):
            most = max(most, len(held))
            held.pop(0)
            yield result

    monkeypatch.setattr(asking.Predictor, "scored", counted)
    predictor(tmp_path / "long.mp4", batch=4)
    assert most <= 3 * 4
    # and what a call keeps of a view until its end holds no pixels, not even as a slice of them
    monkeypatch.setattr(asking.Predictor, "scored", original)
    kept = [view.crops for view, _ in predictor.windows(tmp_path / "long.mp4", batch=4)]
    assert all(crops.size == 0 and crops.base is None for crops in kept)


def test_what_cannot_be_asked_is_said(finished, tmp_path):
    run, catalog = finished()
    with pytest.raises(HarlibError, match="is no trained run, no exported network and no publish"):
        inference.load("x3d_zz/kinetics400")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HarlibError, match="no run's folder, and no export with its README.json"):
        inference.load(tmp_path / "folder")
    with pytest.raises(HarlibError, match="kinetics700 names no categories: its publisher gives"):
        inference.load("r3d_18/kinetics700")
    predictor = inference.load(run)
    with pytest.raises(HarlibError, match="clips and every_s exclude each other"):
        predictor(catalog.frame["path"].iloc[0], clips=2, every_s=1.0)
    os.remove(run / "scores.npz")
    with pytest.raises(FileNotFoundError, match=r"scores.npz is not there: har evaluate"):
        inference.load(run)


def test_what_was_measured_counts_for_the_weights_that_were_scored(finished):
    run, _ = finished()
    assert inference.load(run).confidence is not None
    folder = RunFolder(run)
    folder.weights("best").parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder.weights("last"), folder.weights("best"))
    assert inference.load(run, checkpoint="best").confidence is None
    scored = json.loads(folder.metrics.read_text())
    scored["protocol"]["checkpoint"] = "best"
    folder.metrics.write_text(json.dumps(scored))
    assert inference.load(run, checkpoint="best").confidence is not None
    assert inference.load(run).confidence is None


def test_the_command(finished, tmp_path, monkeypatch):
    run, catalog = finished()
    monkeypatch.setenv("HARLIB_ROOT", str(run.parents[2]))
    files = [str(path) for path in catalog.frame["path"]]
    folder = tmp_path / "new"
    folder.mkdir()
    for number, path in enumerate(files[:2]):
        os.symlink(path, folder / f"{number}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")

    def har(*arguments, **options):
        return CliRunner().invoke(main, ["predict", *map(str, arguments)], **options)

    done = har("mine/03_c3d", folder, "--out", tmp_path / "o.json", "--report", tmp_path / "pages")
    assert done.exit_code == 1, done.output  # one cannot be read
    assert f"{folder}/broken.mp4: cannot be read: " in done.output
    assert "That was chosen so that 95 % of the validation videos" in done.output
    found = json.loads((tmp_path / "o.json").read_text())
    assert len(found) == 3 and found[2]["error"]
    assert len(list((tmp_path / "pages").glob("*.mp4"))) == 2
    assert 'href="0001_0.html"' in (tmp_path / "pages" / "index.html").read_text()

    (tmp_path / "list.csv").write_text("id,file\n1," + "\n2,".join(files[:2]))
    assert har("03_c3d", tmp_path / "list.csv").output.count("%)\n") == 2
    (tmp_path / "other.csv").write_text("id,label\n1,run\n")
    assert "names no videos: it needs a column path" in har("03_c3d", tmp_path / "other.csv").output

    one = har("03_c3d", files[0], "--every", "0.2s", "--overlay", tmp_path / "drawn.mp4")
    assert one.exit_code == 0, one.output
    assert "00:00:00 to " in one.output and (tmp_path / "drawn.mp4").stat().st_size > 1000
    listed = har("03_c3d", "-", "--threshold", "1", input="\n".join(files[:2]))
    assert listed.output.count("none of these (the most probable is") == 2
    assert "The threshold, 100.0 %, was given." in listed.output

    for arguments, words in (
        (("03_c3d", tmp_path / "gone.mp4"), "gone.mp4: no such video, folder or table"),
        (
            ("03_c3d", files[0], "--every", "soon"),
            "'soon' is no time above 0: write 1s, 0.5s, 30min",
        ),
        (("03_c3d", files[0], "--clips", "few"), "'few' is neither a number above 0 nor windows"),
        (("03_c3d", files[0], "--out", tmp_path / "o.json"), "o.json is there already"),
        (("03_c3d", files[0], "--out", tmp_path / "o.txt"), "names no format"),
        (
            ("03_c3d", *files[:2], "--overlay", tmp_path / "p.mp4"),
            "p.mp4 is of one video, and 2 are named",
        ),
        (("03_c3d", *files[:2], "--out", tmp_path / "p.srt"), "p.srt is of one video, and 2 are"),
        (("03_c3d", files[0], "--overlay", files[0], "--overwrite"), "is one of the videos: name"),
        (("03_c3d", files[0], "--top", "0"), "0 is not in the range x>=1"),
        (("03_c3d", files[0], "--out", "/proc/none/o.csv"), "its folder cannot be made"),
        (("03_c4d", files[0]), "no run '03_c4d'"),
        (("03_c3d", "-"), "standard input names no videos"),
    ):
        wrong = har(*arguments)
        assert wrong.exit_code and words in wrong.output, wrong.output
        assert "Traceback" not in wrong.output


def test_a_rate_that_changes_within_the_file_and_a_cut_file(finished, moving_square, tmp_path):
    """Times are those of the frames; less than was promised is said."""
    predictor = inference.load(finished()[0])
    frames = moving_square(frames=20, height=48, width=64)
    with av.open(str(tmp_path / "slow.mkv"), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(100):  # two seconds at 25 frames a second, then ten at 5
            frame = av.VideoFrame.from_ndarray(frames[number % 20])
            frame.pts = 40 * number if number < 50 else 2000 + 200 * (number - 50)
            frame.time_base = stream.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    found = predictor(tmp_path / "slow.mkv", clips="windows")
    assert found.start_s[:13].tolist() == pytest.approx([0.16 * n for n in range(13)], abs=0.01)
    assert np.diff(found.start_s)[14:] == pytest.approx([0.8] * 10, abs=0.02)
    assert not found.warning

    encode(tmp_path / "whole.mp4", (frames[n % 20] for n in range(200)), fps=25)
    whole = av.open(str(tmp_path / "whole.mp4"))
    with av.open(str(tmp_path / "cut.mkv"), "w") as file:
        copy = file.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                file.mux(packet)
    content = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    found = predictor(tmp_path / "cut.mkv")
    assert "s decoded of" in found.warning and len(found.windows) == 3


def test_time_that_no_window_covers_is_in_no_segment(finished):
    found = inference.Prediction("v", ("a", "b"), np.array([0.0, 7.0]), np.array([1.0, 8.0]),
                                 np.array([[0.9, 0.1], [0.9, 0.1]], np.float32))  # fmt: skip
    assert found.segments()["end_s"].tolist() == [1.0, 8.0]
