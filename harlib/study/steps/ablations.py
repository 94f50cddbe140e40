"""The steps of notebook 07: the same training with one thing changed, several seeds each."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from harlib.data import ClipStore
from harlib.evaluation import naming
from harlib.study.params.notebooks import validate
from harlib.study.params.trained import C3D, Ablations
from harlib.study.runs import environment, fingerprint, session
from harlib.study.steps import model_run
from harlib.study.wording import tables
from harlib.text import count, percent


def plans(p: Ablations) -> list[tuple[str, int, C3D]]:
    """(variant, seed, parameters) of every training, in order.

    Raises:
        ParamsError: a variant whose parameters do not go together.
    """
    base = p.model_dump(include=set(C3D.model_fields))
    found = []
    for variant, changes in p.variants.items():
        values = base | changes
        whole = validate("03_c3d", values, dict.fromkeys(values, f"variant {variant}"))
        assert isinstance(whole, C3D)
        for seed in p.seeds:
            # A folder inside this run's: other notebooks do not take it for a run of the study.
            own = {"seed": seed, "run": f"{p.run}/{variant}-seed{seed}"}
            found.append((variant, seed, whole.model_copy(update=own)))
    return found


def train(p: Ablations, store: ClipStore) -> pd.DataFrame:
    """Trains and scores what is not complete yet; a row per training, from its `metrics.json`.

    Columns: `variant, seed, network, video_top1, clip_top1, minutes`; fractions in 0..1. What a
    training prints goes to `logs/` in this run's folder.
    """
    import keras

    # Of every graph traced anew and every reduction over devices it would tell in the report.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    rows, todo = [], plans(p)
    for number, (variant, seed, own) in enumerate(todo, 1):
        if not fingerprint.is_complete(own):
            keras.utils.clear_session()
            log = p.folder.logs / f"{variant}-seed{seed}.log"
            log.parent.mkdir(exist_ok=True)
            with log.open("a") as file, contextlib.redirect_stdout(file):
                model_run.run(own)
        row = {"variant": variant, "seed": seed} | _measured(own.run_dir)
        rows.append(row)
        print(
            f"[{number}/{len(todo)}] {variant}, seed {seed}: {row['video_top1']:.1%} of the "
            f"videos, {row['minutes']:.1f} min"
        )
    table = pd.DataFrame(rows)
    if session.kept(p):
        return table
    table.to_csv(p.folder.ablations, index=False)
    return table


def _measured(folder: Path) -> dict[str, Any]:
    metrics = naming.read(folder)
    return {
        "network": naming.network(metrics),
        "video_top1": metrics["video"]["top1"],
        "clip_top1": metrics["clip"]["top1"],
        "minutes": metrics["minutes"],
    }


def changes(p: Ablations) -> tables.Table:
    """What each variant changes."""
    rows = [(name, _said(changed)) for name, changed in p.variants.items()]
    return tables.Table(pd.DataFrame(rows, columns=["variant", "changes"]))


def _said(changed: dict) -> str:
    return ", ".join(f"{key}: {value}" for key, value in changed.items()) or "nothing"


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a variant of `train`'s table, in its order: mean and range over the seeds.

    Columns: `variant, network, seeds, video_top1` (mean), `lowest, highest` (seed), `difference`
    of the mean to the first variant's, `clip_top1` and `minutes` (means).
    """
    grouped = table.groupby("variant", sort=False)
    means = grouped[["video_top1", "clip_top1", "minutes"]].mean()
    made = pd.DataFrame(
        {
            "network": grouped["network"].first(),
            "seeds": grouped.size(),
            "video_top1": means["video_top1"],
            "lowest": grouped["video_top1"].min(),
            "highest": grouped["video_top1"].max(),
            "difference": means["video_top1"] - means["video_top1"].iloc[0],
            "clip_top1": means["clip_top1"],
            "minutes": means["minutes"],
        }
    )
    return made.reset_index()


def reading(summed: pd.DataFrame) -> tables.Sentence:
    """Which variants stand apart from the first one, and which do not."""
    first, others = summed.iloc[0], summed.iloc[1:]
    alone = int(first["seeds"]) == 1
    said = [
        f"{first['variant']} ({first['network']}) names "
        f"{percent(first['video_top1'])} of the videos right "
        f"(mean of {count(int(first['seeds']), 'seed')}, "
        f"{percent(first['lowest'])} to {percent(first['highest'])})"
    ]
    for row in others.itertuples():
        apart = row.lowest > first["highest"] or row.highest < first["lowest"]
        said.append(
            f"{row.variant} {100 * row.difference:+.1f} points"
            + ("" if apart or alone else ", but the ranges overlap")
        )
    if alone and len(others):
        said[-1] += "; with one seed a variant nothing shows what is chance"
    return tables.Sentence("; ".join(said) + ".")


def devices() -> tables.Sentence:
    """What the devices of this machine are, for a comparison over their number."""
    accelerators = environment.accelerators()
    if accelerators:
        return tables.Sentence(f"The devices are {', '.join(accelerators)}.")
    return tables.Sentence(
        "This machine has no GPU: its devices are halves of one CPU, which share its cores. They "
        "show that a batch means the same on two devices, and nothing about speed."
    )
