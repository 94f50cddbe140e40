import dataclasses
import io
import warnings

import numpy as np
import pandas as pd
import pytest
from hand_made import CLIPS, HISTORY, RUNS, many, six
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from harlib import figures
from harlib.data.loading import sampling
from harlib.evaluation import calibration, comparison, metrics
from harlib.figures.matrices import cluster_order
from harlib.figures.style import PALETTE, figure_of, short
from harlib.models.arithmetic import Convolution

NETWORK = pd.DataFrame(
    [
        ("input", "preprocess", "", "16x112x112x3", 0),
        ("stem", "stem_conv", "7x7x7, 64, stride 1x2x2", "16x56x56x64", 65_856),
        ("stage1", "stage1_block1_conv1", "1x1x1, 128", "8x28x28x128", 8192),
        ("stage1", "stage1_block1_conv2", "3x3x3, 128 in 32 groups", "8x28x28x128", 13_824),
        ("stage1", "stage1_block2_conv1", "1x1x1, 128", "8x28x28x128", 8192),
        ("stage1", "stage1_block2_conv2", "3x3x3, 128 in 32 groups", "8x28x28x128", 13_824),
        ("head", "conv2d_7", "3x3, 32", "35x35x32", 900),
        ("head", "head_pool", "", "2048", 0),
        ("head", "classifier", "400", "400", 819_600),
    ],
    columns=["stage", "layer", "kernel", "output", "parameters"],
)
BOTTLENECK = [
    Convolution("conv1", (1, 1, 1), (1, 1, 1), (0, 0, 0), 1, 64, 32, (4, 12, 12), (4, 12, 12)),
    Convolution("conv2", (3, 3, 3), (1, 1, 1), (1, 1, 1), 8, 32, 32, (4, 12, 12), (4, 12, 12)),
    Convolution("conv3", (1, 1, 1), (1, 1, 1), (0, 0, 0), 1, 32, 64, (4, 12, 12), (4, 12, 12)),
]
PAIRS = [("bow", "clap")]
VIDEOS = pd.DataFrame({"category": ["bow", "clap", "bow"], "split": ["train", "train", "val"]})


TIMED = HISTORY.assign(seconds=30.0)
BETTER = TIMED.iloc[:3].assign(accuracy=0.8, val_accuracy=0.8, seconds=60.0)  # another seed
SEEDS = RUNS.assign(seeds=[1, 3], spread=[None, 0.02], lowest=[0.5, 0.88], highest=[0.5, 0.92])


class Recipe:
    name, steps_per_epoch, epochs = "study-adam", 10, 3
    lr, levels, monitor = 1e-4, (1.0, 0.5), "loss"

    def lr_at(self, step):
        return 1e-4


