"""The time stamps of a video's packets and frames, where they are right and where they are not."""

import math
from fractions import Fraction

import av

BACK_S = 0.1  # stamps that step back further begin again: a recording joined to another
AHEAD_S = 10.0  # and, where a format lets them begin again at any number, a step this far ahead
MAX_DELAY = 17  # frames: no codec shows a picture later after decoding it


class PacketClock:
    """Joins the stamps of packets where they begin again, as FFmpeg does: the next packet follows
    the last one by its duration.

    `rate` in frames per second; `anywhere`: the format lets stamps begin again at a higher number,
    too. `jumps_s` is the sum of the steps ahead that were taken out.
    """

    def __init__(self, rate: float, anywhere: bool):
        self.jumps_s = 0.0
        self._step_s, self._anywhere = 1 / rate, anywhere
        self._shift = 0
        # ticks: when the last packet is decoded, the next one may be decoded, and may be shown
        self._last = self._next = self._shown = None

    def mend(self, packet: av.Packet) -> None:
        """Sets the stamps of the file's next packet right."""
        if packet.dts is not None:
            tick, dts, pts = packet.time_base, packet.dts, packet.pts
            step = packet.duration or round(self._step_s / tick)
            if pts is not None and (pts - dts) * tick > max(1.0, MAX_DELAY * self._step_s):
                # libav gave the last picture before a jump the stamp of the first one after it
                pts = packet.pts = None
            if self._last is not None:
                back = float((self._last - dts - self._shift) * tick)
                ahead = float((dts + self._shift - self._next) * tick)
                if back > BACK_S or self._anywhere and ahead > AHEAD_S:
                    self._shift = self._next - dts
                    if pts is not None and self._shown is not None:
                        self._shift = max(self._shift, self._shown - pts)
                    self.jumps_s += max(0.0, ahead)
            self._last = dts + self._shift
            self._next = self._last + step
            if pts is not None:
                shown = pts + self._shift + step
                self._shown = shown if self._shown is None else max(self._shown, shown)
        if self._shift:
            packet.dts = None if packet.dts is None else packet.dts + self._shift
            packet.pts = None if packet.pts is None else packet.pts + self._shift


class FrameClock:
    """When decoded frames are shown, in seconds from any origin; `rate` where they do not say.

    `by` is "stamps" for the stamp that runs forward: pts, or dts where pts does not (libav's own
    rule); "decoding" where a format holds decoding times alone, and libav makes presentation
    times up; "count" where it holds none.
    """

    def __init__(self, rate: float, tick: Fraction, by: str):
        self._step, self._tick, self._by = 1 / rate, tick, by
        self._faults, self._last = {"pts": 0, "dts": 0}, {}
        self._seconds = -self._step

    def seconds(self, frame: av.VideoFrame) -> float:
        stamp = self._stamp(frame)
        self._seconds = self._seconds + self._step if stamp is None else float(stamp * self._tick)
        return self._seconds

    def _stamp(self, frame) -> int | None:
        if self._by == "count":
            return None
        if self._by == "decoding":
            return frame.dts
        for clock in self._faults:
            now = getattr(frame, clock)
            if now is not None:
                self._faults[clock] += now <= self._last.get(clock, -math.inf)
                self._last[clock] = now
        # where pts is at fault a frame without dts comes one step after the last
        at_fault = self._faults["pts"] > self._faults["dts"]
        return frame.dts if at_fault or frame.pts is None else frame.pts
