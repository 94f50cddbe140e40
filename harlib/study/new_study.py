"""A person's own videos -> the parameter files of a study that fits them: `har new-study`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harlib import HarlibError, pretrained, text
from harlib.data import Catalog, VideoError, label_sets, probe
from harlib.data.catalog import corrections as correcting
from harlib.data.catalog import names
from harlib.files import write_text
from harlib.study import step_time
from harlib.study.params.base import project_root

PROBED = 60  # videos that are looked into
FEW = 5  # videos of a category
FOLDED = (30, 500)  # of so many videos every one is scored once, by cross-validation
FOLDS = 3
CLIP_S = 1.3  # what a clip spans, where the videos are as long
CLIPS = 7_200  # shown in a training: what a small C3D from scratch needed on 90 videos of UCF101
EPOCHS = (15, 120)
_FRAMES, _SIDE = 16, 64
_SHARE = 0.75  # of the budget for training; the rest is for preparing, checks and scoring
# notebook 02's recipe of params/ucf101-mini, and what it has in common with the 3D network's
_FRAME_CNN = {"backbone": "small", "width": 0.5, "frames": 1, "color": 0.2, "clips": 10,
              "recipe": "modern", "recipe_options": {"ema": 0}, "mix": "none"}  # fmt: skip
_ALIKE = ("size", "crop", "crop_scale", "flip", "batch", "epochs", "balanced", "validate_split",
          "split")  # fmt: skip
_SIDES = frozenset(("left", "right", "clockwise", "anticlockwise", "counterclockwise"))


@dataclass(frozen=True)
class Look:
    """What the videos of a folder or table are like.

    `height`, `width`, `fps` and `seconds` are medians of those that were opened; `shortest` in
    seconds; `unreadable` has (path, reason). `group` is the pattern, `frame_fps` the rate of
    folders of frames, `background` the share of unlabelled time and `corrections` the table of
    corrected labels that were given for them.
    """

    path: Path
    catalog: Catalog
    height: int
    width: int
    fps: float
    seconds: float
    shortest: float
    unreadable: list[tuple[str, str]]
    group: str = ""
    stills: Path | None = None
    frame_fps: float | None = None
    background: float = 0.0
    corrections: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What is chosen for the videos: values for the parameter files, and why, a line each."""

    folds: list[list[str]]  # groups held out in each; empty: by a share
    split: str
    store_size: list[int]
    size: list[int]
    clip_fps: float
    flip: bool
    batch: int
    epochs: int
    balanced: bool
    weights: str
    why: list[str]


def look(
    path: Path,
    *,
    group: str | None = None,
    stills: Path | None = None,
    frame_fps: float | None = None,
    background: float = 0.0,
    corrections: Path | None = None,
) -> Look:
    """Lists the videos and opens some of them.

    Args:
        path: a folder per category, or a table.
        group: a regular expression; its (…) in a file's name is the video's group.
        stills: labelled pictures that the frame CNN learns from first.
        frame_fps: of folders of numbered images, as `Catalog.from_folder`.
        background: of a table, as `Catalog.from_table`.
        corrections: labels that are wrong, a table of `harlib.data.catalog.corrections`.

    Raises:
        HarlibError: there are none, or too few to learn anything from; or no stills there.
    """
    if stills:
        Catalog.from_stills(stills)
    if path.is_file():
        listed = Catalog.from_table(path, group=group, frame_fps=frame_fps, background=background)
    elif background:
        raise HarlibError(f"{path} is a folder: --background is of a table with start and end")
    else:
        listed = Catalog.from_folder(path, group=group, frame_fps=frame_fps)
    if corrections:
        listed = correcting.corrected(listed, corrections)
    if len(label_sets.classes(listed.categories)) < 2:
        raise HarlibError(
            f"{path} has one category, {listed.categories[0]!r}: a network learns to tell "
            "categories apart, so give at least two (a folder each, or a label each)"
        )
    files = listed.frame.loc[listed.frame["path"] != "", "path"].tolist()
    if not files:
        first = str(listed.frame["video_id"].iloc[0])
        raise HarlibError(
            f"none of the {text.count(len(listed), 'video')} of {path} is there, first {first}: a "
            "path is written with / and begins at the table's folder, or at /"
        )
    some = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, PROBED).astype(int))]
    found, unreadable = [], []
    for file in some:
        try:
            found.append(probe(file))
        except VideoError as error:
            unreadable.append((file, error.reason))
    if not found:
        raise HarlibError(f"none of {len(some)} videos of {path} can be read: {unreadable[0][1]}")
    lengths = [one.duration_s or one.frames / one.fps for one in found]
    parts = (listed.frame["end_s"] - listed.frame["start_s"].fillna(0)).dropna()
    lengths = parts.tolist() or lengths  # of segments, not of the long videos that they are in
    lengths = [seconds for seconds in lengths if seconds > 0] or [CLIP_S]
    return Look(
        path=path,
        catalog=listed,
        height=round(statistics.median(one.height for one in found)),
        width=round(statistics.median(one.width * one.pixel_aspect for one in found)),
        fps=statistics.median(one.fps for one in found),
        seconds=statistics.median(lengths),
        shortest=min(lengths),
        unreadable=unreadable,
        group=group or "",
        stills=stills,
        frame_fps=frame_fps,
        background=background,
        corrections=corrections,
    )


