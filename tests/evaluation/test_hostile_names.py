"""Names that try to be markup, formulas, too long or in other scripts: text in every figure."""

import dataclasses
import io
import re
import warnings

import pandas as pd
import pytest
from hand_made import CLIPS, HISTORY, RUNS, many
from matplotlib.text import Text
from PIL import Image

from harlib import figures
from harlib.evaluation import calibration, comparison, metrics
from harlib.figures.style import figure_of

HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'quoted' \\ $x$ _a_ ^2 \\frac",
    "long " + "x" * 195,
    "跳舞 رقص नृत्य",
)
OWN = dataclasses.replace(many(40, 4, skill=0.5), categories=HOSTILE)
OTHER = dataclasses.replace(many(40, 4, seed=1), categories=HOSTILE)
BOTH = dict(zip(HOSTILE, (OWN, OTHER), strict=False))
RATES = {name: HISTORY for name in HOSTILE}
NAMED = {
    "learning curves": lambda: figures.learning_curves(RATES),
    "confusion": lambda: figures.confusion(metrics.confusion(OWN), HOSTILE, title=HOSTILE[1]),
    "top confusions": lambda: figures.top_confusions(metrics.most_confused(OWN)),
    "per category": lambda: figures.per_category(metrics.per_category(BOTH)),
    "pairs": lambda: figures.pairs(metrics.pair_accuracy(BOTH, [HOSTILE[:2], HOSTILE[2:]])),
    "accuracy bars": lambda: figures.accuracy_bars(RUNS.assign(run=HOSTILE[1:3])),
    "accuracy and compute": lambda: figures.accuracy_compute(RUNS.assign(run=HOSTILE[1:3])),
    "category difference": lambda: figures.category_difference(
        comparison.category_difference(OWN, OTHER), names=HOSTILE[1:3]
    ),
    "reliability": lambda: figures.reliability({n: calibration.reliability(OWN) for n in HOSTILE}),
    "contact sheet": lambda: figures.contact_sheet(CLIPS * 2, HOSTILE, title=HOSTILE[1]),
    "seed spread": lambda: figures.seed_spread(
        pd.DataFrame({"variant": HOSTILE, "seed": 0, "video_top1": 0.5})
    ),
    "store sizes": lambda: figures.store_sizes(dict.fromkeys(HOSTILE, 4e9)),
    "category counts": lambda: figures.category_counts(
        pd.DataFrame({"category": HOSTILE, "split": "val"})
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_hostile_names_are_text_in_every_figure(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = NAMED[name]()
        image = Image.open(io.BytesIO(figures.png(drawn)))
    assert image.width < 2000
    texts = [text.get_text() for text in figure_of(drawn).findobj(Text)]
    assert any("quoted" in text for text in texts)
    assert not [text for text in texts if re.search(r"(?<!\\)\$", text)], "a formula"
    assert max(len(line) for text in texts for line in text.splitlines()) < 130
