"""The steps of notebook 06: what this machine reads and computes, and Kinetics-600 by it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from harlib import figures
from harlib.bench.data import KINETICS
from harlib.bench.figures import batches, bytes_and_speed, speeds
from harlib.study.params.notebooks import Performance
from harlib.study.steps.measurements import Rows, measured, names
from harlib.study.wording import tables
from harlib.text import size

__all__ = ["batch_table", "beside_the_study", "measured", "projected", "projection",
           "projection_table", "reading_table", "show_batches", "show_reading", "show_speeds",
           "source_table", "speed_table"]  # fmt: skip

NETWORK = {"model": "resnext3d_101", "frames": 16, "size": 112}  # what an epoch is told for
# The study's own figures: ResNeXt-101 on one 24 GB Titan RTX, float32 then mixed float16.
STUDY: dict[str, Any] = {
    "batch": (37, 80),
    "epoch_h": (11.0, 3.0),
    "clips_per_s": 32.0,
    "disk_tb": 4.0,
}
_HALF = ("mixed_bfloat16", "mixed_float16")


def source_table(p: Performance, rows: Rows) -> tables.Table:
    """Where each group of rows is from, and the machine it was measured on."""
    return tables.Table(
        pd.DataFrame(
            [
                {
                    "measured by": f"har bench {kind}",
                    "from": "this run, at a small size" if own[0]["small"] else names(p, kind),
                    "rows": len(own),
                    "machine": next((row["device"] for row in own if "device" in row), "–"),
                }
                for kind, own in rows.items()
            ]
        )
    )


def show_reading(rows: Rows) -> None:
    """Shows bytes per video against clips/s per core."""
    figures.show(bytes_and_speed(rows["data"]))


def reading_table(rows: Rows) -> tables.Table:
    """How fast one core reads clips in each way, and what a video takes on disk."""
    table = pd.DataFrame([row for row in rows["data"] if row["task"] == "read"])
    return tables.Table(
        pd.DataFrame(
            {
                "reader": table["engine"],
                "format": table["codec"],
                "clips/s per core": table["clips_per_s"],
                "per video": [size(value) for value in table["bytes_per_video"]],
                "times on the fly": table["times_on_the_fly"],
            }
        )
    )


def show_speeds(rows: Rows) -> None:
    """Shows clips/s by network, precision and engine."""
    figures.show(speeds(rows["train"]))


def speed_table(rows: Rows) -> tables.Table:
    """Clips/s, memory and first step of every engine."""
    return tables.Table(
        pd.DataFrame(
            [
                {
                    "network": row["model"],
                    "clip": _clip(row),
                    "work": row["mode"],
                    "engine": row["engine"],
                    "precision": row["policy"],
                    "batch": row["batch"],
                    "clips/s": row.get("clips_per_s"),
                    "GB": row["memory_bytes"] / 1e9 if "memory_bytes" in row else None,
                    "first step, s": row.get("first_step_s"),
                    "failed": row.get("note"),
                }
                for row in rows["train"]
            ]
        ).dropna(axis=1, how="all")
    )


def show_batches(rows: Rows) -> None:
    """Shows the largest batch by network and precision."""
    figures.show(batches(rows["batch"]))


def batch_table(rows: Rows) -> tables.Table:
    """The largest batches, what they take, and what ended each search."""
    return tables.Table(
        pd.DataFrame(
            [
                {
                    "network": row["model"],
                    "clip": _clip(row),
                    "precision": row["policy"],
                    "largest batch": row["batch"],
                    "clips/s": row.get("clips_per_s"),
                    "GB": row["memory_bytes"] / 1e9 if "memory_bytes" in row else None,
                    "the search ended": row["limit"],
                }
                for row in rows["batch"]
            ]
        )
    )


def beside_the_study(rows: Rows) -> tables.Table:
    """The study's own figures, quoted, beside what was measured here."""
    single, half = _largest(rows, ("float32",)), _largest(rows, _HALF)
    slow, fast = _epoch_h(rows, ("float32",)), _epoch_h(rows, _HALF)
    disks = [f"{row['disk_gb'] / 1000:.2g} TB as {row['codec']}" for row in _kinetics(rows)]
    batch, hours = STUDY["batch"], STUDY["epoch_h"]
    lines = [
        ("largest batch, float32", batch[0], single),
        ("largest batch, half precision", batch[1], half),
        ("half precision fits, times as many", f"{batch[1] / batch[0]:.2f}", _ratio(half, single)),
        ("epoch of Kinetics-600, float32", f"{hours[0]:.0f}+ h", _hours(slow)),
        ("epoch of Kinetics-600, half precision", f"{hours[1]:.0f} h", _hours(fast)),
        ("clips/s of training, half precision", STUDY["clips_per_s"], _model_rate(rows, _HALF)),
        ("Kinetics-600 on disk", f"{STUDY['disk_tb']:.0f} TB", ", ".join(disks) or None),
    ]
    return tables.Table(
        pd.DataFrame(
            lines,
            columns=["3D ResNeXt-101", "the study, Titan RTX (quoted)", "here (measured)"],
            dtype=object,
        )
    )


