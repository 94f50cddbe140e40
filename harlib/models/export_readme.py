"""What lies beside an exported network, README.json and an example, and what is there already."""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

README = "README.json"
_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "variables", "assets"}
# What README.json says of the network: another network's export may not lie in the same folder.
FACTS = ("network", "frames", "fps", "stride", "short_side", "stretch", "crop", "crop_scale",
         "layout", "channels", "dtype", "categories")  # fmt: skip

_EXAMPLE = '''"""Names the action in a video: python {name} VIDEO"""
# by one clip of its middle; accuracies of a report are of the mean over views, as of har predict
import json, sys, av, numpy as np, {imports}
about, video = json.load(open(f"{{sys.path[0]}}/README.json")), av.open(sys.argv[1])
(h, w), fps, frames = about["crop"], video.streams.video[0].average_rate, [*video.decode(video=0)]
step = about["stride"] * float(fps / about["fps"] if about["fps"] else 1)
first = max(0, len(frames) - about["frames"] * step) / 2
tall, wide = about["stretch"] or (frames[0].height, frames[0].width)
ratio = min(tall / h, wide / w) * about["crop_scale"]
tall, wide = max(h, round(tall / ratio)), max(w, round(wide / ratio))
clip = [frames[int(first + i * step) % len(frames)] for i in range(about["frames"])]
clip = np.stack([frame.reformat(wide, tall, "rgb24").to_ndarray() for frame in clip])
clip = clip[None, :, (tall - h) // 2 :, (wide - w) // 2 :][:, :, :h, :w]
{run}
{answer}
'''
_ONE = 'print(about["categories"][int(np.argmax(scores))])'
# a label whose threshold is null is never named
_SEVERAL = """limits = [about["thresholds"][name] for name in about["categories"]]
named = [name for name, p, limit in zip(about["categories"], np.array(scores)[0], limits)
         if limit is not None and p >= limit]
print(*named or ["none of these"], sep="|")"""
_RUN = {
    "keras": (
        "keras, harlib.models  # which registers the layers that Keras lacks",
        'scores = keras.saving.load_model(f"{{sys.path[0]}}/{file}", compile=False)(clip)',
    ),
    "saved_model": (
        "tensorflow as tf",
        'serve = tf.saved_model.load(f"{{sys.path[0]}}/{file}").signatures["serving_default"]\n'
        'scores = serve(clips=tf.constant(clip))["scores"]',
    ),
    "onnx": (
        "onnxruntime",
        'session = onnxruntime.InferenceSession(f"{{sys.path[0]}}/{file}")\n'
        '(scores,) = session.run(["scores"], {{"clips": clip}})',
    ),
}
NEEDS = {
    "keras": "harlib (import harlib.models before loading) and Keras",
    "saved_model": "TensorFlow",
    "onnx": "ONNX Runtime or another reader of ONNX",
}


_EXAMPLE_NEEDS = "NumPy and PyAV (pip install numpy av)"


def aside(path: Path) -> Path:
    """Where an export to `path` is written until it is whole.

    It is a folder beside it whose name tells which process it belongs to.
    """
    process = psutil.Process()
    return path.with_name(f".{path.name}.export-{process.pid}-{int(process.create_time())}")


def left(path: Path) -> list[Path]:
    """Folders of earlier exports to `path` whose process ended before they did."""
    found = path.parent.glob(f".{glob.escape(path.name)}.export-*-*")
    return [folder for folder in found if folder.is_dir() and not _alive(folder.name)]


