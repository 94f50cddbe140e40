"""A trained network as one file for other programs: Keras, SavedModel or ONNX.

Each takes uint8 frames, `clips` `(batch, frames, height, width, 3)` RGB, holds its preprocessing,
and gives float32 `scores` `(batch, classes)`; the categories' names travel in it.
"""

import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from harlib.models import folding, keras_file
from harlib.models.layers import Categories

FORMATS = {"keras": "model.keras", "saved_model": "saved_model", "onnx": "model.onnx"}
# How far an exported file's scores may be from the network's: probabilities themselves, and logits
# and logarithms of probabilities as a share of the largest.
TOLERANCE = 1e-4
# Older ONNX Runtimes than 1.12 (2022) do not read more.
_OPSET = 17


def export(model, path, to, categories, *, folded=False):
    """Write `model` as a float32 network to `path`, load it again and compare its scores.

    Args:
        model: a network of `models.build`, in any precision.
        path: a file, for "saved_model" a folder; replaced only by one that scores right.
        to: "keras" (`get_layer("scores").categories`), "saved_model" (an output `categories`
            beside `scores`) or "onnx" (metadata `categories`, a JSON list).
        categories: str, by class index.
        folded: batch norm folded into convolutions.

    Returns:
        The largest difference to `model`'s float32 scores, of two clips of noise.
    Raises:
        ModuleNotFoundError: for "onnx" without its packages.
        ValueError: another format or backend, not one name a class, or a file that does not load
            or does not score as the network.
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
    write, run = {
        "keras": (_write_keras, _run_keras),
        "saved_model": (_write_saved_model, _run_saved_model),
        "onnx": (_write_onnx, _run_onnx),
    }[to]
    exact = folding.copy(model, dtype="float32")
    # A grouped convolution is exported as dense ones: ONNX Runtime refuses TensorFlow's.
    network = folding.copy(
        model, dtype="float32", folded=folded, method="packs" if to == "onnx" else None
    )
    scores = Categories(categories, dtype="float32", name="scores")(network.output)
    network = keras.Model(network.inputs, scores, name=model.name)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(network, aside)
        difference = _check(run, aside, exact, categories)
        _remove(path)
        os.replace(aside, path)
    finally:
        _remove(aside)
    return difference


def export_run(run_dir, to, *, checkpoint="last", folded=False, path=None):
    """Export the network of a trained and scored run, by default into `run_dir/export`.

    Args:
        checkpoint: "last", `model.keras`, or "best", `checkpoints/best.keras`.

    Returns:
        The path, and the largest difference of the scores as of `export`.
    Raises:
        FileNotFoundError: if the run has no such network, or no scores, which name the categories.
    """
    run_dir = Path(run_dir)
    source = run_dir / {"last": "model.keras", "best": "checkpoints/best.keras"}[checkpoint]
    for needed, remedy in ((source, "train the run"), (run_dir / "scores.npz", "har evaluate")):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is not there: {remedy} first.")
    with np.load(run_dir / "scores.npz", allow_pickle=False) as scores:
        categories = scores["categories"].tolist()
    model = keras_file.load(source)
    path = Path(path or run_dir / "export" / FORMATS.get(to, to))
    return path, export(model, path, to, categories, folded=folded)


def _check(run, path, model, categories):
    clips = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), "uint8")
    wanted = np.asarray(model.predict_on_batch(clips))
    got, names = run(path, clips)
    if list(names) != categories:
        raise ValueError(f"the exported file names the categories {names}, not {categories}.")
    if got.shape != wanted.shape or got.dtype != np.float32:
        raise ValueError(f"the exported file gives {got.dtype} {got.shape}, not {wanted.shape}.")
    difference = _apart(got, wanted)
    if wanted.min() >= 0 and np.allclose(wanted.sum(1), 1, atol=1e-3):
        # of many classes' small probabilities a difference could hide
        floor = np.finfo(np.float32).tiny
        logs = (np.log(np.maximum(scores, floor)) for scores in (got, wanted))
        difference = max(difference, _apart(*logs))
    if not difference <= TOLERANCE:
        raise ValueError(
            f"the exported file's scores differ from the network's by {difference:.2g}, more than "
            f"{TOLERANCE:.0e}; it was removed."
        )
    return difference


def _apart(got, wanted):
    return float(np.abs(got - wanted).max() / max(1, np.abs(wanted).max()))


def _write_keras(network, path):
    network.save(path)


def _run_keras(path, clips):
    network = keras.saving.load_model(path, compile=False)
    return np.asarray(network.predict_on_batch(clips)), network.get_layer("scores").categories


def _serving(network):
    """The function an exported file runs, and its input."""
    import tensorflow as tf

    clips = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8, name="clips")
    return lambda clips: {"scores": network(clips, training=False)}, [clips]


def _write_saved_model(network, path):
    import tensorflow as tf

    serve, signature = _serving(network)
    categories = network.get_layer("scores").categories
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.add_endpoint(
        "serve", lambda clips: serve(clips) | {"categories": tf.constant(categories)}, signature
    )
    archive.write_out(path, verbose=False)


def _run_saved_model(path, clips):
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    output = serve(clips=tf.constant(clips))
    return output["scores"].numpy(), [name.decode() for name in output["categories"].numpy()]


def _write_onnx(network, path):
    import tensorflow as tf

    onnx, tf2onnx, _ = _onnx_packages()
    folding.set_constant(network)
    serve, signature = _serving(network)
    content, _ = tf2onnx.convert.from_function(
        tf.function(serve, input_signature=signature, autograph=False), signature, opset=_OPSET
    )
    categories = network.get_layer("scores").categories
    onnx.helper.set_model_props(content, {"categories": json.dumps(categories)})
    onnx.save(content, path)


def _run_onnx(path, clips):
    *_, runtime = _onnx_packages()
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (got,) = session.run(["scores"], {"clips": clips})
    return got, json.loads(session.get_modelmeta().custom_metadata_map["categories"])


def _onnx_packages():
    try:
        import onnx
        import onnxruntime
        import tf2onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX needs {error.name}, which is not installed: pip install 'harlib[export]'."
        ) from error
    return onnx, tf2onnx, onnxruntime


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
