"""A trained run on untrimmed videos whose segments are labelled: `har segments`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from harlib import HarlibError, MissingFile, text
from harlib.data import Catalog, VideoError, label_sets
from harlib.data.catalog import background, names
from harlib.evaluation import segments
from harlib.inference import Prediction, Predictor, load, segment_pages
from harlib.inference import segments as finding
from harlib.run_folder import RunFolder
from harlib.study.runs.scored_store import AnotherStore, scored_store

CHOSEN_ON = "val"  # how windows become segments; the test videos choose nothing


def compare(
    source: str | Path,
    table: Path | None,
    *,
    split: str,
    out: Path | None = None,
    checkpoint: str = "last",
    overwrite: bool = False,
    say: Callable[[str], object] = print,
) -> Path:
    """Finds segments in untrimmed videos, compares them with the labelled ones, writes a page.

    How windows become segments is chosen on the val videos where others are compared; else it is
    what `harlib.inference.segments.usual` gives.

    Args:
        source: as of `harlib.inference.load`.
        table: of segments, `path,label,start,end[,split,group]`; None = those that the run's clip
            store was made of.
        out: a folder; None = in the run's `segments`, named by the split and the table.
        overwrite: whether a page that is there is replaced.

    Returns:
        The page.

    Raises:
        HarlibError: no labelled segments in that split, several labels per video, or `out` may not
            be written.
        MissingFile: none of the listed files is there.
    """
    is_run = RunFolder(source).params.is_file()
    if out is None and not is_run:
        raise HarlibError(f"{source} is no run, in whose folder the page would lie: name --out")
    folder = out or RunFolder(source).segments / (f"{table.stem}-{split}" if table else split)
    segment_pages.check(folder, overwrite=overwrite)
    own = _own_catalog(Path(source)) if is_run else None
    rows = _rows(*_listed(table, own, say))
    told = rows[rows["split"] == split]
    labelled = _labelled(told)
    if labelled.empty:
        there = ", ".join(sorted(_labelled(rows)["split"].unique())) or "none"
        raise HarlibError(f"{table or source}: no segments in split {split!r}; there are {there}")
    warnings = [] if own is None else _learned(rows, split, own.frame)
    for warning in warnings:
        say(warning)
    predictor = load(source, checkpoint=checkpoint)
    if predictor.thresholds is not None or label_sets.several(rows["label"].tolist()):
        raise HarlibError(
            "har segments compares segments of one label each, and these have several (|): "
            "har evaluate scores whole videos with several labels"
        )
    if predictor.note:
        say(predictor.note)
    how, chosen = _how(predictor, rows, split, say)
    predictions = _predictions(predictor, told, say)
    there = _whole(labelled, predictions)
    if lost := int((~there["video"].isin(predictions)).sum()):
        warnings.append(
            f"Of {text.count(len(there), 'labelled segment')} {lost:,} are in videos that are "
            "missing or cannot be read, and count as missed."
        )
        say(warnings[-1])
    if unknown := sorted(set(there["label"]) - set(predictor.categories)):
        say(f"Not among the network's categories, so all missed: {names.first(unknown, 8)}.")
    found = finding.found(predictions, how)
    groups = told.drop_duplicates("video").set_index("video")["group"]
    result = segments.measure(there, found, groups)
    lengths = {name: _length(one) for name, one in predictions.items()}
    minutes = sum(lengths.values()) / 60
    looked = (
        f"{text.count(len(predictions), split + ' video')}, {minutes:.1f} minutes, a window every "
        f"{finding.every_s(predictor):.2g} s; {text.count(groups.nunique(), 'group')} are "
        "resampled for the intervals."
    )
    page = segment_pages.write(
        folder,
        predictor.name,
        there,
        found,
        result,
        lengths,
        [looked, f"Segments: {how}. {chosen}", *warnings],
    )
    say(f"{segment_pages.sentence(result, len(predictions))}.")
    return page


def _own_catalog(run_dir: Path) -> Catalog | None:
    """The videos that the run's clip store was made of; None where their list is gone."""
    try:
        root = scored_store(run_dir).root
    except AnotherStore:
        return None
    file = root.with_name(f"{root.name}-catalog.csv")
    return Catalog.from_csv(file) if file.is_file() else None


def _listed(
    table: Path | None, own: Catalog | None, say: Callable[[str], object]
) -> tuple[pd.DataFrame, Path]:
    """(rows of a catalog, the folder that videos are named from)."""
    listed = own if table is None else Catalog.from_table(table)
    if listed is None:
        raise MissingFile(
            "the list of the videos that the run learned from is gone: name the table of segments"
        )
    files = listed.frame.loc[listed.frame["path"] != "", "path"]
    if files.empty:
        where = "in its folder, which paths start from" if table else "any more"
        raise MissingFile(f"none of the videos of {table or 'the run'} is there {where}")
    for note in listed.notes:
        if note.startswith("Warning"):
            say(note)
    base = (
        _common(files.map(os.path.dirname).tolist()) if table is None else table.absolute().parent
    )
    return listed.frame, Path(base)


