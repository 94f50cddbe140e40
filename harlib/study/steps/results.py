"""The steps of notebook 05: what a study's runs left."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from harlib import MissingFile, figures
from harlib.data.demo import dataset
from harlib.evaluation import (
    Scores,
    calibration,
    comparison,
    hits,
    intervals,
    metrics,
    multi_label,
    naming,
    ranking,
)
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import Evaluation
from harlib.study.runs import fingerprint, session
from harlib.study.steps import by_category
from harlib.study.wording import apart, sentences, tables
from harlib.text import percent


def scored_runs(p: Evaluation) -> dict[str, Path]:
    """The study's scored runs, in order: those in ``runs``, else all complete ones.

    Each by what stands beside its numbers: its name, its network, and what that sees. Keeps for
    the run's card which clip stores they were scored on.

    Raises:
        FileNotFoundError: a named run has no scores, or when there is none at all.
    """
    folder = p.run_dir.parent
    found = {
        path.parent.name: path.parent
        for path in sorted(folder.glob("[0-9][0-9]_*/metrics.json"))
        if fingerprint.is_ended(path.parent)
    }
    if p.runs and (absent := [name for name in p.runs if name not in found]):
        raise MissingFile(
            f"no complete scores of {', '.join(absent)} in {session.from_root(p, folder)}; "
            f"there are {', '.join(found) or 'none'}"
        )
    if not found:
        raise MissingFile(
            f"no scored run in {session.from_root(p, folder)}: run a model notebook first"
        )
    chosen = {name: found[name] for name in p.runs} if p.runs else found
    stores = {RunFolder(folder).read_state().get("store_hash", "–") for folder in chosen.values()}
    if not session.kept(p):
        p.folder.write_state(store_hash=", ".join(sorted(stores)))
    return {naming.named(name, naming.read(folder)): folder for name, folder in chosen.items()}


def load_scores(runs: dict[str, Path]) -> dict[str, Scores]:
    """The scores of each run by its name."""
    return {name: Scores.load(folder) for name, folder in runs.items()}


def pairs(categories: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The reversed pairs of the embedded videos whose two categories are both there."""
    there = set(categories)
    return tuple(pair for pair in dataset.PAIRS if there.issuperset(pair))


def pair_accuracy(scores: Scores) -> pd.DataFrame:
    """``metrics.pair_accuracy`` for the pairs that are there; an empty table without any."""
    there = pairs(scores.categories)
    return metrics.pair_accuracy(scores, there) if there else pd.DataFrame()


def split_of(runs: dict[str, Path]) -> str:
    """The split that all runs were scored on; empty where they were not on the same."""
    found = {read_json(RunFolder(one).metrics, "protocol")["protocol"]["split"]
             for one in runs.values()}  # fmt: skip
    return str(found.pop()) if len(found) == 1 else ""


def _several(scores: dict[str, Scores]) -> bool:
    return any(own.several for own in scores.values())


def groups(scores: dict[str, Scores], runs: dict[str, Path]) -> tables.Sentence:
    """Whether it is known which of the scored videos belong together, and which look as if."""
    videos = [pd.DataFrame({"video_id": s.video_id, "group": s.group}) for s in scores.values()]
    said = [sentences.groups(pd.concat(videos).drop_duplicates(ignore_index=True))]
    alike = [RunFolder(folder).read_state().get("look_alikes", "") for folder in runs.values()]
    return tables.Sentence(" ".join([*said, *dict.fromkeys(filter(None, alike))]))


def accuracy_table(table: pd.DataFrame) -> tables.Table:
    """The accuracies of ``metrics.table``, best first, as a reader wants them."""
    table = ranking.ranked(table)
    table["95 % interval"] = [
        f"{100 * row.low:.1f} to {100 * row.high:.1f} %" for row in table.itertuples()
    ]
    columns = ["run", "video_top1", "95 % interval", "video_top5", "mean_class", "clip_top1",
               "clip_top5", "clip_mean_class", "minutes", "parameters", "gmacs"]  # fmt: skip
    if ranking.measure(table) == "mean_ap":
        columns = ["run", "mean_ap", "95 % interval", "chance", "macro_f1", "micro_f1",
                   "clip_mean_ap", "minutes", "parameters", "gmacs"]  # fmt: skip
        return tables.Table(table[_with_seeds(columns, table)], "Accuracy of the runs")
    left_out = [name for name in ("video_top5", "clip_top5") if table[name].isna().all()]
    shown = table[_with_seeds(columns, table)].drop(columns=left_out)
    return tables.Table(shown, "Accuracy of the runs")


