"""What the notebooks show to explain themselves: a network's arithmetic, pictures, source."""

import html
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harlib import figures
from harlib.data import ClipStore, label_sets
from harlib.data.loading import sampling
from harlib.evaluation import intervals
from harlib.study.params.trained import Trained
from harlib.study.steps import inputs
from harlib.study.wording import tables
from harlib.text import percent, quantity

if TYPE_CHECKING:  # Keras takes seconds, and notebooks 01 and 05 do without
    import keras

    from harlib.models.arithmetic import Convolution
    from harlib.training import Recipe

# Of the example of an interval.
_ACCURACY = 0.9
_NORMAL = 1.96


@dataclass(frozen=True)
class Box:
    """Lines of arithmetic: what is computed, the formula, the formula with a run's numbers."""

    title: str
    rows: Sequence[tuple[str, str, str]]

    def __repr__(self) -> str:
        lines = [f"{name}: {formula}\n    {numbers}" for name, formula, numbers in self.rows]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        # JupyterLab puts cells at the right, the report's page keeps them on one line.
        left = '<td style="text-align: left; white-space: normal">'
        cells = [[f"{left}{html.escape(text)}</td>" for text in row] for row in self.rows]
        body = tables.unbroken("\n".join(f"<tr>{''.join(row)}</tr>" for row in cells))
        heads = "".join(
            f'<th scope="col" style="text-align: left">{head}</th>'
            for head in ("what", "formula", "here")
        )
        return (
            f"<table>\n<caption>{html.escape(self.title)}</caption>\n"
            f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )


class Source(str):
    """Code in a fold."""

    def _repr_html_(self) -> str:
        said, _, code = self.partition("\n")
        return (
            f'<details class="code"><summary>{html.escape(said)}</summary>\n'
            f'<pre tabindex="0">{html.escape(code)}</pre>\n</details>'
        )

    def __repr__(self) -> str:
        return str(self)


class Sources(tuple):
    """Several pieces of code, a fold each."""

    def _repr_html_(self) -> str:
        return "\n".join(one._repr_html_() for one in self)

    def __repr__(self) -> str:
        return "\n\n".join(self)


def arithmetic(
    model: "keras.Model", store: ClipStore, *, split: str, plan: "Recipe | None" = None
) -> Box:
    """The arithmetic of a network and its run, worked out for its most expensive convolution.

    model: a built network. split: the one that is scored. plan: the run's training recipe; without
    one the learning rate is left out.
    """
    from harlib import models
    from harlib.models.arithmetic import convolutions

    dear = max(convolutions(model), key=lambda one: one.macs)
    rows = [_output(dear), _weights(dear), _macs(dear, models.gmacs(model))]
    if dear.groups > 1:
        rows.append(_ungrouped(dear))
    several = label_sets.several(store.categories)
    if not several:
        rows.append(_guessing(len(store.categories)))
    if plan is not None:
        rows.append(_rate(plan))
    if not several:  # no accuracy is measured of several labels
        rows.append(_interval(len(store.rows(split)), split))
    return Box(f"Arithmetic of {model.name}; its most expensive layer is {dear.layer}", rows)