def projection(rows: Rows) -> pd.DataFrame:
    """What Kinetics-600 takes by this machine's rows, a row per codec of the clip store.

    Columns: `codec, disk_tb, prepare_h, loader_clips_per_s` (all cores reading),
    `model_clips_per_s` and `epoch_h`, which the slower of the two sets (`limited_by`); the last
    three are empty without a row of ResNeXt-101 training at 16 x 112 x 112.
    """
    read = {r["codec"]: r["clips_per_s"] for r in rows["data"]
            if r["task"] == "read" and r["engine"] == "harlib"}  # fmt: skip
    model = _model_rate(rows, ("float32", *_HALF))
    table = []
    for row in _kinetics(rows):
        loader = read[row["codec"]] * row["cores"]
        rate = None if model is None else min(loader, model)
        table.append(
            {
                "codec": row["codec"],
                "disk_tb": row["disk_gb"] / 1000,
                "prepare_h": row["prepare_h"],
                "loader_clips_per_s": loader,
                "model_clips_per_s": model,
                "epoch_h": None if rate is None else KINETICS["train"] / rate / 3600,
                "limited_by": "–" if rate is None else "loader" if loader < model else "model",
            }
        )
    return pd.DataFrame(table)


def projection_table(table: pd.DataFrame) -> tables.Table:
    """`projection`, as a reader wants it."""
    names = ["clip store", "disk, TB", "preparing, h", "loader, clips/s", "network, clips/s",
             "epoch, h", "limited by"]  # fmt: skip
    return tables.Table(table.set_axis(names, axis=1))


def projected(table: pd.DataFrame) -> tables.Sentence:
    """The projection in a sentence."""
    small = table.loc[table["disk_tb"].idxmin()]
    text = (
        f"Kinetics-600 would take {small['disk_tb']:.2g} TB as {small['codec']} and "
        f"{small['prepare_h']:.0f} hours to prepare on these cores, where the study kept "
        f"{STUDY['disk_tb']:.0f} TB"
    )
    if table["epoch_h"].isna().all():
        return tables.Sentence(
            f"{text}. For an epoch of ResNeXt-101 it takes its training speed at 16 × 112 × 112: "
            f"give the rows of har bench train in results."
        )
    best = table.loc[table["epoch_h"].astype(float).idxmin()]
    return tables.Sentence(
        f"{text}. An epoch of ResNeXt-101 would last {best['epoch_h']:,.1f} hours: the network "
        f"trains {best['model_clips_per_s']:.3g} clips/s and the loader gives "
        f"{best['loader_clips_per_s']:,.0f} from {best['codec']}, so the {best['limited_by']} "
        f"sets the pace; an epoch in {STUDY['epoch_h'][1]:.0f} hours, as the study's, needs "
        f"{KINETICS['train'] / STUDY['epoch_h'][1] / 3600:.0f} clips/s of both."
    )


def _clip(row: dict) -> str:
    return f"{row['frames']} × {row['size']} × {row['size']}"


def _of_the_study(row: dict) -> bool:
    return all(row.get(key) == value for key, value in NETWORK.items())


def _model_rate(rows: Rows, policies: Sequence[str]) -> float | None:
    """The best clips/s of ResNeXt-101 training in one of these precisions."""
    return max(
        (
            row["clips_per_s"]
            for row in (*rows["train"], *rows["batch"])
            if _of_the_study(row) and row["engine"] == "harlib" and row["mode"] == "train"
            and row["policy"] in policies and "clips_per_s" in row
        ),
        default=None,
    )  # fmt: skip


def _epoch_h(rows: Rows, policies: Sequence[str]) -> float | None:
    rate = _model_rate(rows, policies)
    return None if rate is None else KINETICS["train"] / rate / 3600


def _largest(rows: Rows, policies: Sequence[str]) -> int | None:
    found = [
        row["batch"] for row in rows["batch"] if _of_the_study(row) and row["policy"] in policies
    ]
    return max(found, default=None)


def _kinetics(rows: Rows) -> list[dict]:
    return [row for row in rows["data"] if row["task"] == "kinetics-600"]


def _ratio(above: float | None, below: float | None) -> str | None:
    return f"{above / below:.2f}" if above and below else None


def _hours(value: float | None) -> str | None:
    return None if value is None else f"{value:,.1f} h"
