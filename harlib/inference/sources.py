"""What can be asked about a new video: a trained run, an export of one, published weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harlib import HarlibError, MissingFile, pretrained
from harlib.data import ClipSpec, Settings
from harlib.data.loading import clip_input
from harlib.evaluation import Confidence, confidence
from harlib.evaluation.predict import network
from harlib.files import read_json
from harlib.inference.predictor import Predictor
from harlib.inference.views import Cut
from harlib.models import export_readme
from harlib.run_folder import RunFolder


def load(source: str | Path, *, checkpoint: str = "last", nameless: bool = False) -> Predictor:
    """A `Predictor` of a trained run, of an exported network, or of published weights.

    Args:
        source: a run's folder; an export's folder or file, with its README.json beside it; or a
            name of `pretrained.names()`, as "x3d_s/kinetics400".
        checkpoint: of a run: "last", or "best" on the validation videos.
        nameless: also published weights whose categories nobody lists; they are then numbers.

    Raises:
        HarlibError: none of these, or a network whose categories or clips nobody knows.
        FileNotFoundError: the run has no such network or was not scored.
    """
    if str(source) in pretrained.names():
        return _published(str(source), nameless)
    path = Path(source)
    if RunFolder(path).params.is_file():
        return _run(path, checkpoint)
    for folder in (path, path.parent):  # a SavedModel is a folder, too
        if (readme := folder / export_readme.README).is_file():
            return _exported(path, readme)
    if path.exists():
        raise HarlibError(
            f"{path} is no run's folder, and no export with its {export_readme.README}: give a "
            "trained run, or what har export wrote"
        )
    raise HarlibError(
        f"{str(source)!r} is no trained run, no exported network and no published weights "
        "(har weights list)"
    )


def _run(folder: Path, checkpoint: str) -> Predictor:
    run = RunFolder(folder)
    untrained = "train it first (a run of notebook 02, 03, 04 or 09 leaves one)"
    needs = [(run.weights(checkpoint), untrained), (run.scores, "har evaluate"),
             (run.metrics, "har evaluate")]  # fmt: skip
    for needed, remedy in needs:
        if not needed.is_file():
            raise MissingFile(f"{needed} is not there: {remedy}")
    from harlib.models import keras_file
    from harlib.training import precision

    with np.load(run.scores, allow_pickle=False) as scores:
        categories = tuple(scores["categories"].tolist())
    model = keras_file.load(run.weights(checkpoint))
    about = clip_input.clip_input(folder)
    where = folder.resolve()
    # what was measured on the scored weights says nothing of others
    scored = read_json(run.metrics, "protocol")["protocol"].get("checkpoint", "last")
    sure = confidence.of_run(folder, checkpoint) if checkpoint == scored else None
    name = f"{where.parent.name}/{where.name}"
    limits = confidence.thresholds_of(folder, checkpoint)
    predictor = _predictor(name, network(model), categories, about, sure, limits)
    return dataclasses.replace(predictor, note=precision.lacking(model))


def _exported(path: Path, readme: Path) -> Predictor:
    about = read_json(readme, "categories")
    models = {name: entry for name, entry in about["files"].items()
              if entry.get("format") in _OPENED}  # fmt: skip
    if path.is_dir() and path.name not in models:
        there = [name for name in models if (path / name).exists()]
        if len(there) != 1:
            raise HarlibError(
                f"{path} holds {', '.join(there) or 'no exported network'}: name one file"
            )
        path = path / there[0]
    if path.name not in models:
        raise HarlibError(f"{path} is not among what {readme} tells of: {', '.join(models)}")
    opened = _OPENED[models[path.name]["format"]](path)
    sure = about.get("confidence")
    name = about.get("run") or path.name
    return _predictor(
        name,
        opened,
        tuple(about["categories"]),
        about,
        Confidence(**sure) if sure else None,
        about.get("thresholds"),
    )


def _published(name: str, nameless: bool) -> Predictor:
    from harlib import models

    found = pretrained.find(name)
    if not (found.categories or nameless):
        raise HarlibError(
            f"{name} names no categories: its publisher gives no list. Fine-tune it first "
            f"(weights: {name} in a parameter file), or take its features (har features {name})"
        )
    model = models.build(
        found.network, found.classes, frames=found.frames, size=found.size, **found.options
    )
    models.load_weights(model, name)
    sides = tuple(int(side) for side in found.resize.split("x"))
    return Predictor(
        name=name,
        model=network(model),
        categories=found.categories or tuple(map(str, range(found.classes))),
        settings=Settings("raw", sides[0] if len(sides) == 1 else (sides[0], sides[1]),
                          found.fps if found.frames > 1 else None),
        cut=Cut(ClipSpec(frames=found.frames, size=found.size), 1, found.crop_scale),
        clips=10,  # as most of them are tested
    )  # fmt: skip


def _predictor(
    name: str,
    model: Any,
    categories: tuple[str, ...],
    about: Mapping[str, Any],
    sure: Confidence | None,
    limits: Mapping[str, float | None] | None = None,
) -> Predictor:
    """A predictor by what `clip_input` tells of a network."""
    if "fps" not in about:
        raise HarlibError(
            f"{name} does not tell the rate and size of its clips, and its clip store is gone: "
            "score it once more (har evaluate) where the store is"
        )
    crop = tuple(about["crop"])
    stored = about.get("store") or {}
    if "codec" in stored:
        size = stored["size"]
        settings = Settings(
            stored["codec"],
            tuple(size) if isinstance(size, list) else size,
            stored["fps"],
            stored["quality"],
        )
        stride, rate = about["stride"], about.get("clip_fps")
    else:  # an export of an earlier version: the same clips but for what a codec loses
        size = tuple(about["stretch"]) if about["stretch"] else about["short_side"]
        settings, stride, rate = Settings("raw", size, about["fps"]), about["stride"], None
    views = about.get("views") or {}
    clips = views.get("clips", 1)
    return Predictor(
        name=name,
        model=model,
        categories=categories,
        settings=settings,
        cut=Cut(
            ClipSpec(frames=about["frames"], stride=stride, size=crop, fps=rate),
            views.get("crops", 1),
            views.get("crop_scale", about["crop_scale"]),
        ),
        clips=None if clips == "windows" else clips,
        confidence=sure,
        thresholds=np.array([limits[name] for name in categories], float) if limits else None,
    )


@dataclasses.dataclass(frozen=True)
class _Program:
    """An exported network of another format, as what scores."""

    run: Any

    def predict_on_batch(self, clips: np.ndarray) -> np.ndarray:
        return np.asarray(self.run(clips))


def _keras(path: Path) -> Any:
    from harlib.models import keras_file

    return keras_file.load(path)


def _saved_model(path: Path) -> _Program:
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        raise HarlibError(f"{path} needs TensorFlow: pip install tensorflow") from None
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return _Program(lambda clips: serve(clips=tf.constant(clips))["scores"])


def _onnx(path: Path) -> _Program:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise HarlibError(f"{path} needs ONNX Runtime: pip install onnxruntime") from None
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return _Program(lambda clips: session.run(["scores"], {"clips": clips})[0])


_OPENED = {"keras": _keras, "saved_model": _saved_model, "onnx": _onnx}
