"""Runs that differ in their seed alone: one line of a table, with its spread."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from harlib.evaluation import folds, ranking
from harlib.run_folder import RunFolder
from harlib.study.runs import settings_apart
from harlib.text import count


def groups(runs: Mapping[str, Path]) -> dict[str, list[str]]:
    """{line: names of its runs} of all runs, in order; a run without other seeds is its own line.

    Seeds of one run have the same settings, the same clip store and different seeds. Folds of a
    cross-validation are lines of their own.

    Args:
        runs: {name: folder}; a name may have its network in brackets, as `naming.named` writes it.
    """
    lines: list[tuple[object, list[str], set[object]]] = []
    in_folds = {name for found in folds.of_names([f.name for f in runs.values()]).values()
                for name in found}  # fmt: skip
    for name, folder in runs.items():
        known = RunFolder(folder).params.is_file() and folder.name not in in_folds
        settings = settings_apart.of_run(folder) if known else {"folder": folder}
        seed = settings.pop("seed", None)
        for own, names, seeds in lines:
            if own == settings and seed not in seeds:
                names.append(name)
                seeds.add(seed)
                break
        else:
            lines.append((settings, [name], {seed}))
    taken = {name for _, names, _ in lines for name in names if len(names) == 1}
    found: dict[str, list[str]] = {}
    for _, names, _ in lines:
        line = names[0] if len(names) == 1 else _named(names, taken | found.keys())
        found[line] = names
    return found


def _named(names: list[str], taken: set[str]) -> str:
    """``03_c3d, 3 seeds (network)`` of 03_c3d.seed0 and on; told apart from what is `taken`."""
    runs = [name.partition(" (")[0] for name in names]
    _, bracket, network = names[0].partition(" (")
    common = os.path.commonprefix([f"{run}." for run in runs]).rpartition(".")[0] or runs[0]
    behind = f", {count(len(names), 'seed')}{bracket}{network}"
    return next(
        name for name in (f"{common}{behind}", f"{common}.*{behind}", f"{', '.join(runs)}{behind}")
        if name not in taken
    )  # fmt: skip


def lines(table: pd.DataFrame, found: Mapping[str, list[str]]) -> pd.DataFrame:
    """`metrics.table` with a row per line of `groups` instead of one per run.

    Of several seeds a number is their mean, and so are low and high: the interval of a single
    training. New columns: `runs`, the names of its runs, `seeds`, their number, and of the number
    that ranks the runs `spread` (standard deviation, NaN of one seed), `lowest` and `highest`.
    """
    key, rows = ranking.measure(table), []
    for line, names in found.items():
        own = table[table["run"].isin(names)]
        row = own.iloc[0].to_dict()
        if len(own) > 1:
            row |= own.select_dtypes("number").mean().to_dict()
            row |= {name: own[name].iloc[0] for name in ("videos", "parameters")}
        values = own[key]
        row |= {
            "run": line,
            "runs": names,
            "seeds": len(own),
            "spread": values.std() if len(own) > 1 else None,
        }
        rows.append(row | {"lowest": values.min(), "highest": values.max()})
    return pd.DataFrame(rows)


def middle(table: pd.DataFrame, names: list[str]) -> str:
    """Of a line's runs the one in the middle of the ranking, of two the better one.

    table: `metrics.table`.
    """
    ranked = ranking.ranked(table[table["run"].isin(names)])["run"]
    return str(ranked.iloc[(len(ranked) - 1) // 2])


def best(table: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The run that stands for the best line: of several seeds the one in the `middle`.

    Args:
        table: `metrics.table`.
        rows: of `lines`.
    """
    return middle(table, ranking.ranked(rows).iloc[0]["runs"])
