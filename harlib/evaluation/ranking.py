"""By which number runs are ranked: top-1 accuracy, or mean average precision of several labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

CHOSEN_ON = "val"  # what is chosen, as thresholds are, is chosen on these videos alone


def is_of_several(metrics: Mapping[str, Any]) -> bool:
    """Whether a metrics.json is of videos with several labels."""
    return "mean_average_precision" in metrics["video"]


def measure(table: pd.DataFrame) -> str:
    """The column of `metrics.table` that ranks the runs: `video_top1`, or `mean_ap`."""
    return "mean_ap" if "mean_ap" in table else "video_top1"


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of `metrics.table`, best first, equals in their order."""
    return table.sort_values(measure(table), ascending=False, kind="stable")
