"""The parts of the controls of `explore`: a player, bars of scores, a matrix of buttons."""

import base64
import html
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets
import numpy as np

from harlib import figures
from harlib.data import ClipStore
from harlib.evaluation import Scores, metrics
from harlib.figures.clips import animation

CELLS = 30  # up to this number of categories the confusion matrix is a grid of buttons


class Control(widgets.VBox):
    """A widget with a picture for where no widget can be: a report, a paper, a code host."""

    def __init__(self, children: Iterable[widgets.Widget], drawn: Any) -> None:
        super().__init__(list(children))
        self._picture, self._about = figures.png(drawn), figures.about(drawn)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        bundle["image/png"] = base64.b64encode(self._picture).decode()
        return bundle, {"image/png": self._about}


def natural() -> widgets.Layout:
    """A picture in its own size, smaller only where the page is: a box would stretch it."""
    return widgets.Layout(
        width="auto", height="auto", max_width="100%", align_self="flex-start", flex="0 0 auto"
    )


def player(
    store: ClipStore, height: int, shown: Callable[[int | None], None] = lambda row: None
) -> tuple[Callable[[Iterable[int]], None], widgets.VBox]:
    """(choose, box): `choose` takes store rows, the box steps through them and plays each."""
    number = widgets.BoundedIntText(value=1, min=1, max=1, description="video")
    picture = widgets.Image(format="webp", layout=natural())
    about = widgets.Label()
    chosen: list[int] = []

    def show(change: object = None) -> None:
        if not chosen:
            picture.value, about.value = b"", "no video of this kind"
            shown(None)
            return
        index = chosen[min(number.value, len(chosen)) - 1]
        row = store.videos.iloc[index]
        clip = store.read(index, np.arange(min(int(row["frames"]), 64)))
        picture.value = animation(clip, fps=row["fps"], height=height)
        about.value = (
            f"{number.value} of {len(chosen)}: {row['video_id']}, {row['category']}, "
            f"{row['frames']} frames, {row['width']} × {row['height']} pixels, "
            f"{row['fps']:.3g} frames per second"
        )
        shown(index)

    def choose(rows: Iterable[int]) -> None:
        chosen[:] = [int(row) for row in rows]
        number.unobserve(show, "value")
        number.value, number.max = 1, max(len(chosen), 1)
        number.observe(show, "value")
        show()

    return choose, widgets.VBox([number, about, picture])


def likeliest(name: str, scores: Scores, row: int, view: int) -> str:
    """HTML: the five likeliest categories of one video, the true one marked."""
    own = scores.video_scores[row] if view == 0 else scores.view_scores[row, view - 1]
    lines = []
    for label in np.argsort(-np.nan_to_num(own.astype(float)), kind="stable")[:5]:
        own_label = bool(scores.targets[row, label])
        color = figures.RIGHT if own_label else figures.WRONG
        share = float(own[label])
        lines.append(
            f"<tr><td>{'✓ ' * own_label}"
            f"{html.escape(str(scores.categories[label]))}</td><td>{100 * share:.1f} %</td>"
            f'<td><div style="background:{color};height:.8em;width:{8 * share:.2f}em"></div></td>'
            f"</tr>"
        )
    return f"<div><b>{html.escape(name)}</b><table>{''.join(lines)}</table></div>"


def cells(matrix: np.ndarray, names: list[str], show: Callable[[int, int], None]) -> widgets.VBox:
    """The confusion matrix as a grid of buttons; a click calls ``show(true, predicted)``."""
    side = widgets.Layout(width="2.6em", height="2.2em", padding="0", margin="1px")
    wide = widgets.Layout(width="14em")
    lines = []
    for true, name in enumerate(names):
        cells = []
        for called, number in enumerate(matrix[true]):
            text = str(number) if number else ""
            tip = f"{number} videos of {name} are called {names[called]}"
            cell = widgets.Button(description=text, tooltip=tip, layout=side, disabled=not number)
            share = number / max(matrix[true].sum(), 1)
            blue = true == called
            if number:
                tint = (0, 114, 178) if blue else (213, 94, 0)
                cell.style.button_color = f"rgba{(*tint, round(0.15 + 0.5 * float(share), 3))}"
            cell.on_click(lambda _, true=true, called=called: show(true, called))
            cells.append(cell)
        lines.append(widgets.HBox([widgets.Label(name, layout=wide), *cells]))
    caption = widgets.Label("rows: true category; columns, in the same order: what it was called")
    return widgets.VBox([caption, *lines])


def listed(scores: Scores, names: list[str], show: Callable[[int, int], None]) -> widgets.Dropdown:
    """The most frequent confusions as a list, for too many categories."""
    table = metrics.most_confused(scores, n=200)
    options = {
        f"{row.true} → {row.predicted} ({row.videos})": (
            names.index(row.true),
            names.index(row.predicted),
        )
        for row in table.itertuples()
    }
    chosen = widgets.Dropdown(options=options, description="confusion")
    chosen.observe(lambda change: show(*change["new"]), "value")
    return chosen
