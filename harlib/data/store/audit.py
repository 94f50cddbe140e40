"""What became of every video that a catalog lists."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harlib.text import FORMULA

COLUMNS = ["video_id", "category", "split", "file", "status", "reason", "same_as"]


@dataclass(frozen=True)
class Audit:
    """What became of every listed video.

    `videos` has a row for each: `video_id, category, split, file, status, reason, same_as`;
    status is "ok", "short" (stored, but less than was promised), "unreadable" or "missing";
    `same_as` names the first video with the same frames (split/category/video_id).
    """

    videos: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """A row per category: listed, found, decoded, short, unreadable, duplicates."""
        status = self.videos["status"]
        flags = pd.DataFrame(
            {
                "category": self.videos["category"],
                "listed": 1,
                "found": status != "missing",
                "decoded": status.isin(["ok", "short"]),
                "short": status == "short",
                "unreadable": status == "unreadable",
                "duplicates": self.videos["same_as"] != "",
            }
        )
        return flags.groupby("category").sum().astype(int)

    def __str__(self) -> str:
        total = self.table.sum()
        return ", ".join(f"{name} {total[name]:,}" for name in total.index)

    def to_csv(self) -> str:
        """The table as text for people, who open it in a spreadsheet.

        Cells that it would run as a formula get an apostrophe, which `load` takes away.
        """
        safe = self.videos.replace(FORMULA, r"'\1", regex=True)
        return safe.to_csv(index=False, lineterminator="\n")

    @classmethod
    def load(cls, root: str | os.PathLike) -> "Audit":
        """The audit of a finished store."""
        table = pd.read_csv(Path(root) / "audit.csv", dtype=str, keep_default_na=False)
        return cls(table.replace(rf"^'{FORMULA[1:]}", r"\1", regex=True))
