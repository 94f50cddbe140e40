"""Every figure of the reports, in one place: data first, options by keyword, `ax=None`.

A function returns its axes (an array of axes where it draws several) and shows nothing; `show`
puts a figure into a notebook with its alt text, which `describe` sets and `alt` reads.
"""

from harlib.evaluation.bars import (
    accuracy_bars,
    accuracy_compute,
    category_counts,
    category_difference,
    store_sizes,
)
from harlib.evaluation.curves import learning_curves, reliability, schedule
from harlib.evaluation.dots import pairs, per_category
from harlib.evaluation.matrices import confusion, top_confusions
from harlib.evaluation.network import network
from harlib.evaluation.sheets import contact_sheet
from harlib.evaluation.spread import seed_spread
from harlib.evaluation.style import PALETTE, RIGHT, WRONG, alt, describe, png, show, style

__all__ = [
    "PALETTE",
    "RIGHT",
    "WRONG",
    "accuracy_bars",
    "accuracy_compute",
    "alt",
    "category_counts",
    "category_difference",
    "confusion",
    "contact_sheet",
    "describe",
    "learning_curves",
    "network",
    "pairs",
    "per_category",
    "png",
    "reliability",
    "schedule",
    "seed_spread",
    "show",
    "store_sizes",
    "style",
    "top_confusions",
]