def check(path: Path, to: str, facts: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Whether an export of a network with these `facts` may be written to `path`.

    What an earlier export left there, unchanged, is replaced. Anything else stays; with `overwrite`
    a file is replaced, or a folder that holds an exported SavedModel and nothing beside it.

    Raises:
        ValueError: something else is there.
    """
    known = _hashes(path.parent / README).union(*(_hashes(f / README) for f in left(path)))
    readme, example = path.parent / README, path.parent / example_name(to)
    if os.path.lexists(readme):
        about = _read(readme)
        if about is None:
            raise ValueError(f"{readme} is there and no export wrote it: export to another folder.")
        others = [name for name in _models(about) if name != path.name]
        if others and _facts(about) != _facts(facts):
            raise ValueError(
                f"{readme} tells of another network ({about.get('network')}, "
                f"{', '.join(others)}): export to another folder."
            )
    if os.path.lexists(example) and _hash(example) not in known:
        raise ValueError(f"{example} is there and no export wrote it: export to another folder.")
    if not os.path.lexists(path) or _hash(path) in known:
        return
    if path.is_dir() and not path.is_symlink():
        entries = sorted(entry.name for entry in path.iterdir())
        if to == "saved_model" and (not entries or overwrite and _is_saved_model(path, entries)):
            return
        holds = f"holds {entries[0]}" + (f" and {len(entries) - 1} more" * (len(entries) > 1))
        raise ValueError(
            f"{path} is a folder and {holds if entries else 'empty'}; it is kept. Give the export "
            f"a path of its own, such as {path / f'model.{to}'}."
        )
    if not overwrite:
        raise ValueError(
            f"{path} is there, and is not what an earlier export wrote; it is kept. Give another "
            "--output, or --overwrite to replace this file."
        )


def write(folder: Path, name: str, to: str, facts: dict[str, Any], details: dict[str, Any]) -> None:
    """Write README.json and the example for the export `name`, which lies in `folder`."""
    imports, run = _RUN[to]
    example = example_name(to)
    answer = _SEVERAL if facts.get("thresholds") else _ONE
    run = run.format(file=name)
    text = _EXAMPLE.format(name=example, imports=imports, run=run, answer=answer)
    (folder / example).write_text(text)
    files = {
        name: {"format": to, "needs": NEEDS[to]} | details | {"sha256": _hash(folder / name)},
        example: {
            "format": "example",
            "needs": f"{NEEDS[to]}; {_EXAMPLE_NEEDS}",
            "sha256": _hash(folder / example),
        },
    }
    (folder / README).write_text(_json(facts | {"files": files}))


def place(folder: Path, path: Path, to: str) -> None:
    """Move a whole export from `folder` to `path`, with what lies beside it.

    README.json comes last. Until it is there, `left` still holds it, so that a killed export's
    files are known as such.
    """
    readme = folder / README
    about, before = json.loads(readme.read_text()), _read(path.parent / README) or {}
    kept = {name: entry for name, entry in before.get("files", {}).items()
            if os.path.lexists(path.parent / name)}  # fmt: skip
    readme.write_text(_json(before | about | {"files": kept | about["files"]}))
    if path.is_dir() and not path.is_symlink():
        path.rename(folder / "before")
    elif os.path.lexists(path) and (folder / path.name).is_dir():
        path.unlink()
    for name in (path.name, example_name(to), README):
        os.replace(folder / name, path.parent / name)


def remove(folders: Iterable[Path]) -> None:
    """Remove what exports wrote aside."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def example_name(to: str) -> str:
    """The file name of the example for a format."""
    return f"example_{to}.py"


def _alive(name: str) -> bool:
    pid, _, start = name.rpartition(".export-")[2].partition("-")
    try:
        return abs(int(psutil.Process(int(pid)).create_time()) - int(start)) <= 1
    except (ValueError, psutil.Error):
        return False


def _is_saved_model(path: Path, entries: Iterable[str]) -> bool:
    """Whether a folder holds a SavedModel of `export` and nothing that was put there since."""
    graph = path / "saved_model.pb"
    if not (set(entries) <= _SAVED_MODEL and graph.is_file()):
        return False
    content = graph.read_bytes()
    return all(word in content for word in (b"clips", b"scores", b"categories"))


def _models(about: Mapping[str, Any]) -> list[str]:
    return [name for name, entry in about["files"].items() if entry.get("format") != "example"]


def _facts(about: Mapping[str, Any]) -> dict[str, Any]:
    return {key: about.get(key) for key in FACTS}


def _read(file: Path) -> dict[str, Any] | None:
    """README.json of an export; None of anything else."""
    try:
        about = json.loads(file.read_text())
        good = isinstance(about["files"], dict) and "categories" in about and "harlib" in about
        return about if good and all(isinstance(x, dict) for x in about["files"].values()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hashes(file: Path) -> set[str]:
    about = _read(file) or {"files": {}}
    return {entry.get("sha256") for entry in about["files"].values()} - {None}


def _hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files; "" of anything else."""
    digest = hashlib.sha256()
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        return ""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        if file.is_file():
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