# every figure on data as it comes, and on the data that break figures: one epoch, one run, no rows
CASES = {
    "learning curves": lambda: figures.learning_curves(HISTORY),
    "learning curves, several": lambda: figures.learning_curves({"a": HISTORY, "b": HISTORY}),
    "learning curves, one epoch, no validation": lambda: figures.learning_curves(
        HISTORY[["epoch", "loss", "accuracy"]].iloc[:1]
    ),
    "confusion": lambda: figures.confusion(metrics.confusion(six()), six().categories),
    "confusion 27": lambda: _confusion(27),
    "confusion 100": lambda: _confusion(100),
    "top confusions": lambda: figures.top_confusions(metrics.most_confused(six())),
    "top confusions, none": lambda: figures.top_confusions(metrics.most_confused(six()).iloc[:0]),
    "per category": lambda: figures.per_category(metrics.per_category(many())),
    "per category, several": lambda: figures.per_category(
        metrics.per_category({"a": many(), "b": many(seed=1)})
    ),
    "per category 80": lambda: figures.per_category(metrics.per_category(many(160, 80))),
    "average precisions": lambda: figures.average_precisions(_labels(6)),
    "average precisions 80": lambda: figures.average_precisions({"a": _labels(80)}),
    "pairs": lambda: figures.pairs(metrics.pair_accuracy(six(), PAIRS)),
    "pairs, several": lambda: figures.pairs(metrics.pair_accuracy({"a": six(), "b": six()}, PAIRS)),
    "pairs, none": lambda: figures.pairs(metrics.pair_accuracy(six(), ())),
    "accuracy bars": lambda: figures.accuracy_bars(RUNS),
    "accuracy bars, one": lambda: figures.accuracy_bars(
        RUNS[["run", "video_top1", "low", "high"]].iloc[:1]
    ),
    "accuracy and compute": lambda: figures.accuracy_compute(RUNS),
    "accuracy and minutes": lambda: figures.accuracy_compute(RUNS, x="minutes"),
    "category difference": lambda: figures.category_difference(
        comparison.category_difference(six(), six(video_scores=np.eye(3)[six().label]))
    ),
    "reliability": lambda: figures.reliability(calibration.reliability(six()), error=0.1),
    "reliability, several": lambda: figures.reliability(
        {"a": calibration.reliability(six()), "b": calibration.reliability(many())}
    ),
    "reliability, equal counts": lambda: figures.reliability(calibration.equal_counts(many())),
    "accuracy bars, seeds": lambda: figures.accuracy_bars(SEEDS),
    "accuracy and costs": lambda: figures.accuracy_costs(RUNS),
    "accuracy and costs, seeds": lambda: figures.accuracy_costs(SEEDS),
    "learning of runs": lambda: figures.learning_of_runs(
        {"a": [TIMED], "b, 2 seeds": [TIMED, BETTER]}
    ),
    "learning of runs, no validation": lambda: figures.learning_of_runs(
        {"a": [TIMED[["epoch", "accuracy", "seconds"]]]}
    ),
    "category difference, intervals": lambda: figures.category_difference(
        comparison.category_difference(many(), many(skill=0.5))
    ),
    "category difference, none": lambda: figures.category_difference(
        comparison.category_difference(many(), many())
    ),
    "contact sheet": lambda: figures.contact_sheet(CLIPS, ["bow", "clap\n→ bow"], fps=8.0),
    "seed spread": lambda: figures.seed_spread(
        pd.DataFrame({"variant": ["a", "a", "b"], "seed": [0, 1, 0], "video_top1": [0.5, 0.7, 0.9]})
    ),
    "network": lambda: figures.network(NETWORK, title="resnext3d_26"),
    "kernels": lambda: figures.kernels(32, 64, (8, 12, 12)),
    "kernels of one frame": lambda: figures.kernels(3, 16, (48, 48)),
    "bottleneck": lambda: figures.bottleneck(BOTTLENECK),
    "bottleneck, many groups": lambda: figures.bottleneck(
        [BOTTLENECK[0], dataclasses.replace(BOTTLENECK[1], groups=32), BOTTLENECK[2]]
    ),
    "views": lambda: figures.views(sampling.uniform_clips(24, 16, 1, 4), 24),
    "views of a long video": lambda: figures.views(sampling.windows(3000, 16), 3000, crops=3),
    "views, one frame": lambda: figures.views(sampling.uniform_clips(24, 1, 1, 10), 24),
    "schedule": lambda: figures.schedule(Recipe()),
    "schedule, a function": lambda: figures.schedule(lambda step: 0.1**step, steps=5),
    "store sizes": lambda: figures.store_sizes({"raw": 4e9, "jpeg": 5e8}),
    "quantiles": lambda: figures.quantiles(_numbers(3), "seconds", title="Length", label="seconds"),
    "quantiles 80": lambda: figures.quantiles(
        _numbers(80), "seconds", title="Length", label="share", shares=True
    ),
    "quantiles, one video": lambda: figures.quantiles(
        _numbers(3).iloc[:1], "seconds", title="Length", label="seconds"
    ),
    "training clips": lambda: figures.training_clips(
        CLIPS[0], np.stack([CLIPS[0][:4]] * 2), ["as stored", "draw 1", "draw 2"], settings="flip"
    ),
    "training clips of one frame": lambda: figures.training_clips(
        CLIPS[0], np.stack([CLIPS[0][:1]] * 8), ["as stored", *"12345678"], settings="flip"
    ),
    "category counts": lambda: figures.category_counts(VIDEOS),
    "category counts 80": lambda: figures.category_counts(
        pd.DataFrame({"category": np.arange(160) // 2, "split": ["train", "val"] * 80})
    ),
}


def _labels(count):
    """As `multi_label.per_label` has it; the last label is in no video."""
    value = np.append(np.linspace(0.3, 0.95, count - 1), np.nan)
    names = [f"label {number}" for number in range(count)]
    return pd.DataFrame(
        {"category": names, "support": 9, "prevalence": 0.1, "average_precision": value,
         "low": value - 0.1, "high": value + 0.05}
    )  # fmt: skip


def _numbers(categories):
    """Ten videos a category, one in five of val; the last category has none of these."""
    number = np.arange(10 * categories)
    split = np.where((number % 5 == 0) & (number < 10 * categories - 10), "val", "train")
    return pd.DataFrame(
        {"category": [f"category {n // 10}" for n in number], "split": split,
         "seconds": np.where(number % 7, number / number.max(), np.nan)}
    ).dropna()  # fmt: skip


def _confusion(classes):
    scores = many(4 * classes, classes, views=1)
    return figures.confusion(metrics.confusion(scores), scores.categories)


@pytest.mark.parametrize("name", CASES)
def test_figure_has_axes_an_alt_text_and_a_small_png(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph or a layout that fails is a warning
        drawn = CASES[name]()
        data = figures.png(drawn)
    assert isinstance(drawn, Axes) or all(isinstance(ax, Axes) for ax in drawn.flat)
    assert 20 < len(figures.alt(drawn)) < 700
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG" and image.width < 1500 and len(data) < 400_000
    assert len(np.unique(np.asarray(image.convert("L")))) > 5  # something is drawn
    assert not plt.get_fignums(), "a figure stays open in pyplot"


@pytest.mark.quick
@pytest.mark.parametrize("name", ["accuracy bars", "pairs", "per category"])
def test_same_data_same_bytes(name):
    assert figures.png(CASES[name]()) == figures.png(CASES[name]())


@pytest.mark.quick
def test_figures_draw_on_given_axes():
    ax = Figure().subplots()
    assert figures.confusion(metrics.confusion(six()), six().categories, ax=ax) is ax
    two = Figure().subplots(1, 2)
    assert figures.learning_curves(HISTORY, ax=two).tolist() == two.tolist()


@pytest.mark.quick
def test_no_text_is_cut_or_overlaps_its_neighbour():
    for name in ("per category", "pairs, several", "accuracy bars", "category counts"):
        ax = CASES[name]()
        figure = figure_of(ax)
        figure.canvas.draw()
        boxes = [label.get_window_extent() for label in ax.get_yticklabels() if label.get_text()]
        assert min(box.x0 for box in boxes) >= 0, name
        boxes.sort(key=lambda box: box.y0)
        assert all(one.y1 <= two.y0 + 1 for one, two in zip(boxes, boxes[1:], strict=False)), name


@pytest.mark.quick
def test_the_curves_of_a_loss_stay_below_the_upper_edge():
    """A loss that hardly falls yet lies at the top: its line and its marks are whole."""
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.49, 2.48], "accuracy": [0.08, 0.1]})
    for table in (history, history.assign(val_loss=[3.12, 3.1], val_accuracy=[0.1, 0.1])):
        loss, _ = figures.learning_curves(table)
        low, high = loss.get_ylim()
        highest = max(line.get_ydata().max() for line in loss.get_lines())
        assert low == 0
        assert highest + 0.05 * high < high


