"""What a network says of a live camera: a line per window, as they come."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np

from harlib import HarlibError
from harlib.files import check_output
from harlib.inference import timeline, writers
from harlib.inference.camera import Latest, Source, sized
from harlib.inference.predictor import Prediction, Predictor
from harlib.inference.views import View, as_stored
from harlib.text import count

_FPS = 25.0  # of a camera that claims none, for a network that asks for none


@dataclasses.dataclass(frozen=True)
class Pace:
    """Which of a camera's frames a network looks at.

    Attributes:
        rate: frames per second that are taken of the camera.
        offsets: int64 (frames,), of a clip's frames among these.
        span: of these frames, that a window lasts.
        step: of these frames, from one window to the next.
    """

    rate: float
    offsets: np.ndarray
    span: int
    step: float

    @classmethod
    def of(cls, predictor: Predictor, camera_fps: float, every_s: float | None) -> Pace:
        """The rate and stride that the network was trained with; windows side by side by default.

        A network of clips as recorded takes the camera's own rate.
        """
        clip, every_s = predictor.cut.clip, every_s or predictor.step_s()
        rate = predictor.settings.fps or clip.fps or camera_fps or _FPS
        stride = clip.stride_at(rate)
        span = max(1, round(clip.frames * stride))
        offsets = (np.arange(clip.frames) * stride).astype(np.int64)
        return cls(rate, offsets, span, span if every_s is None else max(1.0, every_s * rate))

    @property
    def late(self) -> int:
        """So many frames behind the newest, a window is left out for the newest one."""
        return max(1, math.floor(min(self.step, self.span)))


@dataclasses.dataclass(frozen=True)
class Window:
    """What is said of a window, and how far behind the camera.

    Attributes:
        behind_s: from its end to when it was said.
        skipped, dropped: windows before it that were left out, and frames that no window looked
            at, because computing took too long.
    """

    prediction: Prediction
    behind_s: float
    skipped: int
    dropped: int


def watch(
    predictor: Predictor, source: Source, latest: Latest, pace: Pace, for_s: float | None = None
) -> Generator[Window, None, None]:
    """Windows as they come, for `for_s` seconds or without end.

    Where computing is slower than the camera, the newest frames are taken.

    Raises:
        HarlibError: the camera gives no more frames.
    """
    start, seen = 0.0, 0
    while (found := latest.clip(round(start), pace.offsets, pace.late, for_s)) is not None:
        begin, frames = found
        planned = round(start)
        skipped = int((begin - planned) / pace.step)
        dropped = min(max(0, begin - max(planned, seen)), skipped * pace.span)
        stored = list(as_stored(frames, predictor.settings))
        view = predictor.cut.view(stored, begin, pace.span, pace.rate)
        said = _said(predictor, source.name, view)
        yield Window(said, max(0.0, latest.seconds - view.end_s), skipped, dropped)
        seen = begin + pace.span
        start = (begin if skipped else start) + pace.step


def _said(predictor: Predictor, name: str, view: View) -> Prediction:
    ((place, probabilities),) = predictor.scored([view], batch=1)
    return Prediction(
        video=name,
        categories=predictor.categories,
        start_s=np.array([place.start_s]),
        end_s=np.array([place.end_s]),
        windows=probabilities[None],
        confidence=predictor.confidence,
        thresholds=predictor.thresholds,
    )


def check(out: Path | None, *, overwrite: bool = False) -> None:
    """Whether the rows may be written to `out`, asked before any work.

    Raises:
        HarlibError: as of `files.check_output`.
    """
    if out is not None:
        check_output(out, [".csv"], overwrite=overwrite)


def predict(
    predictor: Predictor,
    source: Source,
    *,
    every: float | None = None,
    for_s: float | None = None,
    top: int = 5,
    out: Path | None = None,
    overwrite: bool = False,
    say: Callable[[str], object] = print,
) -> None:
    """Says what a camera sees, a line per window, until Ctrl-C or for `for_s` seconds.

    Args:
        every: seconds from one window to the next; by default they lie side by side.
        top: categories per window in `out`.
        out: a `.csv` file, which gets its rows as they come: those of `writers.COLUMNS`, and the
            time of day at the window's end.

    Raises:
        HarlibError: the camera gives no frames, or `for_s` is shorter than a clip.
    """
    pace = Pace.of(predictor, source.fps, every)
    if for_s is not None and for_s < pace.span / pace.rate:
        raise HarlibError(
            f"--for {for_s:g}s is shorter than a clip of this network, "
            f"{pace.span / pace.rate:.2g} s"
        )
    hold = int(pace.offsets[-1]) + pace.late + 1
    windows = dropped = 0
    last: Prediction | None = None
    mode = "w" if overwrite else "x"
    with contextlib.ExitStack() as stack:
        latest = stack.enter_context(Latest(source, pace.rate, hold, predictor.settings.size))
        _warm_up(predictor, source, pace)
        file = out and stack.enter_context(out.open(mode, encoding="utf-8", newline=""))
        latest.start()
        every_window = watch(predictor, source, latest, pace, for_s)
        try:
            for one in stack.enter_context(closing(every_window)):
                last = one.prediction
                assert latest.began is not None  # there is a window
                when = latest.began + timedelta(seconds=float(last.end_s[0]))
                say(f"{when:%H:%M:%S}  {timeline.sentence(last)}{_behind(one)}")
                if file:
                    rows = writers.table([last], {}, top)
                    rows = rows[rows["level"] == "window"].assign(
                        time=when.isoformat(timespec="milliseconds")
                    )
                    file.write(writers.csv_text(rows, header=not windows))
                    file.flush()
                windows, dropped = windows + 1, dropped + one.dropped
        except KeyboardInterrupt:
            pass  # how a person ends it
        finally:
            say(_summary(source, latest, windows, dropped, pace))
    if last is not None:
        for note in timeline.notes(last):
            say(note)
    if out is not None:
        say(f"{out}: {count(windows, 'window')}")


def _warm_up(predictor: Predictor, source: Source, pace: Pace) -> None:
    """Has the network computed once: the first time takes seconds, in which frames would be lost.

    Raises:
        HarlibError: the camera gives no frame.
    """
    frame = source.read()
    if frame is None:
        raise HarlibError(f"{source.name} opens but gives no frame: does another program use it?")
    size = predictor.settings.size
    clip = [sized(frame, size)] * len(pace.offsets)
    stored = list(as_stored(clip, predictor.settings))
    _said(predictor, source.name, predictor.cut.view(stored, 0, pace.span, pace.rate))


def _behind(one: Window) -> str:
    if not (one.skipped or one.dropped):
        return ""
    return (
        f"  [{one.behind_s:.1f} s behind: {count(one.skipped, 'window')} and "
        f"{count(one.dropped, 'frame')} left out]"
    )


def _summary(source: Source, latest: Latest, windows: int, dropped: int, pace: Pace) -> str:
    seconds = max(latest.seconds, 1e-9)
    came = latest.arrived / seconds
    said = (
        f"{source.name}: {count(windows, 'window')} in {seconds:.1f} s; "
        f"{count(latest.arrived, 'frame')} came, {came:.1f} per second"
    )
    if dropped:
        said += f"; {dropped:,} of those due were left out because computing took too long"
    if latest.arrived > 1 and came < 0.9 * pace.rate:
        said += f"; the network looks at {pace.rate:g} per second, so frames were repeated"
    return said
