"""A trained run on untrimmed videos whose segments are labelled: `har segments`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from harlib import HarlibError, MissingFile, text
from harlib.data import Catalog, VideoError
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
        out: a folder; None = `segments` in the run's.

    Returns:
        The page.

    Raises:
        HarlibError: no labelled segments in that split, or `out` may not be written.
    """
    is_run = RunFolder(source).params.is_file()
    if out is None and not is_run:
        raise HarlibError(f"{source} is no run, in whose folder the page would lie: name --out")
    folder = out or RunFolder(source).segments
    segment_pages.check(folder, overwrite=overwrite or out is None)
    own = _own_catalog(Path(source)) if is_run else None
    listed, base = _listed(table, own, say)
    labelled = _labelled(listed, base)
    if not (labelled["split"] == split).any():
        there = ", ".join(sorted(labelled["split"].unique())) or "none"
        raise HarlibError(f"{table or source}: no segments in split {split!r}; there are {there}")
    if table is not None and own is not None:
        _warn_of_learned(labelled[labelled["split"] == split], own.frame, say)
    predictor = load(source, checkpoint=checkpoint)
    if predictor.note:
        say(predictor.note)
    how, chosen = _how(predictor, labelled, split, say)
    predictions = _predictions(predictor, labelled[labelled["split"] == split], say)
    there = _whole(labelled[labelled["video"].isin(predictions)], predictions)
    if unknown := sorted(set(there["label"]) - set(predictor.categories)):
        say(f"Not among the network's categories, so all missed: {names.first(unknown, 8)}.")
    found = finding.found(predictions, how)
    groups = there.drop_duplicates("video").set_index("video")["group"]
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
        [looked, f"Segments: {how}. {chosen}"],
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
    if table is not None:
        listed = Catalog.from_table(table)
        for note in listed.left_out:
            if note.startswith("Warning"):
                say(note)
        return listed.frame, table.absolute().parent
    if own is None:
        raise MissingFile(
            "the list of the videos that the run learned from is gone: name the table of segments"
        )
    files = own.frame.loc[own.frame["path"] != "", "path"].map(os.path.dirname)
    return own.frame, Path(os.path.commonpath(files.tolist()))


def _labelled(listed: pd.DataFrame, base: Path) -> pd.DataFrame:
    """The segments: `video, path, label, start_s, end_s, split, group`, without background."""
    rows = listed[listed["path"] != ""]
    rows = rows[rows["category"] != background.named(rows["category"])]
    parts = rows["start_s"].notna() | rows["end_s"].notna()
    if not parts.any():
        raise HarlibError(
            "no row has start or end, so all are whole videos and not segments of longer ones: "
            "har evaluate scores these"
        )
    crossing = rows.groupby("path")["split"].nunique()
    if (crossing > 1).any():
        file = names.printable(os.path.basename(crossing.idxmax()))
        raise HarlibError(f"{file} has segments in several splits: all of a video are in one")
    shown = [Path(os.path.relpath(path, base)).as_posix() for path in rows["path"]]
    return rows.rename(columns={"category": "label"}).assign(video=shown).reset_index(drop=True)


def _warn_of_learned(rows: pd.DataFrame, own: pd.DataFrame, say: Callable[[str], object]) -> None:
    learned = {os.path.realpath(p) for p in own.loc[own["split"] == "train", "path"] if p}
    seen = [path for path in rows["path"].unique() if os.path.realpath(path) in learned]
    if seen:
        say(
            f"Warning: the network learned from {len(seen)} of these "
            f"{text.count(rows['path'].nunique(), 'video')}, so the result is too good."
        )


def _how(
    predictor: Predictor, labelled: pd.DataFrame, split: str, say: Callable[[str], object]
) -> tuple[finding.Finding, str]:
    """(how segments are found, the sentence about how that was chosen)."""
    own = labelled[labelled["split"] == CHOSEN_ON]
    if split != CHOSEN_ON and len(own):
        say(f"Choosing how segments are found on the {CHOSEN_ON} videos:")
        predictions = _predictions(predictor, own, say)
        there = _whole(own[own["video"].isin(predictions)], predictions)
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
    for name, path in dict(zip(rows["video"], rows["path"], strict=True)).items():
        try:
            found[name] = predictor(path, every_s=finding.every_s(predictor))
        except VideoError as error:
            say(f"{names.printable(name)}: cannot be read: {error.reason}")
            continue
        warning = f" Warning: {found[name].warning}" if found[name].warning else ""
        say(f"{names.printable(name)}: {_length(found[name]):.1f} s.{warning}")
    if not found:
        raise HarlibError("none of the videos can be read")
    return found


def _length(one: Prediction) -> float:
    return float(one.end_s.max())


def _whole(rows: pd.DataFrame, predictions: dict[str, Prediction]) -> pd.DataFrame:
    """The segments with a beginning and an end where the table has none."""
    ends = rows["video"].map({name: _length(one) for name, one in predictions.items()})
    return rows.assign(
        start_s=rows["start_s"].fillna(0.0), end_s=rows["end_s"].fillna(ends)
    ).reset_index(drop=True)
