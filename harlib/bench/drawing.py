"""Figures of the measured rows."""

from harlib.evaluation.style import PALETTE, describe, new_axes, quantity, styled


@styled
def bytes_and_speed(rows, *, ax=None):
    """Bytes a video against clips/s a core, a mark for every way to read; up and left is better.

    rows: those of `harlib.bench.data.run` with the task "read".
    """
    ax = ax or new_axes(8.2, 5.0)
    read = [row for row in rows if row.get("task") == "read"]
    engines = list(dict.fromkeys(row["engine"] for row in read))
    most = max(row["bytes_per_video"] for row in read)
    for row in read:
        color = PALETTE[engines.index(row["engine"]) % len(PALETTE)]
        ours = row["engine"] == "harlib"
        place = row["bytes_per_video"] / 1e6, row["clips_per_s"]
        ax.loglog(*place, "o" if ours else "s", ms=9 if ours else 7, color=color)
        if row["codec"] != "original":
            left = row["bytes_per_video"] > most / 2
            _label(ax, f"{row['engine']}, {row['codec']}", place, left=left)
    peers = sorted(
        (row for row in read if row["codec"] == "original"), key=lambda row: -row["clips_per_s"]
    )
    if peers:  # they share the files, so their marks lie close together
        lines = [f"{row['engine']} {quantity(row['clips_per_s'])}" for row in peers]
        place = peers[-1]["bytes_per_video"] / 1e6, peers[-1]["clips_per_s"]
        _label(ax, "files decoded on the fly:\n" + ", ".join(lines), place, drop=-26)
    ax.margins(0.22)
    ax.set_title("What a video costs and how fast its clips come")
    ax.set_xlabel("megabytes a video on disk")
    ax.set_ylabel("clips of 16 × 112 × 112 a second and core")
    said = "; ".join(
        f"{row['engine']} {row['codec']} {quantity(row['bytes_per_video'], 'B')} and "
        f"{quantity(row['clips_per_s'])} clips/s"
        for row in read
    )
    return describe(ax, f"Bytes a video and clips a second and core: {said}.")


def _label(ax, text, place, *, left=False, drop=7):
    side, align = (-9, "right") if left else (9, "left")
    ax.annotate(
        text, place, xytext=(side, drop), textcoords="offset points", ha=align, fontsize=9.5
    )
