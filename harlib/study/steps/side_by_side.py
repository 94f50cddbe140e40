"""Runs side by side: what notebook 05 shows of several, and `har compare` prints of any.

A line is a run, or the seeds of one run (`runs.seeds`).
"""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pandas as pd

from harlib import figures
from harlib.evaluation import Scores, comparison, ranking
from harlib.run_folder import RunFolder
from harlib.study.runs import seeds, settings_apart
from harlib.study.steps import results
from harlib.study.wording import apart, tables
from harlib.study.wording.sections import Section, Sections

Lines = dict[str, dict[str, Scores]]
VIDEOS = 20  # of a pair that are listed
_LINES = 5  # whose pairs are shown, the best ones


def lines(table: pd.DataFrame, runs: Mapping[str, Path]) -> pd.DataFrame:
    """`metrics.table` of the runs with the seeds of a run in one row (`seeds.lines`)."""
    return seeds.lines(table, seeds.groups(runs))


def scores_of_lines(scores: Mapping[str, Scores], runs: Mapping[str, Path]) -> Lines:
    """{line: {run: scores} of its seeds}."""
    found = seeds.groups(runs)
    return {line: {one: scores[one] for one in names} for line, names in found.items()}


def one_of_each(
    scores: Mapping[str, Scores], runs: Mapping[str, Path], table: pd.DataFrame
) -> dict[str, Scores]:
    """Of several seeds the one in the middle, {run: its scores}: for what shows a single network.

    table: `metrics.table` of the runs.
    """
    return {(run := seeds.middle(table, names)): scores[run]
            for names in seeds.groups(runs).values()}  # fmt: skip


def settings(runs: Mapping[str, Path]) -> tables.Table | tables.Sentence:
    """The settings that differ, a row each and a column per line; unknown without a file."""
    gone = [_run(name) for name, one in runs.items() if not RunFolder(one).params.is_file()]
    found = seeds.groups({name: one for name, one in runs.items() if _run(name) not in gone})
    firsts = {_run(line): runs[names[0]] for line, names in found.items()}
    table = settings_apart.table(firsts)
    for line, names in found.items():
        if len(names) > 1:
            own = {name: runs[name] for name in names}
            told = settings_apart.table(own).set_index("setting").loc["seed"]
            row = {"setting": f"seed of {_run(line)}", _run(line): ", ".join(told)}
            table = pd.concat([table, pd.DataFrame([row])]).fillna(settings_apart.ABSENT)
    if table.empty and gone:
        said = f"No setting is known to differ; without params.yaml: {', '.join(gone)}."
        return tables.Sentence(said)
    if table.empty:
        return tables.Sentence("No setting differs between these runs.")
    return tables.Table(table.assign(**dict.fromkeys(gone, "unknown")), verbatim=True)


def show_learning(runs: Mapping[str, Path]) -> tables.Sentence | None:
    """Shows the runs' learning curves; says which have none."""
    found, without = {}, []
    for line, names in seeds.groups(runs).items():
        files = [file for name in names if (file := RunFolder(runs[name]).history).is_file()]
        if files:
            found[line] = list(map(pd.read_csv, files))
        else:
            without.append(_run(line))
    if found:
        figures.show(figures.learning_of_runs(found))
    if not without:
        return None
    return tables.Sentence(f"No epochs of training: {', '.join(without)}.")


def single_seeds(
    table: pd.DataFrame, runs: Mapping[str, Path]
) -> Sections | tables.Sentence | None:
    """The accuracies of single seeds, for lines that stand for several; None without any."""
    found = {line: names for line, names in seeds.groups(runs).items() if len(names) > 1}
    if not found:
        return None
    sections = []
    for line, names in found.items():
        parts = [results.accuracy_table(table[table["run"].isin(names)])]
        sections.append(Section(f"Each seed of {_run(line)}", parts))
    return Sections(sections)


def show_categories(lines: pd.DataFrame, scores: Lines) -> tables.Sentence:
    """Shows the categories where the two best lines differ, and says what of that is no chance."""
    ranked = ranking.ranked(lines)["run"]
    if len(ranked) < 2:
        return tables.Sentence("There is one run: nothing to compare it with.")
    a, b = ranked.iloc[:2]
    table = comparison.category_difference(scores[a], scores[b])
    several = _first(scores[a]).several
    if (table["difference"] != 0).any():
        measure = "average precision" if several else "accuracy"
        figures.show(figures.category_difference(table, names=(a, b), measure=measure))
    return tables.Sentence(apart.categories(table, _run(a), _run(b), several=several))


