"""The time stamps of a video's packets and frames, where they are right and where they are not."""

import math
from fractions import Fraction

import av

BACK_S = 0.1  # stamps that step back further begin again: a recording joined to another
AHEAD_S = 10.0  # and, where a format lets them begin again at any number, a step this far ahead
MAX_DELAY = 17  # frames: no codec shows a picture later after decoding it


class PacketClock:
    """Joins the stamps of packets where they begin again, as FFmpeg does.

    The next packet follows the last one by its duration. `rate` in frames per second, `tick`, the
    unit of the stamps, in seconds; `anywhere`: the format lets stamps begin again at a higher
    number, too. `jumps_s` is the sum of the steps ahead that were taken out.
    """

    def __init__(self, rate: float, tick: Fraction, anywhere: bool) -> None:
        self.jumps_s = 0.0
        self._tick, self._step = tick, round(1 / rate / tick)
        self._back = BACK_S / tick
        self._ahead = AHEAD_S / tick if anywhere else math.inf
        self._delay = max(1.0, MAX_DELAY / rate) / tick
        self._shift = 0
        # ticks: when the last packet is decoded, the next one may be decoded, and may be shown
        self._last: int | None = None
        self._next = 0
        self._shown: int | None = None

    def mend(self, packet: av.Packet) -> None:
        """Sets the stamps of the file's next packet right."""
        dts, pts = packet.dts, packet.pts
        if dts is not None:
            step = packet.duration or self._step
            if pts is not None and pts - dts > self._delay:
                # libav gave the last picture before a jump the stamp of the first one after it
                pts = packet.pts = None
            if self._last is not None:
                ahead = dts + self._shift - self._next
                if self._last - dts - self._shift > self._back or ahead > self._ahead:
                    self._shift = self._next - dts
                    if pts is not None and self._shown is not None:
                        self._shift = max(self._shift, self._shown - pts)
                    self.jumps_s += max(0.0, float(ahead * self._tick))
            self._last = dts + self._shift
            self._next = self._last + step
            if pts is not None:
                shown = pts + self._shift + step
                if self._shown is None or shown > self._shown:
                    self._shown = shown
        if self._shift:
            packet.dts = None if dts is None else dts + self._shift
            packet.pts = None if pts is None else pts + self._shift


class FrameClock:
    """When decoded frames are shown, in seconds from any origin; `rate` where they do not say.

    `by` is "stamps" for the stamp that runs forward: pts, or dts where pts does not (libav's own
    rule); "decoding" where a format holds decoding times alone, and libav makes presentation
    times up; "count" where it holds none.
    """

    def __init__(self, rate: float, tick: Fraction, by: str) -> None:
        self._step, self._by = 1 / rate, by
        self._ticks, self._a_second = tick.numerator, tick.denominator  # ints: three times faster
        self._pts_faults = self._dts_faults = 0
        self._last_pts = self._last_dts = -math.inf
        self._seconds = -self._step

    def seconds(self, frame: av.VideoFrame) -> float:
        """When the file's next frame is shown."""
        stamp = self._stamp(frame)
        if stamp is None:
            self._seconds += self._step
        else:
            self._seconds = stamp * self._ticks / self._a_second
        return self._seconds

    def _stamp(self, frame: av.VideoFrame) -> int | None:
        if self._by == "count":
            return None
        pts, dts = frame.pts, frame.dts
        if self._by == "decoding":
            return dts
        if pts is not None:
            self._pts_faults += pts <= self._last_pts
            self._last_pts = pts
        if dts is not None:
            self._dts_faults += dts <= self._last_dts
            self._last_dts = dts
        # where pts is at fault a frame without dts comes one step after the last
        return dts if self._pts_faults > self._dts_faults or pts is None else pts
