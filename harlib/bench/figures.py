"""Figures of the measured rows."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from harlib.figures import PALETTE, QUIET, describe, new_axes, styled
from harlib.text import quantity


@styled
def bytes_and_speed(rows: Sequence[dict], *, ax: Axes | None = None) -> Axes:
    """Bytes per video against clips/s per core, a mark per way to read; up and left is better.

    Args:
        rows: those of `harlib.bench.data.run` with the task "read"; one without figures is left
            out.
    """
    ax = ax or new_axes(8.2, 5.0)
    read = [row for row in rows if row.get("task") == "read" and "clips_per_s" in row]
    engines = list(dict.fromkeys(row["engine"] for row in read))
    most = max(row["bytes_per_video"] for row in read)
    for row in read:
        color = PALETTE[engines.index(row["engine"]) % len(PALETTE)]
        ours = row["engine"] == "harlib"
        place = row["bytes_per_video"] / 1e6, row["clips_per_s"]
        ax.loglog(*place, "o" if ours else "s", ms=9 if ours else 7, color=color)
        if row["codec"] != "original":
            left = row["bytes_per_video"] > most / 2
            whose = "harlib" if ours else "the study's layout"
            _label(ax, f"{whose}, {row['codec']}", place, left=left)
    peers = sorted(
        (row for row in read if row["codec"] == "original"), key=lambda row: -row["clips_per_s"]
    )
    if peers:  # they share the files, so their marks lie close together
        lines = [f"{row['engine']} {quantity(row['clips_per_s'])}" for row in peers]
        place = peers[-1]["bytes_per_video"] / 1e6, peers[-1]["clips_per_s"]
        _label(ax, "files decoded on the fly:\n" + ", ".join(lines), place, drop=-26)
    ax.margins(0.22)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:,g}")
    ax.set_title("What a video costs and how fast its clips come")
    ax.set_xlabel("megabytes per video on disk")
    ax.set_ylabel("clips of 16 × 112 × 112 per second and core")
    said = "; ".join(
        f"{row['engine']} {row['codec']} {quantity(row['bytes_per_video'], 'B')} and "
        f"{quantity(row['clips_per_s'])} clips/s"
        for row in read
    )
    return describe(ax, f"Bytes per video and clips per second and core: {said}.")


@styled
def speeds(rows: Sequence[dict], *, ax: Axes | None = None) -> Axes:
    """Clips/s of every engine and precision, a group of bars per network and kind of work.

    Args:
        rows: those of `harlib.bench.train.run`; rows without a figure are left out.
    """
    rows = [row for row in rows if "clips_per_s" in row]
    return _bars(
        rows,
        lambda row: f"{row['model']}\n{'training' if row['mode'] == 'train' else 'inference'}",
        lambda row: f"{row['engine']}, {row['policy']}",
        "clips_per_s",
        ("Clips per second by network and precision", "clips/s"),
        ax,
    )


@styled
def batches(rows: Sequence[dict], *, ax: Axes | None = None) -> Axes:
    """The largest batch that trains, by network and precision.

    Args:
        rows: those of `harlib.bench.batch.run`.
    """
    labels = ("The largest batch that trains", "clips per batch")
    return _bars(rows, lambda row: row["model"], lambda row: row["policy"], "batch", labels, ax)


def _bars(
    rows: Sequence[dict],
    group_of: Callable[[dict], str],
    series_of: Callable[[dict], str],
    key: str,
    labels: Sequence[str],
    ax: Axes | None,
) -> Axes:
    groups = list(dict.fromkeys(map(group_of, rows)))
    series = list(dict.fromkeys(map(series_of, rows)))
    ax = ax or new_axes(8.2, 0.9 + 0.3 * len(series) * len(groups) + 0.5 * len(groups))
    thick = 0.8 / len(series)
    for row in rows:
        group, number = groups.index(group_of(row)), series.index(series_of(row))
        place = group - 0.4 + (number + 0.5) * thick
        ax.barh(place, row[key], thick * 0.9, color=PALETTE[number % len(PALETTE)])
        ax.annotate(
            f"{quantity(row[key])}  {series_of(row)}", (row[key], place), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    ax.set_yticks(range(len(groups)), groups)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlim(0, 1.45 * max([row[key] for row in rows], default=1))
    ax.set_title(labels[0])
    ax.set_xlabel(labels[1])
    if not rows:
        ax.text(0.5, 0.5, "nothing could be measured", color=QUIET, transform=ax.transAxes)
    said = "; ".join(
        f"{' '.join(group_of(row).split())} {series_of(row)} {quantity(row[key])}" for row in rows
    )
    return describe(ax, f"{labels[0]}, {labels[1]}: {said or 'nothing could be measured'}.")


def _label(
    ax: Axes, text: str, place: tuple[float, float], *, left: bool = False, drop: float = 7
) -> None:
    side, align = (-9, "right") if left else (9, "left")
    ax.annotate(
        text, place, xytext=(side, drop), textcoords="offset points", ha=align, fontsize=9.5
    )
