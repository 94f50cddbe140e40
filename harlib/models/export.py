"""A trained network as one file for other programs: Keras, SavedModel or ONNX.

Each takes uint8 frames, `clips` `(batch, frames, height, width, 3)` RGB, holds its preprocessing,
and gives float32 `scores` `(batch, classes)`; the categories' names travel in it. Beside it lie
README.json, which says what a clip must be, and an example that prints the label of a video.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import harlib
from harlib import MissingFile
from harlib.data.loading import clip_input
from harlib.files import read_json
from harlib.models import (
    export_check,
    export_readme,
    fold_batch_norm,
    keras_file,
    log_scores,
    onnx_graph,
)
from harlib.models.export_check import Answer
from harlib.models.layers import Categories
from harlib.run_folder import RunFolder

FORMATS = {"keras": "model.keras", "saved_model": "saved_model", "onnx": "model.onnx"}


def export(
    model: keras.Model,
    path: str | Path,
    to: str,
    categories: Sequence[str],
    *,
    folded: bool = False,
    overwrite: bool = False,
    about: Mapping[str, Any] | None = None,
) -> float:
    """Write `model` as a float32 network to `path`, load it again and compare its logits.

    What an earlier export wrote to `path` is replaced by one that computes right; anything else
    that is there stays.

    Args:
        model: a network of `models.build`, in any precision.
        path: a file, for "saved_model" a folder.
        to: "keras" (needs harlib to load; `get_layer("scores").categories`), "saved_model" (an
            output `categories` beside `scores`) or "onnx" (metadata `categories`, a JSON list).
        categories: str, by class index.
        folded: batch norm folded into convolutions.
        overwrite: replace what is at `path` too when it is a file, or an exported SavedModel that
            was changed since.
        about: more for README.json, as `clip_input.clip_input`.

    Returns:
        The largest difference to `model`'s float32 logits, as a share of the largest, of two clips
        of noise.
    Raises:
        ModuleNotFoundError: for "onnx" without its packages.
        ValueError: another format or backend, not one name per class, something at `path` that is
            to be kept, or a file that does not load or does not compute what the network does.
    """
    if to not in FORMATS:
        raise ValueError(f"format {to!r} is unknown; it is one of {', '.join(FORMATS)}.")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"export runs on the tensorflow backend, not {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow."
        )
    categories = [str(category) for category in categories]
    if len(categories) != model.output_shape[-1]:
        raise ValueError(
            f"{len(categories)} categories do not name {model.output_shape[-1]} classes."
        )
    path = Path(path)
    facts = _facts(model, categories) | dict(about or {})
    export_readme.check(path, to, facts, overwrite=overwrite)
    if to == "keras" and path.suffix != ".keras":
        raise ValueError(f"{path}: a file of the format keras ends in .keras.")
    write, run = {
        "keras": (_write_keras, _run_keras),
        "saved_model": (_write_saved_model, _run_saved_model),
        "onnx": (_write_onnx, _run_onnx),
    }[to]
    exact = fold_batch_norm.copy(model, dtype="float32")
    network = fold_batch_norm.copy(model, dtype="float32", folded=folded)
    scores = Categories(categories, dtype="float32", name="scores")(network.output)
    network = keras.Model(network.inputs, scores, name=model.name)
    aside, left = export_readme.aside(path), export_readme.left(path)
    try:
        aside.mkdir(parents=True)
        write(network, aside / path.name)
        clips = export_check.probe(exact)
        got, names = run(aside / path.name, clips)
        difference = export_check.check(got, names, exact, clips, categories)
        export_readme.write(aside, path.name, to, facts, {"batch_norm_folded": folded})
        # what came there meanwhile stays too
        export_readme.check(path, to, facts, overwrite=overwrite)
        export_readme.place(aside, path, to)
        export_readme.remove(left)
    finally:
        export_readme.remove([aside])
    return difference


def _facts(model: keras.Model, categories: list[str]) -> dict[str, Any]:
    """What README.json says of a network of which nothing but itself is known."""
    _, frames, height, width, _ = model.input_shape
    return {
        "harlib": harlib.__version__,
        "network": model.name,
        "frames": frames,
        "fps": None,
        "stride": 1,
        "short_side": min(height, width),
        "stretch": None,
        "crop": [height, width],
        "crop_scale": 1.0,
        "layout": "batch, frames, height, width, channels",
        "channels": "RGB",
        "dtype": "uint8",
        "categories": categories,
    }


def export_run(
    run_dir: str | Path,
    to: str,
    *,
    checkpoint: str = "last",
    folded: bool = False,
    path: str | Path | None = None,
    overwrite: bool = False,
    more: Mapping[str, Any] | None = None,
) -> tuple[Path, float]:
    """Export the network of a trained and scored run, by default into `run_dir/export`.

    Args:
        checkpoint: "last", `model.keras`, or "best", `checkpoints/best.keras`.
        more: for README.json, beside what the run's files tell.

    Returns:
        The path, and the largest difference of the logits as of `export`.
    Raises:
        FileNotFoundError: if the run has no such network, or no scores, which name the categories.
    """
    run_dir = Path(run_dir)
    run = RunFolder(run_dir)
    source = run.weights(checkpoint)
    needs = [(source, "train the run"), (run.scores, "har evaluate"), (run.metrics, "har evaluate")]
    for needed, remedy in needs:
        if not needed.is_file():
            raise MissingFile(f"{needed} is not there: {remedy} first.")
    with np.load(run.scores, allow_pickle=False) as scores:
        categories = scores["categories"].tolist()
    model = keras_file.load(source)
    path = Path(path or run.exported / FORMATS.get(to, to))
    about = clip_input.clip_input(run_dir)
    if weights := RunFolder(run_dir).read_state().get("weights"):
        about["weights"] = weights  # their licence goes with the network
    if "fps" not in about:
        raise MissingFile(
            f"{run_dir} does not tell the rate and size of its clips, and its clip store is gone: "
            "score the run once more (har evaluate) where the store is."
        )
    about["run"] = f"{run_dir.resolve().parent.name}/{run_dir.resolve().name}"
    about["network_options"] = {
        key: value
        for key, value in read_json(run.metrics, "model")["model"].items()
        if key in ("name", "width", "pixels")
    }
    about |= {"checkpoint": checkpoint} | dict(more or {})
    return path, export(
        model, path, to, categories, folded=folded, overwrite=overwrite, about=about
    )


def _write_keras(network: keras.Model, path: Path) -> None:
    network.save(path)
    keras_file.undated(path)


def _run_keras(path: Path, clips: np.ndarray) -> tuple[Answer, list[str]]:
    network = keras.saving.load_model(path, compile=False)
    got = _both((log_scores.with_logits(network) or network).predict_on_batch(clips))
    return got, network.get_layer("scores").categories


def _both(output: Any) -> Answer:
    """(scores, logits) of a network's output; without logits None in their place."""
    if isinstance(output, (list, tuple)):
        scores, logits = map(np.asarray, output)
        return scores, logits
    return np.asarray(output), None


