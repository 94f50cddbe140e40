"""What a run makes of each category, or of each label where videos have several."""

import pandas as pd

from harlib import figures
from harlib.evaluation import Scores, metrics, multi_label
from harlib.study.wording import sentences, tables


def show_mistakes(scores: Scores) -> None:
    """Shows the confusion matrix; of several labels their average precision."""
    if scores.several:
        figures.show(figures.average_precisions(multi_label.per_label(scores)))
    else:
        figures.show(figures.confusion(metrics.confusion(scores), scores.categories.tolist()))


def mistakes(scores: Scores, split: str, *, n: int) -> tables.Table:
    """The n most frequent confusions; of several labels what is measured of each.

    split: of the scored videos, as `multi_label.per_label` takes it.
    """
    if scores.several:
        return labels_table({"": scores}, split)
    return tables.Table(metrics.most_confused(scores, n=n))


def show_categories(scores: Scores | dict[str, Scores], split: str) -> tables.Table | None:
    """Shows the accuracy by category, of one run or several.

    Of several labels per video: of several runs their average precision, of one how often each
    label is found and overlooked.
    """
    several = [one.several for one in (scores.values() if isinstance(scores, dict) else [scores])]
    if not several[0]:
        figures.show(figures.per_category(metrics.per_category(scores)))
    elif isinstance(scores, dict):
        by_run = {name: multi_label.per_label(own, split) for name, own in scores.items()}
        figures.show(figures.average_precisions(by_run))
    else:
        found = multi_label.outcomes(scores, split)
        return tables.Table(found.rename(columns={"category": "label"}))
    return None


def reading(scores: Scores, split: str) -> tables.Sentence:
    """Where a run is strong and where it is weak."""
    if scores.several:
        return sentences.labels(
            multi_label.per_label(scores, split), multi_label.can_cross_fit(scores, split)
        )
    return sentences.reading(metrics.per_category(scores), metrics.most_confused(scores, n=2))


def labels_table(scores: dict[str, Scores], split: str) -> tables.Table:
    """`multi_label.per_label` as a reader wants it: a row per label, of several runs by run."""
    parts = []
    for name, own in scores.items():
        table = multi_label.per_label(own, split)
        shown = table[["category", "support", "average_precision"]].copy()
        shown["95 % interval"] = [
            f"{100 * row.low:.1f} to {100 * row.high:.1f} %" if row.support else "–"
            for row in table.itertuples()
        ]
        rest = table[["prevalence", "threshold", "precision", "recall", "f1"]]
        shown = pd.concat([shown, rest], axis=1)
        if name:
            shown.insert(0, "run", name)
        parts.append(shown)
    found = pd.concat(parts, ignore_index=True)
    return tables.Table(found.rename(columns={"category": "label", "support": "videos"}))