def show_kernels(model: "keras.Model") -> None:
    """Shows a 2D beside a 3D kernel, with the numbers of the network's most expensive layer."""
    from harlib.models.arithmetic import convolutions

    dear = max(convolutions(model), key=lambda one: one.macs)
    figures.show(figures.kernels(dear.channels // dear.groups, dear.filters, dear.after))


def show_bottleneck(model: "keras.Model") -> None:
    """Shows the network's first bottleneck: what its grouped convolution saves."""
    from harlib.models.arithmetic import convolutions

    every = convolutions(model)
    place = next(number for number, one in enumerate(every) if one.groups > 1)
    figures.show(figures.bottleneck(every[place - 1 : place + 2]))


def show_views(p: Trained, store: ClipStore, *, split: str, crops: int = 1) -> None:
    """Shows which frames of a typical video are scored, and how they become one answer."""
    videos = store.videos.iloc[store.rows(split)].sort_values("frames", kind="stable")
    typical = videos.iloc[len(videos) // 2]
    length, stride = int(typical["frames"]), inputs.clip_spec(p).stride_at(typical["fps"])
    if p.clips == "windows":
        clips = sampling.windows(length, p.frames, stride)
    else:
        clips = sampling.uniform_clips(length, p.frames, stride, p.clips)
    figures.show(figures.views(clips, length, crops=crops))


def source(*things: Callable | ModuleType) -> Sources:
    """The code of functions, classes and modules, each in a fold, as it is installed here."""
    return Sources(_source(thing) for thing in things)


def _source(thing: Any) -> Source:
    code = inspect.getsource(thing).rstrip()
    whole = isinstance(thing, ModuleType)
    file = (thing.__name__ if whole else thing.__module__).replace(".", "/") + ".py"
    name = "" if whole else f", {thing.__qualname__}"
    lines = code.count("\n") + 1
    return Source(f"Source: {file}{name}, {lines} lines\n{code}")


def _output(one: "Convolution") -> tuple[str, str, str]:
    """The size of a layer's output along its last axis, the width."""
    before, after, kernel, stride = (
        axis[-1] for axis in (one.before, one.after, one.kernel, one.stride)
    )
    if one.padding is None:
        return ("output size", "⌈n / stride⌉", f"⌈{before} / {stride}⌉ = {after} pixels")
    padding = one.padding[-1]
    numbers = f"⌊({before} + 2 · {padding} − {kernel}) / {stride}⌋ + 1 = {after} pixels"
    return ("output size", "⌊(n + 2 · padding − kernel) / stride⌋ + 1", numbers)


def _weights(one: "Convolution") -> tuple[str, str, str]:
    kernel = " · ".join(map(str, one.kernel))
    groups = f" / {one.groups}" if one.groups > 1 else ""
    formula = "kernel · channels" + (" / groups" if groups else "") + " · filters"
    numbers = f"{kernel} · {one.channels}{groups} · {one.filters} = {one.weights:,}"
    return ("weights", formula, numbers)


def _macs(one: "Convolution", gmacs: float) -> tuple[str, str, str]:
    places = " · ".join(map(str, one.after))
    frames = f" · {one.times} frames" if one.times > 1 else ""
    numbers = f"{one.weights:,} · {places}{frames} = {quantity(one.macs)}"
    share = percent(one.macs / 1e9 / gmacs, 0)
    numbers += f", {share} of the {quantity(1e9 * gmacs)} that all layers spend on a clip"
    return ("multiply-adds", "weights · positions of the output", numbers)


def _ungrouped(one: "Convolution") -> tuple[str, str, str]:
    whole = one.groups * one.weights
    return ("without groups", "weights · groups", f"{one.weights:,} · {one.groups} = {whole:,}")


def _guessing(classes: int) -> tuple[str, str, str]:
    numbers = f"ln {classes} = {math.log(classes):.2f}"
    return ("loss of guessing", "−ln(1 / classes) = ln(classes)", numbers)


def _rate(plan: "Recipe") -> tuple[str, str, str]:
    """A recipe's learning rate, the factors that it uses alone."""
    total = plan.steps_per_epoch * plan.epochs
    warmup = round(plan.warmup_epochs * plan.steps_per_epoch)
    formula, numbers = "rate", f"{plan.lr:g}"
    if plan.decay:
        formula += " / (1 + decay · step)"
        numbers += f" / (1 + {plan.decay:g} · step)"
    if plan.drop_epochs:
        formula += " · factor^drops"
        epochs = ", ".join(map(str, plan.drop_epochs))
        numbers += f" · {plan.drop_factor:g} after each of the epochs {epochs}"
    if len(plan.levels) > 1:
        formula += " · level"
        numbers += f" · a lower level each time the {plan.monitor} stalls"
    if plan.cosine:
        formula += " · (1 + cos(π · t)) / 2, t from 0 to 1"
        numbers += f" · (1 + cos(π · t)) / 2, t = (step − {warmup}) / {total - warmup}"
    if warmup:
        numbers += f", after {warmup} steps that rise to it"
    marks = dict.fromkeys((0, total // 2, total - 1))
    at = ", ".join(f"step {step}: {plan.lr_at(step):.2g}" for step in marks)
    return ("learning rate", formula, f"{numbers}; {at}")


def _interval(count: int, split: str) -> tuple[str, str, str]:
    share = _ACCURACY
    half = _NORMAL * math.sqrt(share * (1 - share) / count)
    low, high = intervals.wilson(share, count)
    numbers = (
        f"{count:,} {split} videos, {percent(share, 0)} right: ± {_NORMAL} · √({share} · "
        f"{1 - share:.1f} / {count:,}) = ± {100 * half:.1f} points; Wilson's interval, which is "
        f"used, stays within 0 and 100 %: {100 * low:.1f} to {100 * high:.1f} %"
    )
    return ("95 % interval", "p ± 1.96 · √(p · (1 − p) / n)", numbers)