def _with_seeds(columns: list[str], table: pd.DataFrame) -> list[str]:
    """The columns, with that of the seeds where a row stands for several; writes it."""
    if "seeds" not in table or table["seeds"].max() < 2:
        return columns
    table["seeds"] = [sentences.seeds(row) for row in table.to_dict("records")]
    return [*columns[:2], "seeds", *columns[2:]]


def cost_reading(table: pd.DataFrame) -> tables.Sentence:
    """Whether the run that spends most arithmetic on a video is also the most accurate."""
    if len(table) < 2:
        return tables.Sentence("There is one run: nothing to compare its cost with.")
    cost = table["gmacs"] * table["views"]
    dear = table.loc[cost.idxmax()]
    best, key = ranking.ranked(table).iloc[0], ranking.measure(table)
    if key == "mean_ap":
        names, of = "reaches", "mean average precision"
    else:
        names, of = "names", "of the videos"
    spent = f"{cost.max():.3g} billion multiply-adds per video"
    if dear[key] == best[key]:
        return tables.Sentence(
            f"{dear['run']} spends the most, {spent}, and no run {names} more {of} "
            f"({percent(dear[key])})."
        )
    return tables.Sentence(
        f"{dear['run']} spends the most, {spent}, and {names} "
        f"{percent(dear[key])} {of}; {best['run']} spends "
        f"{cost[best.name]:.3g} billion and {names} "
        f"{percent(best[key])}."
    )


def protocol_table(runs: dict[str, Path]) -> tables.Table:
    """How each run was scored."""
    names = {"split": "split", "clips": "clips per video", "crops": "crops per clip",
             "crop_scale": "crop, share", "frames": "frames per clip",
             "stride": "stride, frames", "clip_fps": "frames per second", "size": "pixels per side",
             "checkpoint": "weights"}  # fmt: skip
    rows = []
    for name, folder in runs.items():
        measured = read_json(RunFolder(folder).metrics, "protocol", "video")
        how = {said: measured["protocol"].get(key) for key, said in names.items()}
        rows.append({"run": name, "videos": measured["video"]["n"]} | how)
    table = pd.DataFrame(rows)
    if table["frames per second"].isna().all():  # every run by its stride
        table = table.drop(columns="frames per second")
    return tables.Table(table)


def comparison_table(compared: pd.DataFrame) -> tables.Table:
    """`comparison.compare_all`, a row per pair of runs, as a reader wants it."""
    if len(compared) and "p" not in compared:  # of several labels per video
        rows = [
            {
                "run A": row.a.partition(" (")[0],
                "run B": row.b.partition(" (")[0],
                "A − B, points of mAP": f"{100 * row.difference:+.1f}",
                "95 % interval, points": f"{100 * row.low:+.1f} to {100 * row.high:+.1f}",
            }
            for row in compared.itertuples()
        ]
        return tables.Table(pd.DataFrame(rows))
    rows = [
        {
            "run A": row.a.partition(" (")[0],
            "run B": row.b.partition(" (")[0],
            "A − B, points": f"{100 * row.difference:+.1f}",
            "95 % interval, points": f"{100 * row.low:+.1f} to {100 * row.high:+.1f}",
            "both right": apart.videos(row.both),
            "only A": apart.videos(row.only_a),
            "only B": apart.videos(row.only_b),
            "neither": apart.videos(row.neither),
            "p (McNemar)": "–" if pd.isna(row.p) else f"{row.p:.2g}",
        }
        for row in compared.itertuples()
    ]
    return tables.Table(pd.DataFrame(rows))


