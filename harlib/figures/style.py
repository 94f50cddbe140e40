"""How the figures look, and how they reach a notebook: palette, fonts, alt text, PNG.

Figures are made without pyplot, so that none stays open and no notebook shows one twice.
"""

import base64
import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.transforms import Bbox
from PIL import Image

from harlib.figures import areas

# Okabe and Ito, Color Universal Design (2008), in an order whose neighbours differ in lightness
# too, so that a grey print keeps them apart; their yellow is left out, it is lost on white paper
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7", "#000000")
RIGHT = "#0072B2"
WRONG = "#D55E00"
QUIET = "#6B7280"
DPI = 110
_PADDING = 0.12  # inches around a picture
LISTED = 60  # above this number of categories a figure shows curves and rasters, not names

# the first installed font with a character draws it: category names are not all Latin
_FONTS = (
    *("DejaVu Sans", "Noto Sans", "FreeSans"),
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "PingFang SC",
      "Microsoft YaHei", "Hiragino Sans"),
    *("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Thai"),
    *("Noto Sans Devanagari", "Lohit Devanagari", "Kohinoor Devanagari", "Nirmala UI"),
    *("Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu"),
    *("Arial Unicode MS", "Unifont"),
)  # fmt: skip
_INSTALLED = {font.name for font in fontManager.ttflist}
FONTS = [name for name in _FONTS if name in _INSTALLED]
_BOX = "□"  # stands for a character that none of the fonts has

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",  # opaque: readable on a dark page
    "savefig.facecolor": "white",
    "font.family": FONTS,
    "font.size": 10.5,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10.5,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#9CA3AF",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.8,
    "xtick.color": "#9CA3AF",
    "ytick.color": "#9CA3AF",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 2.0,
    "image.cmap": "Blues",
    "axes.prop_cycle": cycler(color=PALETTE),
}


def style() -> None:
    """Gives a notebook's own matplotlib figures the look of these; ours have it without."""
    mpl.rcParams.update(STYLE)


Parameters = ParamSpec("Parameters")
Drawn = TypeVar("Drawn")


def styled(figure_function: Callable[Parameters, Drawn]) -> Callable[Parameters, Drawn]:
    """Decorator: the function draws in this style whatever the caller's settings are."""

    @functools.wraps(figure_function)
    def drawn(*args: Parameters.args, **options: Parameters.kwargs) -> Drawn:
        with mpl.rc_context(STYLE):
            return figure_function(*args, **options)

    return drawn


def new_axes(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """Axes on a new figure of width × height inches; an array of axes for several."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    return figure.subplots(rows, columns, **options)


def figure_of(drawn: Any) -> Figure:
    """The figure of what a figure function returned: a figure, axes, or an array of axes.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(drawn, Figure):
        return drawn
    if isinstance(drawn, Axes):
        return drawn.figure  # type: ignore[return-value]  # no function here makes subfigures
    if isinstance(drawn, np.ndarray) and drawn.size:
        return drawn.flat[0].figure
    raise TypeError(f"expected a figure, axes or an array of axes, received {type(drawn).__name__}")


def describe(drawn: Drawn, text: str) -> Drawn:
    """Sets the alt text of a figure and returns what it was given."""
    figure_of(drawn).alt_text = " ".join(str(text).split())  # type: ignore[attr-defined]  # our mark
    return drawn


def alt(drawn: Any) -> str:
    """The alt text of a figure; every function of `figures` sets one."""
    return getattr(figure_of(drawn), "alt_text", "")


def png(drawn: Any, *, dpi: int = DPI, colors: int | None = None) -> bytes:
    """PNG bytes of a figure; the same figure gives the same bytes.

    Args:
        colors: reduce to this many colours. Line art with 128 looks the same at a third of the
            size.
    """
    figure = figure_of(drawn)
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=dpi,
        bbox_inches="tight",
        pad_inches=_PADDING,
        metadata={"Software": None},
    )
    if colors is None and not getattr(figure, "photographs", False):
        colors = 128
    if colors:
        image = Image.open(buffer).convert("RGB")
        buffer = io.BytesIO()
        image.quantize(colors, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def about(drawn: Any, alt_text: str = "", *, dpi: int = DPI) -> dict[str, Any]:
    """What a picture's output says of it: alt text, and the areas that stand for videos.

    To be asked after `png`, which lays the figure out.
    """
    figure = figure_of(drawn)
    said: dict[str, Any] = {"alt": alt_text or alt(drawn)}
    if not getattr(figure, "areas", None):
        return said
    canvas: Any = figure.canvas
    around = figure.get_tightbbox(canvas.get_renderer()).padded(_PADDING)
    return said | areas.boxes(figure, Bbox(around), dpi)


def show(drawn: Any, alt_text: str | None = None, *, dpi: int = DPI) -> None:
    """Displays a figure in the notebook as a PNG with its alt text.

    Args:
        alt_text: replaces the figure's own. It lands in the output's metadata under
            `["image/png"]["alt"]`, where the report finds it; beside it lie the areas that
            stand for videos (`link`).

    Raises:
        ValueError: the figure has no alt text and none is given.
    """
    text = " ".join(alt_text.split()) if alt_text else alt(drawn)
    if not text:
        raise ValueError("the figure has no alt text; say in alt_text what there is to see")
    data = {"image/png": base64.b64encode(png(drawn, dpi=dpi)).decode(), "text/plain": text}
    display(data, raw=True, metadata={"image/png": about(drawn, text, dpi=dpi)})


def short(name: object, length: int = 32) -> str:
    """A name for an axis: at most `length` characters, on one line, its dollars no formula.

    A character that no installed font of `FONTS` has becomes a box, □: the figure's alt text and
    the tables beside it hold the name itself, and a font for its script (Debian: fonts-noto)
    brings it into the figure.
    """
    name = " ".join(str(name).split())
    if len(name) > length:
        name = name[: length - 1].rstrip() + "…"
    if not name.isascii():
        drawn = _drawn_characters()
        name = "".join(character if ord(character) in drawn else _BOX for character in name)
    return name.replace("$", r"\$")


def short_run(name: object) -> str:
    """A run's name for an axis: its network, which `naming.named` puts behind it, below it."""
    run, bracket, network = str(name).partition(" (")
    return short(run) + (f"\n({short(network, 60)}" if bracket else "")


@functools.cache
def _drawn_characters() -> frozenset[int]:
    """Code points that at least one of `FONTS` can draw."""
    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in FONTS))
