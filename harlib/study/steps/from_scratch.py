"""The steps of notebook 08 that it does not write out: its beginning, and run 03 beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harlib import evaluation
from harlib.evaluation import comparison, hits, intervals, metrics, naming
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import FromScratch
from harlib.study.runs import fingerprint, session
from harlib.study.steps import begin
from harlib.study.wording import sentences, tables

if TYPE_CHECKING:
    import keras


def start(p: FromScratch) -> tables.Sentence:
    """Begins the run; a complete one stays as it is, while the cells compute again.

    Raises: as `begin.start`.
    """
    said = begin.start(p)
    if not session.kept(p):
        return said
    place = session.from_root(p, p.run_dir)
    return tables.Sentence(
        f"Run {p.run} of the study {p.study} is complete, and its files in {place} stay as they "
        "are. The cells below train again all the same: they are there to be changed."
    )


def keep(p: FromScratch, scores: evaluation.Scores) -> None:
    """Leaves the scores in the run's folder, unless that holds a complete run."""
    if not session.kept(p):
        scores.save(p.run_dir)


def beside(
    p: FromScratch, model: "keras.Model", scores: evaluation.Scores, minutes: float
) -> tables.Table:
    """This network and that of the study's run 03: accuracy, size, arithmetic, minutes."""
    from harlib import models

    rows = [_row(p.run, scores, models.parameters(model), models.gmacs(model), minutes)]
    if (other := _run_03(p)) is not None:
        found = naming.read(other)
        network = found["model"]
        rows.append(
            _row(other.name, evaluation.Scores.load(other), network["parameters"],
                 network["gmacs"], found["minutes"])
        )  # fmt: skip
    table = pd.DataFrame(rows)
    table["95 % interval"] = [
        f"{100 * r.low:.1f} to {100 * r.high:.1f} %" for r in table.itertuples()
    ]
    shown = ["run", "video_top1", "95 % interval", "parameters", "gmacs", "minutes"]
    return tables.Table(table[shown])


def verdict(p: FromScratch, scores: evaluation.Scores) -> tables.Sentence:
    """Whether the two differ by more than chance; says so where they cannot be compared."""
    both = {p.run: scores}
    if (other := _run_03(p)) is not None:
        both[other.name] = evaluation.Scores.load(other)
    try:
        compared = comparison.compare_all(both)
    except ValueError as error:
        return tables.Sentence(f"{' and '.join(both)} cannot be compared: {error}.")
    table = pd.DataFrame([_row(name, own) for name, own in both.items()])
    return sentences.comparison(table, compared)


def _row(
    run: str,
    scores: evaluation.Scores,
    parameters: int | None = None,
    gmacs: float | None = None,
    minutes: float | None = None,
) -> dict[str, Any]:
    right = hits.right_videos(scores)
    low, high = intervals.bootstrap_interval(right, hits.all_groups(scores))
    return {
        "run": run,
        "video_top1": right.mean(),
        "low": low,
        "high": high,
        "majority": metrics.majority(scores),
        "parameters": parameters,
        "gmacs": gmacs,
        "minutes": minutes,
    }


def _run_03(p: FromScratch) -> Path | None:
    """The study's first complete run of notebook 03; None without one."""
    found = [
        folder
        for folder in sorted(p.run_dir.parent.glob("03_*"))
        if fingerprint.is_ended(folder) and RunFolder(folder).metrics.is_file()
    ]
    return found[0] if found else None
