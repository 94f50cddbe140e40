"""Which epoch was best on the validation clips, and when a training has stopped improving.

Both follow from the history's rows alone, so a resumed training stops where it would have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stopping:
    """By what an epoch is judged, and how long a training waits for a better one.

    Attributes:
        monitor: "val_accuracy" (of equal ones the lower loss is better) or "val_loss".
        patience: epochs in a row that may be no better than the best before training ends; 0: it
            never ends early.
    """

    monitor: str = "val_accuracy"
    patience: int = 0

    def merit(self, row: Mapping[str, Any]) -> list[float]:
        """What is greater in a better epoch, of its row of the history."""
        both = [row["val_accuracy"], -row["val_loss"]]
        return both if self.monitor == "val_accuracy" else both[1:]

    def best(self, history: Sequence[Mapping[str, Any]]) -> int:
        """The place of the best epoch in the history, of equally good ones the first."""
        return max(range(len(history)), key=lambda place: self.merit(history[place]))

    def is_over(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the last `patience` epochs were no better than one before them.

        >>> rows = [{"val_accuracy": a, "val_loss": 1.0} for a in (0.5, 0.7, 0.7, 0.6)]
        >>> [Stopping(patience=2).is_over(rows[:count]) for count in range(5)]
        [False, False, False, False, True]
        """
        if not self.patience or not history:
            return False
        return len(history) - 1 - self.best(history) >= self.patience