def plan(
    seen: Look,
    *,
    budget_s: float = 900.0,
    folds: int | None = None,
    size: int = _SIDE,
    measure: Callable[[dict[str, Any]], float] | None = None,
) -> Plan:
    """What suits the videos, the time and this machine.

    Args:
        budget_s: seconds that the whole study may take, about.
        folds: 0 holds out a share once; None lets the number of videos decide.
        size: pixels of the short side of what the network sees.
        measure: seconds of a training step of a network of such settings; by default measured.

    Raises:
        HarlibError: so many folds cannot be made of the groups.
    """
    frame = seen.catalog.frame
    why: list[str] = []
    counts = _counts(frame)
    several = label_sets.several(seen.catalog.categories)
    split, held = _sides(seen, folds, why)
    parts = max(1, len(held))
    learned = len(frame) * (parts - 1) // parts if held else int((frame["split"] == "train").sum())
    wide = _even(size * seen.width / seen.height) if seen.width >= seen.height else _even(size)
    tall = _even(size) if seen.width >= seen.height else _even(size * seen.height / seen.width)
    stored = [_even(side * 9 / 8) for side in (tall, wide)]
    why.append(
        f"Size: {tall} × {wide} pixels of {stored[0]} × {stored[1]} in the store, from videos of "
        f"{seen.height} × {seen.width}: room for random crops. Raise --size where a person cannot "
        "tell the actions in the data report's pictures."
    )
    span = min(CLIP_S, max(0.2, 0.8 * seen.seconds))
    clip_fps = round(min(seen.fps, _FRAMES / span), 2)
    why.append(
        f"Clips: {_FRAMES} frames at {clip_fps:g} per second span {_FRAMES / clip_fps:.1f} s; the "
        f"videos last {seen.seconds:.1f} s (median; the shortest {seen.shortest:.1f} s)."
    )
    batch = int(np.clip(learned // 6, 4, 16))
    network = {"size": [tall, wide], "frames": _FRAMES, "batch": batch, "classes": len(counts)}
    step_s = (measure or step_time.measured)(network)
    wanted = int(np.clip(round(CLIPS / max(1, learned)), *EPOCHS))
    affordable = int(_SHARE * budget_s / parts / max(1e-9, learned / batch * step_s))
    epochs = max(EPOCHS[0], min(wanted, affordable))
    minutes = parts * epochs * learned / batch * step_s / 60
    why.append(
        f"Training: {epochs} epochs of {text.count(learned, 'clip')}, a step of {batch} takes "
        f"{step_s:.2f} s here: about {text.count(max(1, round(minutes)), 'minute')} in all"
        + (f" for {parts} folds" if held else "")
        + (f" (time for {wanted} epochs would be better: --budget)." if epochs < wanted else ".")
    )
    if several:
        why.append(
            f"Labels: {len(counts)}, of which a video may have several: each has a probability of "
            "its own, and runs are ranked by mean average precision."
        )
    flip = not _sides_matter(seen.catalog.categories)
    if not flip:
        why.append("Mirror: off, as the categories' names tell left from right.")
    balanced = not several and bool(counts.max() > 2 * counts.min())
    if balanced:
        why.append(f"Balance: on, as categories have {counts.min():,} to {counts.max():,} videos.")
    return Plan(held, split, stored, [tall, wide], clip_fps, flip, batch, epochs, balanced,
                "" if several else _weights(why), why)  # fmt: skip


def warnings(seen: Look) -> list[str]:
    """What a person should know before anything runs."""
    said = list(seen.catalog.notes)
    counts = _counts(seen.catalog.frame)
    few = [f"{name} {number}" for name, number in counts.items() if number < FEW]
    if few:
        said.append(
            f"Warning: fewer than {FEW} videos in {names.first(few, 8)}. A result on so few has an "
            "interval that tells little; 20 of each, from several recordings, tell something."
        )
    if seen.unreadable:
        path, why = seen.unreadable[0]
        said.append(
            f"Warning: {len(seen.unreadable)} of the videos looked into cannot be read, first "
            f"{names.printable(path)}: {why}. They are left out, and the data report lists all."
        )
    return said


def _counts(frame: pd.DataFrame) -> pd.Series:
    """Videos of each label, most frequent first; a video of several counts for each."""
    return _by_label(frame)["category"].value_counts()


def _kinds(categories: list[str]) -> str:
    """``9 categories``, or ``9 labels, several per video``."""
    if label_sets.several(categories):
        return f"{len(label_sets.classes(categories))} labels, several per video"
    return f"{len(categories)} categories"


def _by_label(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per video and label: the videos themselves where each has one."""
    if not label_sets.several(frame["category"].unique()):
        return frame
    return frame.assign(category=frame["category"].map(label_sets.split)).explode("category")


def refuse(name: str) -> None:
    """Whether a study can have this name, asked before any work.

    Raises:
        HarlibError: NAME is no name of a study, or there is such a study.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise HarlibError(f"{name!r} is no name of a study: letters, digits and . _ - alone")
    root = project_root()
    for there in (root / "params" / name, root / "runs" / name, root / "data" / name):
        if there.exists():
            raise HarlibError(f"{there} is there already: choose another name")


def write(name: str, seen: Look, chosen: Plan) -> list[Path]:
    """Writes params/NAME/*.yaml; returns the files.

    Raises:
        HarlibError: as of `refuse`.
    """
    refuse(name)
    root = project_root()
    folder = root / "params" / name
    contents = _contents(name, seen, chosen, root)
    for file, content in contents.items():
        write_text(folder / file, content)
    return [folder / file for file in contents]


def _contents(name: str, seen: Look, chosen: Plan, root: Path) -> dict[str, str]:
    where = seen.path.resolve()
    data_root = _from_root(where.parent if where.is_file() else where, root)
    files = {
        "common.yaml": _text(
            [f"{len(seen.catalog):,} videos of {_kinds(seen.catalog.categories)}, made by "
             "har new-study.", f"Command: har study {name}", *chosen.why],
            {"seed": 0, "data_root": str(data_root)},
        )
    }  # fmt: skip
    data: dict[str, Any] = {
        "source": "table" if where.is_file() else "folder",
        "videos": where.name if where.is_file() else ".",
        "codec": "jpeg",
        "store_size": chosen.store_size,
        "fps": None,
    }
    if seen.group:
        data["group"] = seen.group
    if seen.frame_fps is not None:
        data["frame_fps"] = seen.frame_fps
    if seen.background:
        data["background"] = seen.background
    if seen.corrections:
        data["corrections"] = str(_from_root(seen.corrections.resolve(), root))
    network = {
        "model": "c3d_bn",
        "width": 0.25,
        "dense": 256,
        "dropout": 0.2,
        "pixels": "residual",
        "frames": _FRAMES,
        "clip_fps": chosen.clip_fps,
        "size": chosen.size,
        "crop": "random",
        "crop_scale": round(chosen.size[0] / chosen.store_size[0], 3),
        "flip": chosen.flip,
        "batch": chosen.batch,
        "epochs": chosen.epochs,
        "recipe": "modern",
        "recipe_options": {"lr": 1e-3, "label_smoothing": 0.05, "ema": 0},
        "color": 0.4,
        "grey": 0.3,
        "jitter": 0.3,
        "mix": "none",
        "balanced": chosen.balanced,
        "validate_split": "",
        "split": chosen.split,
        "clips": 10,
    }
    about = ["C3D at a quarter of its width, on what changes from frame to frame."]
    runs: dict[str, tuple[list[str], dict[str, Any]]] = {"03_c3d": (about, network)}
    if seen.stills:
        runs["02_frame_cnn"] = (
            ["A small image network: the stills first, then single frames of the videos."],
            {"stills": str(_from_root(seen.stills.resolve(), root)), **_FRAME_CNN,
             **{key: network[key] for key in _ALIKE}},
        )  # fmt: skip
    if chosen.weights:
        own = {key: network[key] for key in ("batch", "balanced", "validate_split", "split",
                                             "clips", "flip")}  # fmt: skip
        runs["09_pretrained.probe"] = (
            ["What others learned, and a linear classifier on it: minutes."],
            {"weights": chosen.weights, "model": pretrained.find(chosen.weights).network,
             "recipe": "probe", **own},
        )  # fmt: skip
    if not chosen.folds:
        files["01_data_prep.yaml"] = _text(["The videos and their clip store."], data)
        for run, (words, values) in runs.items():
            files[f"{run}.yaml"] = _text(words, values)
        files["05_evaluation.yaml"] = _text(["Compares the runs."], {"runs": []})
        return files
    for number, held in enumerate(chosen.folds, 1):
        store = {"store": f"data/{name}/store-fold{number}"}
        words = [f"Fold {number}: these groups are held out; the others are learned from."]
        files[f"01_data_prep.fold{number}.yaml"] = _text(words, data | {"held_out": held} | store)
        for run, (words, values) in runs.items():
            files[f"{run}.fold{number}.yaml"] = _text(words, store | values)
    return files


def _from_root(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _sides(seen: Look, folds: int | None, why: list[str]) -> tuple[str, list[list[str]]]:
    """(the split that is scored, the groups held out by each fold)."""
    frame = seen.catalog.frame
    given = not any(line.startswith("Held out: ") for line in seen.catalog.left_out)
    if given and not folds:
        split = "test" if (frame["split"] == "test").any() else "val"
        if not (frame["split"] == split).any():
            raise HarlibError(f"{seen.path} names no val or test videos: nothing could be scored")
        why.append(f"Split: the one that {seen.path.name} gives, scored on {split}.")
        return split, []
    few, many = FOLDED
    if folds is None:
        folds = FOLDS if few <= len(frame) <= many else 0
        folds = folds if _folds(frame, folds) else 0
    if folds:
        held = _folds(frame, folds)
        if not held:
            raise HarlibError(
                f"--folds {folds}: each category needs {folds} groups or more, so that every fold "
                "holds out one and learns from others"
            )
        why.append(
            f"Folds: {folds}, by group: every video is scored once, by a network that learned from "
            "none of its group, and the pooled accuracy heads the study's page."
        )
        return "val", held
    why.append("Split: a fifth of the groups is held out, by their names.")
    return "val", []


def _folds(frame: Any, count: int) -> list[list[str]]:
    """Groups by fold, the videos shared out evenly; empty where a category would lack a side."""
    if count < 2:
        return []
    sizes = frame.groupby("group").size().sort_values(ascending=False, kind="stable")
    held: list[list[str]] = [[] for _ in range(count)]
    taken = np.zeros(count)
    own = _by_label(frame).groupby("group")["category"].value_counts().unstack(fill_value=0)
    shares = np.zeros((count, own.shape[1]))
    for group, number in sizes.items():
        # where its categories are rarest so far, then where the fewest videos are
        rare = shares @ own.loc[group].to_numpy(float)
        place = min(range(count), key=lambda i: (rare[i], taken[i], i))
        held[place].append(str(group))
        taken[place] += number
        shares[place] += own.loc[group].to_numpy(float)
    total = own.sum(axis=0).to_numpy()
    whole = (shares > 0).all() and (shares < total).all()
    return [sorted(one) for one in held] if whole else []


def _weights(why: list[str]) -> str:
    """Published weights whose file is here; the network that suits a CPU best first."""
    for name in ("x3d_s/kinetics400", "x3d_xs/kinetics400", "r2plus1d_18/kinetics400",
                 "efficientnet_lite0/imagenet"):  # fmt: skip
        if name in pretrained.names() and pretrained.find(name).path.is_file():
            why.append(f"Published weights: {name} is here, so a linear probe of it runs too.")
            return name
    why.append(
        "Published weights: none is here. With them videos as few as these are named far better: "
        "har weights fetch x3d_s/kinetics400, then this command again under another name."
    )
    return ""


def _sides_matter(categories: list[str]) -> bool:
    return any(_SIDES & set(re.split(r"[^a-z]+", name.lower())) for name in categories)


def _even(value: float) -> int:
    """A whole number of 8 pixels, so that poolings divide it."""
    return max(16, 8 * round(value / 8))


def _text(words: list[str], values: dict[str, Any]) -> str:
    import textwrap

    import yaml

    lines = [line for word in words for line in textwrap.wrap(word, 98)]
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None,
                          width=98)  # fmt: skip
    return "".join(f"# {line}\n" for line in lines) + body


def told(seen: Look, chosen: Plan) -> list[str]:
    """All that is said to the person who asked."""
    counts = _by_label(seen.catalog.frame)["category"].value_counts(sort=False)
    said = warnings(seen)
    if chosen.folds:  # each has a share of its own
        said = [
            correcting.said_of_folds(line) if line.startswith(correcting.SAID) else line
            for line in said
            if not line.startswith("Held out: ")
        ]
    return [
        f"{text.count(len(seen.catalog), 'video')} of {_kinds(seen.catalog.categories)}: "
        f"{names.first([f'{name} {number:,}' for name, number in counts.items()], 12)}.",
        *said,
        *chosen.why,
    ]