def pairs(
    lines: pd.DataFrame,
    scores: Lines,
    compared: pd.DataFrame,
    split: str = "",
) -> Sections | tables.Sentence:
    """Every two lines: the paired test, categories and videos where they differ; the best two open.

    Args:
        lines: of `lines`.
        scores: of `scores_of_lines`.
        compared: `comparison.compare_all(scores)`.
        split: of the scored videos.
    """
    ranked = ranking.ranked(lines)["run"].tolist()
    if len(ranked) < 2:
        return tables.Sentence("There is one run: nothing to compare it with.")
    sections = [
        _pair(scores, compared, pair, split, opened=not place)
        for place, pair in enumerate(combinations(ranked[:_LINES], 2))
    ]
    if len(ranked) > _LINES:
        said = f"Of the other {len(ranked) - _LINES} runs `har compare` tells as much."
        sections.append(Section("More runs", [tables.Sentence(said)]))
    several = _first(scores[ranked[0]]).several
    said = apart.tests(len(compared), several=several)
    return Sections(sections, [tables.Sentence(said)] if said else [])


def _pair(
    scores: Lines,
    compared: pd.DataFrame,
    pair: tuple[str, str],
    split: str,
    *,
    opened: bool,
) -> Section:
    a, b = map(_run, pair)
    row = comparison.of_pair(compared, *pair).copy()
    row["a"], row["b"] = a, b
    own, other = (scores[line] for line in pair)
    several = _first(own).several
    table = comparison.category_difference(own, other)
    said = [apart.difference(row)]
    parts: list[tables.Sentence | tables.Table] = []
    if not several:
        said.append(apart.cells(row))
        parts.append(_four(row, a, b))
    parts = [tables.Sentence(" ".join(said)), *parts]
    parts.append(tables.Sentence(apart.categories(table, a, b, several=several)))
    if rest := apart.not_listed(table):
        parts.append(tables.Sentence(rest))
    parts.append(tables.Table(apart.category_table(table, a, b), verbatim=True))
    (mine, first), (yours, second) = _middle(own, split), _middle(other, split)
    mine, yours = _run(mine), _run(yours)
    flips = comparison.flipped(first, second, split)
    which = f"first {VIDEOS}" if several else f"{VIDEOS} whose wrong call was surest"
    shown = f"; the {which} are listed" if len(flips) > VIDEOS else ""
    of = f" ({mine} and {yours}, the seeds in the middle)" if len(own) + len(other) > 2 else ""
    number = "1 video is" if len(flips) == 1 else f"{len(flips):,} videos are"
    parts.append(tables.Sentence(f"{number} right for one and wrong for the other{of}{shown}."))
    parts.append(tables.Table(apart.flipped_table(flips.head(VIDEOS), mine, yours)))
    return Section(f"{a} and {b}: {apart.verdict(row)}", parts, opened)


def _middle(own: Mapping[str, Scores], split: str) -> tuple[str, Scores]:
    """Of several seeds the one in the middle by what they have right, of two the better one."""
    if len(own) == 1:
        return next(iter(own.items()))
    right = {name: comparison.called(one, split)["right"].mean() for name, one in own.items()}
    name = sorted(right, key=lambda one: -right[one])[(len(right) - 1) // 2]
    return name, own[name]


def _first(own: Mapping[str, Scores]) -> Scores:
    return next(iter(own.values()))


def _four(row: pd.Series, a: str, b: str) -> tables.Table:
    """The paired test's cells, in videos."""
    return tables.Table(
        pd.DataFrame(
            {
                "videos": [f"{a} right", f"{a} wrong"],
                f"{b} right": [apart.videos(row.both), apart.videos(row.only_b)],
                f"{b} wrong": [apart.videos(row.only_a), apart.videos(row.neither)],
            }
        ),
        verbatim=True,
    )


def _run(line: str) -> str:
    """A line's name without its network, which stands in brackets behind it."""
    return line.partition(" (")[0]