@pytest.mark.quick
def test_best_epoch_is_marked_and_said():
    axes = figures.learning_curves(HISTORY)
    assert "70.0 % in epoch 3" in figures.alt(axes)
    labels = [text.get_text() for text in figure_of(axes).legends[0].get_texts()]
    assert labels == ["training", "validation", "best epoch: 3"]


@pytest.mark.quick
def test_two_seeds_are_their_mean_in_a_band_from_the_lower_to_the_higher():
    by_epoch, by_minutes = figures.learning_of_runs({"b, 2 seeds": [TIMED, BETTER]})
    training, validation = by_epoch.get_lines()[:2]
    assert training.get_xydata() == pytest.approx(
        np.array([[1, 0.55], [2, 0.7], [3, 0.75], [4, 0.9]])
    )
    assert validation.get_ydata() == pytest.approx([0.55, 0.675, 0.75, 0.65])
    assert by_minutes.get_lines()[1].get_xdata()[:3] == pytest.approx([0.75, 1.5, 2.25])
    band = by_epoch.collections[1].get_paths()[0].vertices
    ends = {epoch: set(band[band[:, 0] == epoch, 1].round(2)) for epoch in (1, 2, 3, 4)}
    assert ends == {1: {0.3, 0.8}, 2: {0.55, 0.8}, 3: {0.7, 0.8}, 4: {0.65}}
    assert "4 epochs in 2.5 minutes" in figures.alt(np.array([by_epoch, by_minutes]))


