"""A network that names what is in a video, and what it says of one."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal

import numpy as np
import pandas as pd

from harlib import HarlibError
from harlib.data import Settings, VideoReader, label_sets, probe
from harlib.evaluation import Confidence
from harlib.evaluation.predict import computed, logarithms
from harlib.inference import views as viewing
from harlib.inference.views import Cut, View

NONE_OF_THESE = "none of these"
"""The label of a video whose best category is below the threshold."""

SHORT_S = 30.0  # a video up to this length is one action, as those that were trained on
_CLAIMED_S = 600.0  # a file that claims to be longer is not counted first
_EVERY_S = 1.0  # from one window to the next, where side by side they would be
_DENSE_S = 0.5  # as short as this
_PROMISED = 0.9  # of what a file promises; less is a cut file, as in preparation
_GAP_S = 0.5  # between two windows
_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network says of one video.

    Attributes:
        video: its path, or any name.
        categories: in the order of the classes.
        start_s, end_s: float64 (windows,), when each of the clips looked at is shown.
        windows: float32 (windows, classes), the network's probabilities of each, the mean over
            its crops.
        confidence: the temperature, and the threshold of the calibrated probability below which
            a video is `NONE_OF_THESE`; None where no validation videos told them.
        warning: where less of the file could be read than it promises; else "".
        thresholds: float64 (classes,), where a video may have several labels: the probability from
            which on it has each (NaN: never). Labels are then joined, as "clapping|walking".
    """

    video: str
    categories: tuple[str, ...]
    start_s: np.ndarray
    end_s: np.ndarray
    windows: np.ndarray
    confidence: Confidence | None = None
    warning: str = ""
    thresholds: np.ndarray | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """float32 (classes,): the mean of the windows, as videos are scored in training."""
        return self.windows.mean(axis=0, dtype=np.float64).astype(np.float32)

    @property
    def calibrated(self) -> np.ndarray | None:
        """float64 (classes,): probabilities at the temperature; None where that is unknown."""
        if self.confidence is None or self.thresholds is not None:
            return None
        return self.confidence.calibrated(logarithms(self.windows))

    @property
    def label(self) -> str:
        """The most probable category, or `NONE_OF_THESE` where it is not probable enough.

        Where a video may have several labels, all that reach their thresholds.
        """
        if self.thresholds is not None:
            return label_sets.joined(self.named()) or NONE_OF_THESE
        return str(self.top(1)["label"].iloc[0]) if self.sure else NONE_OF_THESE

    @property
    def sure(self) -> bool:
        """Whether the most probable category, or any label, reaches the threshold."""
        if self.thresholds is not None:
            return bool(self.named())
        calibrated = self.calibrated
        if self.confidence is None or calibrated is None:
            return True
        return bool(calibrated[self.probabilities.argmax()] >= self.confidence.threshold)

    def named(self) -> list[str]:
        """The labels that the whole video has, most probable first."""
        there = self.reached(self.probabilities)
        order = np.argsort(-self.probabilities, kind="stable")
        return [self.categories[i] for i in order if there[i]]

    def reached(self, probabilities: np.ndarray) -> np.ndarray:
        """Which labels reach their thresholds: bool, of the shape of `probabilities`.

        Where a video has one label, all do.
        """
        if self.thresholds is None:
            return np.ones(np.shape(probabilities), bool)
        return probabilities >= self.thresholds

    def top(self, count: int = 5) -> pd.DataFrame:
        """The `count` most probable categories: `label, probability, calibrated`, a row each.

        `calibrated` is NaN where no temperature was measured.
        """
        probabilities = self.probabilities
        order = np.argsort(-probabilities, kind="stable")[:count]
        calibrated = self.calibrated
        sure = np.full(len(order), np.nan) if calibrated is None else calibrated[order]
        return pd.DataFrame(
            {
                "label": [self.categories[i] for i in order],
                "probability": probabilities[order],
                "calibrated": sure,
            }
        )

    def timeline(self) -> pd.DataFrame:
        """Every window's most probable category, a row each.

        Returns:
            DataFrame `start_s, end_s, label, probability, calibrated` (NaN where no temperature was
            measured) and `sure`. Of several labels those that reach their thresholds, joined, and
            the least of their probabilities.
        """
        if self.thresholds is not None:
            return self._timeline_of_several()
        best = self.windows.argmax(axis=1)
        calibrated, sure = np.full(len(best), np.nan), np.ones(len(best), bool)
        if self.confidence is not None:
            scaled = self.confidence.calibrated(logarithms(self.windows)[:, None])
            calibrated = scaled[np.arange(len(best)), best]
            sure = calibrated >= self.confidence.threshold
        return pd.DataFrame(
            {
                "start_s": self.start_s,
                "end_s": self.end_s,
                "label": [self.categories[i] for i in best],
                "probability": self.windows[np.arange(len(best)), best],
                "calibrated": calibrated,
                "sure": sure,
            }
        )

    def _timeline_of_several(self) -> pd.DataFrame:
        there = self.reached(self.windows)
        sure = there.any(axis=1)
        least = np.where(there, self.windows, np.inf).min(axis=1)
        named = [[self.categories[i] for i in np.flatnonzero(row)] for row in there]
        return pd.DataFrame(
            {
                "start_s": self.start_s,
                "end_s": self.end_s,
                "label": [label_sets.joined(own) or NONE_OF_THESE for own in named],
                "probability": np.where(sure, least, self.windows.max(axis=1)),
                "calibrated": np.nan,
                "sure": sure,
            }
        )

    def segments(self) -> pd.DataFrame:
        """Neighbouring windows of one label as one: `start_s, end_s, label, probability`.

        probability: the mean over the windows. Those that are not sure are `NONE_OF_THESE`. Time
        that no window covers is in no segment.
        """
        found = self.timeline().sort_values("start_s", kind="stable")
        found["label"] = found["label"].where(found["sure"], NONE_OF_THESE)
        apart = found["start_s"] > found["end_s"].shift() + _GAP_S
        run = ((found["label"] != found["label"].shift()) | apart).cumsum()
        joined = found.groupby(run).agg(
            start_s=("start_s", "first"),
            end_s=("end_s", "last"),
            label=("label", "first"),
            probability=("probability", "mean"),
        )
        # overlapping windows: a segment ends where the next begins
        following = joined["start_s"].shift(-1, fill_value=np.inf)
        joined["end_s"] = np.minimum(joined["end_s"], following)
        return joined.reset_index(drop=True)


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Call it with a video; see `harlib.inference.load`.

    Attributes:
        name: whose network it is.
        model: gives float32 (batch, classes) by `predict_on_batch` of uint8 clips.
        categories: in the order of the classes.
        settings: how a video's frames are brought to the size and rate that was trained on.
        cut: the clip, and its crops.
        clips: of a video in the run's own scoring; None for windows side by side.
        confidence: what validation videos told of its probabilities; None without them.
        note: what a person should know before relying on its scores; else "".
        longest_s: seconds; a longer video is refused as one that cannot be read.
        thresholds: of each label, where a video may have several; see `Prediction`.
    """

    name: str
    model: Any
    categories: tuple[str, ...]
    settings: Settings
    cut: Cut
    clips: int | None = 1
    confidence: Confidence | None = None
    note: str = ""
    longest_s: float = math.inf
    thresholds: np.ndarray | None = None

    def __call__(
        self,
        video: str | os.PathLike,
        *,
        clips: int | Literal["windows"] | None = None,
        every_s: float | None = None,
        batch: int = _BATCH,
    ) -> Prediction:
        """What is in a video file, in memory that does not grow with its length.

        Args:
            clips: equally spaced ones, or "windows" for all that fit side by side. By default a
                video up to `SHORT_S` seconds is looked at as in the run's own scoring, a longer
                one in windows.
            every_s: a window every so many seconds instead.
            batch: clips that are computed at once.

        Raises:
            VideoError: it cannot be read.
        """
        if every_s is not None and clips is not None:
            raise HarlibError("clips and every_s exclude each other: give one")
        if every_s is not None and not every_s > 0:
            raise HarlibError(f"every_s is {every_s}: it is a number of seconds above 0")
        warnings: list[str] = []
        looked = self.windows(video, clips=clips, every_s=every_s, batch=batch, warnings=warnings)
        found = list(looked)
        scores = np.stack([probabilities for _, probabilities in found])
        start_s, end_s = (np.array([getattr(v, key) for v, _ in found])
                          for key in ("start_s", "end_s"))  # fmt: skip
        return Prediction(
            video=os.fspath(video),
            categories=self.categories,
            start_s=start_s,
            end_s=end_s,
            windows=scores,
            confidence=self.confidence,
            warning=" ".join(warnings),
            thresholds=self.thresholds,
        )

    def windows(
        self,
        video: str | os.PathLike,
        *,
        clips: int | Literal["windows"] | None = None,
        every_s: float | None = None,
        batch: int = _BATCH,
        warnings: list[str] | None = None,
    ) -> Iterator[tuple[View, np.ndarray]]:
        """(view, probabilities float32 (classes,)) of a video's views, as they are computed.

        The views come without their pixels. Arguments as of a call; at the end `warnings` gets a
        sentence where less could be read than the file promises.
        """
        # what a stride is in frames depends on the rate, which only the whole video tells
        counted = clips not in (None, "windows") or (
            self.cut.clip.fps is not None and self.settings.fps is None
        )
        length, rate = 0, self.settings.fps or 0.0
        if clips is None and every_s is None and self.clips is not None:
            length, rate = self._short(video)
            clips = self.clips if length else "windows"
            if not length:
                every_s = self.step_s()
        elif counted:
            length, rate = viewing.measured(video, self.settings, longest_s=self.longest_s)
        settings = self.settings
        with VideoReader(
            video, size=settings.size, fps=settings.fps, longest_s=self.longest_s
        ) as reader:
            times: list[float] = []
            read = _timed(reader, times) if settings.fps is None else reader
            frames = viewing.as_stored(read, settings)
            if not rate:
                frames, rate = _rate_of(frames, reader)
            if isinstance(clips, int):
                every = viewing.spread(frames, length, rate, self.cut, clips)
            else:
                every = viewing.windows(frames, rate, self.cut, every_s)
            for view, probabilities in self.scored(every, batch):
                if settings.fps is None:  # a recorded rate may change within the file
                    view = dataclasses.replace(
                        view,
                        start_s=_at(times, view.start_s * rate, rate),
                        end_s=_at(times, view.end_s * rate, rate),
                    )
                yield view, probabilities
            if warnings is not None:
                warnings += _shortness(reader)

    def span_s(self) -> float | None:
        """Seconds that a clip spans; None where that depends on the video's own rate."""
        clip, rate = self.cut.clip, self.settings.fps
        if clip.fps is not None:
            return clip.frames / clip.fps
        return None if rate is None else clip.frames * clip.stride / rate

    def step_s(self) -> float | None:
        """Seconds from one window to the next where nothing is asked: side by side, not denser."""
        span = self.span_s()
        if span is None:
            return _EVERY_S if self.cut.clip.frames == 1 else None
        return _EVERY_S if span < _DENSE_S else None

    def _short(self, video: str | os.PathLike) -> tuple[int, float]:
        """(frames, rate) of a video that is scored as those it was trained on, else 0 and 0."""
        if probe(video).duration_s > _CLAIMED_S:
            return 0, self.settings.fps or 0.0
        # at a known rate what is longer need not be counted to its end
        most = None if self.settings.fps is None else int(SHORT_S * self.settings.fps) + 1
        length, rate = viewing.measured(video, self.settings, most, self.longest_s)
        return (length, rate) if length <= SHORT_S * rate else (0, rate)

    def scored(
        self, every: Iterable[View], batch: int = _BATCH
    ) -> Iterator[tuple[View, np.ndarray]]:
        """(view without pixels, probabilities) of views of any source, such as a camera's."""
        per = self.cut.crops
        size = max(1, batch // per)
        for held, output in computed(self.model, _batches(every, size)):
            scores = np.asarray(output, np.float32)[: len(held) * per]
            _check(scores, self)
            for view, crops in zip(held, scores.reshape(len(held), per, -1), strict=True):
                yield view, crops.mean(axis=0)


def _batches(every: Iterable[View], size: int) -> Iterator[tuple[list[View], np.ndarray]]:
    """Views, without their pixels, and their crops, uint8 (size * crops, …): one graph fits all."""
    held: list[View] = []
    clips: list[np.ndarray] = []
    for view in every:
        # a copy: a slice would keep the pixels alive as long as the view
        held.append(dataclasses.replace(view, crops=view.crops[:0].copy()))
        clips.append(view.crops)
        if len(held) == size:
            yield held, np.concatenate(clips)
            held, clips = [], []
    if held:
        clips += [clips[-1]] * (size - len(held))
        yield held, np.concatenate(clips)


def _timed(reader: VideoReader, times: list[float]) -> Iterator[np.ndarray]:
    """The reader's frames; `times` gets when each is shown."""
    for frame in reader:
        times.append(reader.at_s)
        yield frame


def _at(times: list[float], number: float, rate: float) -> float:
    """When frame `number` of those read so far is shown; the end for the one behind the last."""
    place = round(number)
    return times[place] if place < len(times) else times[-1] + (place - len(times) + 1) / rate


def _shortness(reader: VideoReader) -> list[str]:
    if reader.span_s < _PROMISED * reader.promised_s:
        promised = reader.promised_s
        return [f"{reader.span_s:.1f} s decoded of {promised:.1f} s that the file promises"]
    return [reader.remark] if reader.remark else []


def _rate_of(
    frames: Iterator[np.ndarray], reader: VideoReader
) -> tuple[Iterator[np.ndarray], float]:
    """The frames again, and the rate that the file claims: known once the first frame came."""
    first = next(frames)
    assert reader.info is not None
    return chain([first], frames), reader.info.fps


def _check(scores: np.ndarray, own: Predictor) -> None:
    if scores.ndim != 2 or scores.shape[1] != len(own.categories):
        raise HarlibError(
            f"{own.name} gives {scores.shape[1:]} scores per clip and has "
            f"{len(own.categories)} categories: its export is damaged"
        )