def show_confusions(scores: dict[str, Scores], split: str = "val") -> tables.Table | None:
    """Shows one confusion matrix a run; of several labels per video the table of each label."""
    if _several(scores):
        return by_category.labels_table(scores, split)
    for name, own in scores.items():
        matrix = metrics.confusion(own)
        figures.show(figures.confusion(matrix, own.categories.tolist(), title=name, run=name))
    return None


def confused_table(scores: dict[str, Scores], n: int) -> tables.Table | tables.Sentence:
    """The most frequent confusions of each run."""
    if _several(scores):
        return tables.Sentence(
            "Each label is answered by itself, so none is taken for another: the tables above say "
            "how often each is found, overlooked and wrongly named."
        )
    by_run = [metrics.most_confused(own, n=n).assign(run=name) for name, own in scores.items()]
    return tables.Table(pd.concat(by_run)[["run", "true", "predicted", "videos", "share"]])


def show_most_confused(
    scores: Scores, name: str, n: int, split: str = "val"
) -> tables.Sentence | tables.Table | None:
    """Shows one run's most frequent confusions; says so when it has none.

    Of several labels per video: how often each is found, overlooked and wrongly named.
    """
    if scores.several:
        return by_category.show_categories(scores, split)
    table = metrics.most_confused(scores, n=n)
    table = table[table["videos"] > 0]
    if not len(table):
        return tables.Sentence(f"{name} confuses no two categories.")
    figures.show(figures.top_confusions(table, run=name))
    return None


def show_reliability(scores: dict[str, Scores]) -> tables.Sentence | None:
    """Shows how often each run is right when it is so sure, with its calibration error."""
    if _several(scores):
        return tables.Sentence(
            "This is measured of videos with one label. Where they have several, each label has a "
            "threshold of its own instead, in the table above."
        )
    bins = {name: calibration.equal_counts(own) for name, own in scores.items()}
    errors = {name: calibration.calibration_error(own) for name, own in scores.items()}
    figures.show(figures.reliability(bins, error=errors))
    return None


def ensemble(scores: dict[str, Scores], best: str) -> tables.Sentence:
    """What the mean of all runs' scores reaches, beside the best run alone."""
    if len(scores) < 2:
        return tables.Sentence("There is one run: no ensemble to make.")
    together = comparison.ensemble(scores)
    lead = comparison.compare(together, scores[best])
    if together.several:
        value = multi_label.mean_average_precision(together)
        _, (low, high) = multi_label.intervals(together)
        reached = f"reaches {percent(value)} mean average precision"
    else:
        right = hits.right_videos(together)
        low, high = intervals.bootstrap_interval(right, hits.all_groups(together))
        reached = f"names the action in {percent(right.mean())} of the videos"
    chance = ", which may be chance" if lead["low"] <= 0 <= lead["high"] else ""
    return tables.Sentence(
        f"The mean of the scores of all {len(scores)} runs {reached} (95 % interval "
        f"{100 * low:.1f} to "
        f"{100 * high:.1f} %): {100 * lead['difference']:+.1f} points against {best} alone (95 % "
        f"interval {100 * lead['low']:+.1f} to {100 * lead['high']:+.1f}){chance}."
    )


def show_pairs(scores: dict[str, Scores]) -> tables.Sentence:
    """Shows how often each run tells a category from its reverse, and says which do.

    Where there are no pairs it says so.
    """
    by_run = {name: pair_accuracy(own) for name, own in scores.items()}
    if not any(map(len, by_run.values())):
        return sentences.pairs(pd.DataFrame())
    figures.show(figures.pairs(by_run))
    seeing = [name for name, table in by_run.items() if table.iloc[-1]["low"] > 0.5]
    said = (
        f"More than chance explains: {'; '.join(seeing)}."
        if seeing
        else ("No run reaches more than chance explains.")
    )
    return tables.Sentence(
        "Categories that are each other's reverse hold the same poses in the opposite order. A "
        "network that does not see order prefers the true one of the two in half of their videos. "
        + said
    )


def pairs_table(scores: dict[str, Scores]) -> tables.Table:
    """The reversed pairs that each run confuses, with the number of videos."""
    by_run = [pair_accuracy(own).assign(run=name) for name, own in scores.items()]
    table = pd.concat(by_run)
    return tables.Table(table[["run", *table.columns.drop("run")]])