@pytest.mark.quick
def test_minutes_go_on_after_a_slow_seed_has_ended():
    slow = pd.DataFrame({"epoch": [1, 2], "accuracy": [0.2, 0.4], "seconds": [600.0, 600.0]})
    fast = pd.DataFrame({"epoch": [1, 2, 3], "accuracy": [0.2, 0.4, 0.6], "seconds": [60.0] * 3})
    _, by_minutes = figures.learning_of_runs({"two seeds": [slow, fast]})
    assert by_minutes.get_lines()[0].get_xdata() == pytest.approx([5.5, 11, 12])


@pytest.mark.quick
def test_how_many_categories_differ_is_said():
    table = pd.DataFrame({"category": list("abcde"), "difference": [0.4, 0.3, 0, -0.1, -0.4]})
    whole = figures.alt(figures.category_difference(table))
    assert whole.endswith("from +40 points for a to -40 for e; 4 of 5 categories differ.")
    cut = figures.alt(figures.category_difference(table, n=1))
    assert cut.endswith("4 of 5 categories differ, of which 2 are shown.")
    one = figures.alt(figures.category_difference(table.iloc[[0, 2]]))
    assert one.endswith("1 of 2 categories differs.")


@pytest.mark.quick
def test_hostile_names_are_drawn_as_they_are():
    names = ["<script>alert(1)</script>", r"$\frac{1}{0}$ & $", "x" * 200]
    ax = figures.confusion(metrics.confusion(six()), names)
    figure_of(ax).canvas.draw()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0].startswith("<script>") and len(labels[2]) <= 26
    assert short("two\nlines  here") == "two lines here"
    assert figures.alt(ax).count("\n") == 0


@pytest.mark.quick
def test_clustered_order_puts_confused_categories_side_by_side():
    matrix = np.diag([9, 9, 9, 9, 9, 9])
    matrix[0, 5] = matrix[5, 0] = matrix[1, 3] = 4
    order = cluster_order(matrix).tolist()
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(5)) == 1
    assert abs(order.index(1) - order.index(3)) == 1


