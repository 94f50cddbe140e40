"""Every figure of the reports, in one place: data first, options by keyword, `ax=None`.

A function returns its axes (an array of axes where it draws several) and shows nothing; `show`
puts a figure into a notebook with its alt text, which `describe` sets and `alt` reads, and with
the areas that stand for videos, which `link` and `link_rows` record.
"""

from harlib.figures.architecture import network
from harlib.figures.areas import link, link_rows, run_of
from harlib.figures.bars import (
    accuracy_bars,
    accuracy_compute,
    category_counts,
    category_difference,
    store_sizes,
)
from harlib.figures.curves import learning_curves, reliability, schedule
from harlib.figures.diagrams import bottleneck, kernels, views
from harlib.figures.distribution import quantiles
from harlib.figures.dots import average_precisions, pairs, per_category
from harlib.figures.matrices import confusion, top_confusions
from harlib.figures.sheets import contact_sheet, training_clips
from harlib.figures.side_by_side import accuracy_costs, learning_of_runs
from harlib.figures.spread import seed_spread
from harlib.figures.style import (
    PALETTE,
    QUIET,
    RIGHT,
    WRONG,
    about,
    alt,
    describe,
    new_axes,
    png,
    show,
    styled,
)

__all__ = [
    "PALETTE",
    "QUIET",
    "RIGHT",
    "WRONG",
    "about",
    "accuracy_bars",
    "accuracy_compute",
    "accuracy_costs",
    "alt",
    "average_precisions",
    "beside",
    "bottleneck",
    "category_counts",
    "category_difference",
    "clips",
    "confusion",
    "contact_sheet",
    "describe",
    "kernels",
    "learning_curves",
    "learning_of_runs",
    "link",
    "link_rows",
    "network",
    "new_axes",
    "pairs",
    "per_category",
    "png",
    "quantiles",
    "reliability",
    "run_of",
    "schedule",
    "seed_spread",
    "show",
    "store_sizes",
    "styled",
    "top_confusions",
    "training_clips",
    "views",
]
