"""Each set of weights loads from a file as its publisher writes it; damaged ones do not."""

import dataclasses

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from harlib import models, pretrained
from harlib.models.weights import checkpoints, load
from harlib.pretrained import published

torch = pytest.importorskip("torch")
# Narrow networks: the names and the layout of a file do not depend on the width.
SLIM = {
    "mvit_v2_s": 1 / 12, "swin3d_t": 1 / 4, "videomae_s": 1 / 8, "videomae_b": 1 / 8,
    "x3d_xs": 1 / 3, "x3d_s": 1 / 3, "x3d_m": 1 / 3, "resnext3d_101": 0.25,
}  # fmt: skip
ROWS = published.table()["name"].tolist()


def build(row, seed=0, classes=None):
    keras.utils.set_random_seed(seed)
    frames = {"s3d": 16, "swin3d_t": 8}.get(row.network, row.frames)
    size = 64 if row.network in ("s3d", "mvit_v2_s", "swin3d_t") else 32
    return models.build(
        row.network, classes or row.classes, frames=frames, size=size,
        width=SLIM.get(row.network, 0.125), **row.options,
        **({"heads": 4} if row.network.startswith("videomae") else {}),
    )  # fmt: skip


def arrays_of(model, seed=1):
    rng = np.random.default_rng(seed)
    found = {}
    for one in checkpoints.parameters(model):
        if one.name not in found:  # an array may fill several variables
            found[one.name] = rng.uniform(0.5, 1, one.shape).astype("float32")
    return found


def write(row, arrays, path):
    """As the source documents its files."""
    if path.suffix == ".safetensors":
        return save_file(arrays, path)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if "kenshohara" in row.source:  # trained on several GPUs, with the state of the training
        tensors = {f"module.{name}": tensor for name, tensor in tensors.items()}
        tensors = {"epoch": 200, "arch": "resnet", "state_dict": tensors, "optimizer": {"lr": 0.1}}
    elif "pytorchvideo" in row.source:
        tensors = {"model_state": tensors}
    return torch.save(tensors, path)


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """Puts a row of the table into a cache of its own, without its digest: shelf(row)."""
    monkeypatch.setenv("HARLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(published, "_installed", lambda *_: None)

    def put(name):
        row = dataclasses.replace(pretrained.find(name), sha256="")
        monkeypatch.setattr(load, "find", lambda *_: row)
        return row

    return put


@pytest.mark.parametrize("name", ROWS)
def test_it_loads_whole(name, shelf):
    row = shelf(name)
    model = build(row)
    arrays = arrays_of(model)
    write(row, arrays, row.path)
    loaded = models.load_weights(model, name, categories=row.categories)
    assert loaded.new == () and loaded.name == name and loaded.licence == row.licence
    for one in checkpoints.parameters(model, arrays):
        np.testing.assert_array_equal(np.asarray(one.variable), one.convert(arrays[one.name]))


NAME = "r3d_18/kinetics400"


def _cut(path, row, arrays):
    write(row, arrays, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flipped(path, row, arrays):
    """A file whose digest is not the published one."""
    write(row, arrays, path)


def _other_network(path, row, arrays):
    write(row, arrays_of(build(pretrained.find("mc3_18/kinetics400"))), path)


def _missing(path, row, arrays):
    write(row, dict(list(arrays.items())[1:]), path)


def _more(path, row, arrays):
    write(row, arrays | {"layer9.0.conv1.weight": np.zeros(3, "float32")}, path)


def _wider(path, row, arrays):
    arrays = arrays | {"layer1.0.conv1.0.weight": np.zeros((9, 8, 3, 3, 3), "float32")}
    write(row, arrays, path)


class _Evil:
    def __reduce__(self):
        return eval, ("1/0",)


DAMAGED = {
    "empty": (lambda path, *_: path.write_bytes(b""), "empty"),
    "cut": (_cut, "cut short or damaged"),
    "a page": (
        lambda path, *_: path.write_text("<html>Sign in</html>"),
        "no PyTorch file: it begins",
    ),
    "code": (lambda path, *_: torch.save({"w": _Evil()}, path), "not a file of tensors alone"),
    "no state dict": (lambda path, *_: torch.save([1, 2], path), "holds no state dict"),
    "another network": (_other_network, "do not fit r3d_18"),
    "an array missing": (_missing, "is missing"),
    "an array too many": (_more, "layer9.0.conv1.weight is left over"),
    "another shape": (_wider, r"layer1.0.conv1.0.weight is \(9, 8, 3, 3, 3\), not"),
    "another digest": (_flipped, "is not the published file .* SHA-256"),
    "a folder": (lambda path, *_: path.mkdir(), "no file|Is a directory|cannot be fetched"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_or_wrong_file_is_one_line_and_nothing_is_set(what, shelf, monkeypatch):
    make, said = DAMAGED[what]
    row = shelf(NAME)
    if what == "another digest":
        monkeypatch.setattr(load, "find", lambda *_: pretrained.find(NAME))
    if what == "a folder":  # nothing can be downloaded here
        monkeypatch.setattr(load, "find", lambda *_: dataclasses.replace(
            row, url="http://127.0.0.1:9/r3d_18.pth"))  # fmt: skip
    model = build(row)
    before = [weight.copy() for weight in model.get_weights()]
    make(row.path, row, arrays_of(model))
    content = row.path.read_bytes() if row.path.is_file() else None
    with pytest.raises((ValueError, OSError), match=said) as raised:
        models.load_weights(model, NAME)
    assert "\n" not in str(raised.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert content is None or row.path.read_bytes() == content