@pytest.mark.quick
def test_contact_sheet_shows_first_and_last_frame_in_order():
    clip = np.zeros((5, 10, 10, 3), np.uint8) + np.arange(5, dtype=np.uint8)[:, None, None, None]
    ax = figures.contact_sheet([clip], frames=3, height=10)
    sheet = ax.get_images()[0].get_array()
    assert sheet.shape == (10, 38, 3)
    assert [int(sheet[5, left, 0]) for left in (5, 19, 33)] == [0, 2, 4]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("clips", "titles", "message"),
    [
        ([], [], "0 clips"),
        (CLIPS, ["one"], "2 clips and 1 titles"),
        ([CLIPS[0].astype(float)], ["a"], r"float64 \(9, 24, 32, 3\), expected uint8"),
    ],
)
def test_contact_sheet_refuses(clips, titles, message):
    with pytest.raises(ValueError, match=message):
        figures.contact_sheet(clips, titles)


@pytest.mark.quick
def test_network_groups_blocks_and_cuts_a_borrowed_backbone():
    ax = figures.network(NETWORK)
    texts = " | ".join(text.get_text() for text in ax.texts)
    assert "2 blocks of" in texts and "in 32 groups" in texts and "maps 35×35" in texts
    assert "930 k parameters" in figures.alt(ax)  # 65856 + 2 * 22016 + 900 + 819600 = 930388


@pytest.mark.quick
def test_show_puts_the_alt_text_where_the_report_finds_it(monkeypatch):
    shown = {}
    monkeypatch.setattr(
        "harlib.figures.style.display",
        lambda data, **options: shown.update(data=data, **options),
    )
    figures.show(figures.accuracy_bars(RUNS), "Two\n runs.")
    assert shown["metadata"]["image/png"]["alt"] == "Two runs." and shown["raw"]
    assert shown["data"]["text/plain"] == "Two runs."
    figures.show(figures.accuracy_bars(RUNS))
    assert "03_c3d 90.0 %" in shown["metadata"]["image/png"]["alt"]
    with pytest.raises(ValueError, match="no alt text"):
        figures.show(Figure())
    with pytest.raises(TypeError, match="received str"):
        figures.show("a path")


@pytest.mark.quick
def test_palette_stays_apart_without_colour_vision():
    """Neighbours of the palette differ in lightness (CIE L*), so a grey print keeps them apart."""

    def lightness(color):
        rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16

    values = [lightness(color) for color in PALETTE]
    assert all(abs(a - b) > 6 for a, b in zip(values, values[1:], strict=False))


def test_a_character_without_a_font_is_a_box_and_no_warning(recwarn):
    missing = "\U0001b170"  # Nüshu: no font of the list has it
    names = [f"wave {missing}", "naïve καφέ", "walk $x$"]
    table = pd.DataFrame(
        {"category": names, "support": 3, "accuracy": [0.2, 0.5, 0.9], "low": 0.1, "high": 0.95}
    )
    drawn = figures.per_category(table)
    labels = [label.get_text() for label in drawn.get_yticklabels()]
    assert sorted(labels) == ["naïve καφέ (3)", r"walk \$x\$ (3)", "wave □ (3)"]
    figures.png(drawn)
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
    assert missing in figures.alt(drawn)


@pytest.mark.parametrize("spread", [1, 1.001, 1.2, 2, 4.9, 5, 29, 30, 99, 299, 300, 1e3, 1e6, 1e9])
def test_no_two_costs_are_written_over_each_other(spread):
    costs = 1.2 * np.array([1, spread])
    axes = figures.accuracy_costs(RUNS.assign(minutes=costs, parameters=1e6 * costs, gmacs=costs))
    axes[0].figure.canvas.draw()
    for panel in axes:
        low, high = sorted(panel.get_xlim())
        ticks = [tick for tick in panel.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = [tick.label1.get_window_extent() for tick in ticks]
        boxes = sorted((box.x0, box.x1) for box in boxes)
        assert boxes, panel.get_xlabel()
        gaps = [after[0] - before[1] for before, after in zip(boxes, boxes[1:], strict=False)]
        assert min(gaps, default=1) > 0, (panel.get_xlabel(), gaps)
