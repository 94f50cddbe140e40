"""A `.keras` file -> a network: looked at before Keras unpacks it, and every fault in one line."""

import os
import re
import zipfile
from pathlib import Path

import keras

from harlib import HarlibError
from harlib.models import layers  # noqa: F401  registers the layers that Keras itself lacks

_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
_TEXT = 50_000_000  # bytes of config.json; the largest network's has 0.5 MB
# Weights hardly compress: a file that unpacks to more than this multiple of its size is none.
_UNPACKED = 20


def undated(path: Path) -> None:
    """Takes out when a file was saved, so that the same network gives the same bytes."""
    path = Path(path)
    aside = path.with_name(f".{path.name}.undated")
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(aside, "w") as written:
        for name in sorted(file.namelist()):
            content = file.read(name)
            if name == "metadata.json":
                content = re.sub(rb'"date_saved": "[^"]*"', b'"date_saved": ""', content)
            written.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    os.replace(aside, path)


def load(path: Path) -> keras.Model:
    """The network of a file, not compiled.

    Raises:
        HarlibError: the file is empty, cut off, of another kind, or unpacks to absurd sizes.
        FileNotFoundError: there is none.
    """
    path = Path(path)
    size = path.stat().st_size
    remedy = "put the right file back, or train the run again"
    if not size:
        raise HarlibError(f"{path} is empty (0 bytes): {remedy}")
    try:
        with zipfile.ZipFile(path) as file:
            members = {item.filename: item.file_size for item in file.infolist()}
    except zipfile.BadZipFile:
        raise HarlibError(f"{path} is no Keras file, or is cut off: {remedy}") from None
    if missing := [name for name in _MEMBERS if name not in members]:
        raise HarlibError(f"{path} is no Keras file, it lacks {', '.join(missing)}: {remedy}")
    unpacked = sum(members.values())
    if unpacked > _UNPACKED * size + 1_000_000 or members["config.json"] > _TEXT:
        raise HarlibError(
            f"{path} has {size:,} bytes and says it unpacks to {unpacked:,}, as no network's does: "
            f"{remedy}"
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # a damaged or foreign file makes Keras raise anything
        why = " ".join(str(error).split())[:200]
        raise HarlibError(f"{path} cannot be read as a network ({why}): {remedy}") from error
