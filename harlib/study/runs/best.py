"""Which of a study's runs ranks first: one answer for its index, card, videos and bundle."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harlib.evaluation import ScoreError, Scores, folds, metrics, multi_label, ranking
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.runs import fingerprint, seeds


def measured(runs_dir: Path) -> list[Path]:
    """The complete runs with metrics in ``runs/<study>``; where some have several labels, those."""
    ended = [
        file.parent
        for file in sorted(Path(runs_dir).glob("[0-9][0-9]_*/metrics.json"))
        if fingerprint.is_ended(file.parent)
    ]
    of_several = [
        one for one in ended if ranking.is_of_several(read_json(RunFolder(one).metrics, "video"))
    ]
    return of_several or ended


def ranked(folders: Sequence[Path]) -> pd.DataFrame:
    """What ranks among runs, the best first: a run, the seeds of one, the folds of one.

    Seeds rank by their mean, folds by what they reach pooled. Folds that cannot be pooled are runs
    like others.

    Returns:
        DataFrame `run` (its name; of seeds that of `seeds.groups`, of folds the one that they are
        folds of), `runs` (the names that it stands for), `in_folds`, and what ranks
        (`ranking.measure`).
    """
    place = {folder.name: folder for folder in folders}
    table = metrics.table(list(folders))
    key = ranking.measure(table)
    rows = seeds.lines(table, seeds.groups(place))[["run", "runs", key]].assign(in_folds=False)
    for run, names in folds.of_names(list(place)).items():
        value = _pooled(table[table["run"].isin(names)], [place[name] for name in names])
        if value is not None:
            own = pd.DataFrame([{"run": run, "runs": names, key: value, "in_folds": True}])
            rows = pd.concat([rows[~rows["run"].isin(names)], own], ignore_index=True)
    return ranking.ranked(rows).reset_index(drop=True)


def run(folders: Sequence[Path]) -> str:
    """The run that stands for what ranks first: of several seeds or folds the one in the middle."""
    return seeds.middle(metrics.table(list(folders)), ranked(folders).iloc[0]["runs"])


def _pooled(table: pd.DataFrame, parts: list[Path]) -> float | None:
    """What ranks folds; None where they cannot be pooled."""
    if not all(RunFolder(part).scores.is_file() for part in parts):
        return None
    try:
        together = folds.pooled([Scores.load(part, views=False) for part in parts])
    except ScoreError:
        return None
    if together.several:
        return multi_label.mean_average_precision(together)
    return float((table["video_top1"] * table["videos"]).sum() / table["videos"].sum())