def _write_saved_model(network: keras.Model, path: Path) -> None:
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8, name="clips")]
    categories = network.get_layer("scores").categories
    archive = keras.export.ExportArchive()
    archive.track(network)

    def serve(clips: Any) -> dict[str, Any]:
        return {"scores": network(clips, training=False), "categories": tf.constant(categories)}

    archive.add_endpoint("serve", serve, signature)
    if (asked := log_scores.with_logits(network)) is not None:
        archive.track(asked)
        archive.add_endpoint("logits", lambda clips: asked(clips, training=False)[1], signature)
    archive.write_out(path, verbose=False)


def _run_saved_model(path: Path, clips: np.ndarray) -> tuple[Answer, list[str]]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    output = loaded.signatures["serving_default"](clips=tf.constant(clips))
    names = [name.decode() for name in output["categories"].numpy()]
    logits = loaded.logits(tf.constant(clips)).numpy() if hasattr(loaded, "logits") else None
    return (output["scores"].numpy(), logits), names


def _write_onnx(network: keras.Model, path: Path) -> None:
    onnx, *_ = onnx_graph.packages()
    content = onnx_graph.build(network)
    categories = network.get_layer("scores").categories
    onnx.helper.set_model_props(content, {"categories": json.dumps(categories)})
    onnx.save(content, path)


def _run_onnx(path: Path, clips: np.ndarray) -> tuple[Answer, list[str]]:
    onnx, _, runtime = onnx_graph.packages()
    cpu = {"providers": ["CPUExecutionProvider"]}
    session = runtime.InferenceSession(path, **cpu)
    (scores,) = session.run(["scores"], {"clips": clips})
    names = json.loads(session.get_modelmeta().custom_metadata_map["categories"])
    content, logits = onnx.load(path), None
    softmax = [node for node in content.graph.node if node.op_type == "Softmax"]
    if softmax:
        (name,) = softmax[-1].input
        content.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        session = runtime.InferenceSession(content.SerializeToString(), **cpu)
        (logits,) = session.run([name], {"clips": clips})
    return (scores, logits), names
