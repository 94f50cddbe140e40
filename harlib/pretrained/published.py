"""Sets of published weights: what there is, what each expects, and where its file lies."""

import dataclasses
import functools
import hashlib
import json
import math
import os
import urllib.parse
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pandas as pd

from harlib import HarlibError
from harlib.text import near


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """One set of weights: a row of `published.csv` beside this module.

    Attributes:
        name: "network/data", as "x3d_s/kinetics400".
        network, options: of `models.build`.
        data, classes: what it was trained on, and for how many classes.
        categories: their names in the order of the classes; empty where no list comes along.
        frames, fps, size: the clip it expects: frames at this rate (of one frame: any), pixels of
            the square's side.
        resize: before the square is cut: pixels of the short side, or "height x width".
        mean, std: by which pixels are shifted and scaled, of 0..1 unless they say otherwise, RGB.
            The network does this itself.
        top1, top5: percent, as published with `protocol`; NaN where they are not.
        parameters, gmacs: as published.
        url: of the file, or of the page that has it. file: its name. sha256: of the file, or its
            first digits, where the source publishes them; empty where it does not.
        licence, commercial: of the weights; "yes", "no" or "unclear".
        paper, source: who trained it, and the repository that publishes it.
    """

    name: str
    network: str
    options: dict[str, Any]
    data: str
    classes: int
    categories: tuple[str, ...]
    frames: int
    fps: float
    size: int
    resize: str
    mean: str
    std: str
    top1: float
    top5: float
    protocol: str
    parameters: float
    gmacs: float
    url: str
    file: str
    sha256: str
    licence: str
    commercial: str
    paper: str
    source: str

    @property
    def crop_scale(self) -> float:
        """Share of the frame's short side that the square covers."""
        return min(1.0, self.size / int(self.resize.split("x")[0]))

    @property
    def package(self) -> str:
        """The package of PyPI that brings the file; empty where none does."""
        page = urllib.parse.urlsplit(self.url)
        return page.path.strip("/").split("/")[-1] if page.hostname == "pypi.org" else ""

    @property
    def path(self) -> Path:
        """Where its file lies, or is put: in an installed package, else in the cache."""
        return _installed(self.package, self.file) or cache() / self.file

    @property
    def by_hand(self) -> bool:
        """Whether `url` is a page, on which a person has to fetch the file."""
        return not urllib.parse.urlsplit(self.url).path.endswith(Path(self.file).suffix)

    def check(self, path: Path) -> str:
        """Compares a file's digest with the published one; returns its SHA-256.

        Raises:
            HarlibError: it is another file.
        """
        found = digest(path)
        if not found.startswith(self.sha256):
            raise HarlibError(
                f"{path} is not the published file of {self.name}: its SHA-256 begins with "
                f"{found[:12]}, the published one with {self.sha256[:12]}; fetch it again from "
                f"{self.url}"
            )
        return found


def cache() -> Path:
    """The folder of fetched weights: `HARLIB_CACHE`, else `~/.cache/harlib`."""
    named = os.environ.get("HARLIB_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "harlib"


def _installed(package: str, file: str) -> Path | None:
    """A file of an installed package; None where there is no package or no such file."""
    try:
        found = metadata.files(package) if package else None
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(one.locate())) for one in found or () if one.name == file), None)


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table() -> pd.DataFrame:
    """The sets of weights, one row each, with the columns of `published.csv`."""
    return _table().copy()


@functools.cache
def _table() -> pd.DataFrame:
    with resources.files("harlib.pretrained").joinpath("published.csv").open() as file:
        return pd.read_csv(file, dtype={"sha256": str, "resize": str}, keep_default_na=True).fillna(
            {name: "" for name in _TEXTS}
        )


TERMS = {"yes": "", "no": "NOT for commercial use", "unclear": "ask before commercial use"}
_TEXTS = ("options", "categories", "sha256", "protocol", "mean", "std", "resize", "file")


def names(network: str | None = None) -> tuple[str, ...]:
    """Names of the sets of weights, of one network or of all."""
    rows = _table()
    return tuple(rows["name"] if network is None else rows["name"][rows["network"] == network])


def find(name: str, network: str | None = None) -> Pretrained:
    """The set of weights of a name: "network/data", or "data" alone beside a network.

    Raises:
        HarlibError: for an unknown name, with the nearest ones.
    """
    whole = name if "/" in name or network is None else f"{network}/{name}"
    rows = _table().set_index("name", drop=False)
    if whole not in rows.index:
        begun = [known for known in rows.index if known.startswith(f"{whole}/")]
        meant = begun[0] if begun else near(whole, rows.index)
        own = ", ".join(rows.index[rows["network"] == network])
        raise HarlibError(
            f"no published weights {whole!r}"
            + (f" (did you mean {meant}?)" if meant else "")
            + (f": {network} has {own}" if own else "; har weights list names them all")
        )
    row = rows.loc[whole].to_dict()
    row["options"] = json.loads(row["options"] or "{}")
    row["categories"] = _categories(row["categories"])
    return Pretrained(**row)


def _categories(name: str) -> tuple[str, ...]:
    if not name:
        return ()
    file = resources.files("harlib.pretrained").joinpath(f"{name}.txt")
    return tuple(file.read_text(encoding="utf-8").splitlines())


def text() -> str:
    """The table for a terminal: a line per set of weights."""
    lines = []
    for name in names():
        row = find(name)
        top1 = "–" if math.isnan(row.top1) else f"{row.top1:.1f} %"
        clip = f"{row.frames} × {row.size} px" + (f" at {row.fps:g}/s" if row.frames > 1 else "")
        terms = f": {TERMS[row.commercial]}" if TERMS[row.commercial] else ""
        there = "here" if row.path.is_file() else ""
        lines.append(
            f"{row.name:<34} {clip:<24} top-1 {top1:>7}  {row.licence}{terms}  {there}".rstrip()
        )
    return "\n".join(lines)


def _accuracies(weights: Pretrained) -> str:
    if math.isnan(weights.top1):
        return "not stated"
    top5 = "not stated" if math.isnan(weights.top5) else weights.top5
    return f"{weights.top1} / {top5} % ({weights.protocol})"


def describe(weights: Pretrained) -> str:
    """All that is known of a set of weights, for a terminal."""
    rows = {
        "network": weights.network
        + "".join(f", {key}={value}" for key, value in weights.options.items()),
        "trained on": f"{weights.data}, {weights.classes} classes"
        + ("" if weights.categories else " (no list of their names comes along)"),
        "clip": (
            f"{weights.frames} frames at {weights.fps:g} per second"
            if weights.frames > 1
            else "single frames"
        )
        + f", {weights.size} × {weights.size} pixels of a resize to {weights.resize}",
        "pixels": f"RGB, less {weights.mean}, by {weights.std} (inside the network)",
        "published top-1 / top-5": _accuracies(weights),
        "licence of the weights": weights.licence
        + (f": {TERMS[weights.commercial]}" if TERMS[weights.commercial] else ""),
        "paper": weights.paper,
        "source": weights.source,
        "address": weights.url,
        "file": f"{weights.path} ({'here' if weights.path.is_file() else 'not fetched'})",
        "SHA-256": f"{weights.sha256}…" if weights.sha256 else "not published",
    }
    width = max(map(len, rows))
    return f"{weights.name}\n" + "\n".join(f"  {key:<{width}}  {rows[key]}" for key in rows)