def _common(folders: list[str]) -> str:
    try:
        return os.path.commonpath(folders)
    except ValueError:  # on several drives
        return folders[0]


def _shown(path: str, base: Path) -> str:
    """What a video is called: its path from `base`, whole where it is on another drive."""
    try:
        return Path(os.path.relpath(path, base)).as_posix()
    except ValueError:
        return Path(path).as_posix()


def _rows(listed: pd.DataFrame, base: Path) -> pd.DataFrame:
    """All rows with `video, path, label, start_s, end_s, split, group`.

    Background, whose rows tell of videos without any action, is among them. A row whose file is
    missing has the path "" and is a video of its own.
    """
    parts = listed["start_s"].notna() | listed["end_s"].notna()
    if not parts.any():
        raise HarlibError(
            "no row has start or end, so all are whole videos and not segments of longer ones: "
            "har evaluate scores these"
        )
    crossing = listed[listed["path"] != ""].groupby("path")["split"].nunique()
    if (crossing > 1).any():
        file = names.printable(os.path.basename(crossing.idxmax()))
        raise HarlibError(f"{file} has segments in several splits: all of a video are in one")
    shown = [
        _shown(path, base) if path else video
        for path, video in zip(listed["path"], listed["video_id"], strict=True)
    ]
    return listed.rename(columns={"category": "label"}).assign(video=shown)


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """The segments alone, without background."""
    return rows[rows["label"] != background.named(rows["label"])]


def _learned(rows: pd.DataFrame, split: str, own: pd.DataFrame) -> list[str]:
    """Warnings of videos that the run learned from: those told of, and those that choose."""
    learned = {os.path.realpath(p) for p in own.loc[own["split"] == "train", "path"] if p}
    harm = {CHOSEN_ON: "so how segments are found is chosen too well for others"}
    warnings = []
    for part, why in (harm | {split: "so the result is too good"}).items():
        paths = rows.loc[(rows["split"] == part) & (rows["path"] != ""), "path"].unique()
        if seen := sum(os.path.realpath(path) in learned for path in paths):
            videos = text.count(len(paths), f"{part} video")
            warnings.append(f"Warning: the network learned from {seen} of {videos}, {why}.")
    return warnings


def _how(
    predictor: Predictor, rows: pd.DataFrame, split: str, say: Callable[[str], object]
) -> tuple[finding.Finding, str]:
    """(how segments are found, the sentence about how that was chosen)."""
    own = rows[rows["split"] == CHOSEN_ON]
    if split != CHOSEN_ON and len(_labelled(own)):
        say(f"Choosing how segments are found on the {CHOSEN_ON} videos:")
        predictions = _predictions(predictor, own, say)
        there = _whole(_labelled(own[own["video"].isin(predictions)]), predictions)
        if there.empty:
            raise HarlibError(f"none of the {CHOSEN_ON} videos with segments can be read")
        span = finding.every_s(predictor) * finding.WINDOWS
        how = finding.choose(predictions, there, span)
        found = finding.found(predictions, how)
        return how, (
            f"Chosen on {text.count(len(predictions), f'{CHOSEN_ON} video')}, which have F1 "
            f"{text.percent(segments.f1(there, found))} at overlap 0.5."
        )
    why = "these are the val videos" if split == CHOSEN_ON else "no val videos are labelled"
    return finding.usual(predictor), f"Usual values: {why}, so none were left to choose by."


def _predictions(
    predictor: Predictor, rows: pd.DataFrame, say: Callable[[str], object]
) -> dict[str, Prediction]:
    """What is said of each video that can be read, by its name."""
    found = {}
    there = rows[rows["path"] != ""]
    for name, path in dict(zip(there["video"], there["path"], strict=True)).items():
        try:
            found[name] = predictor(path, every_s=finding.every_s(predictor))
        except VideoError as error:
            say(f"{names.printable(name)}: cannot be read: {error.reason}")
            continue
        warning = f" Warning: {found[name].warning}" if found[name].warning else ""
        say(f"{names.printable(name)}: {_length(found[name]):.1f} s.{warning}")
    if not found:
        splits = " and ".join(sorted(rows["split"].unique()))
        raise HarlibError(f"none of the {splits} videos is there and can be read")
    return found


def _length(one: Prediction) -> float:
    return float(one.end_s.max())


def _whole(rows: pd.DataFrame, predictions: dict[str, Prediction]) -> pd.DataFrame:
    """The segments with a beginning, and with an end where their video could be read."""
    ends = rows["video"].map({name: _length(one) for name, one in predictions.items()})
    return rows.assign(
        start_s=rows["start_s"].fillna(0.0), end_s=rows["end_s"].fillna(ends)
    ).reset_index(drop=True)
