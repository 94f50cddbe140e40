from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from numbered import H264, MJPEG, MPEG2, VP8, joined, numbered, numbers, write

from harlib.data.video.files import VideoError, decode
from harlib.data.video.reader import VideoReader
from harlib.data.video.timestamps import FrameClock, PacketClock

pytestmark = pytest.mark.quick


@dataclass
class Stamped:
    """What a clock sees of a packet or a frame."""

    dts: int | None
    pts: int | None
    duration: int = 1
    time_base: Fraction = Fraction(1, 30)


def mended(stamps, anywhere=True):
    clock = PacketClock(rate=30, tick=Fraction(1, 30), anywhere=anywhere)
    packets = [Stamped(*pair) for pair in stamps]
    for packet in packets:
        clock.mend(packet)
    return [(packet.dts, packet.pts) for packet in packets], clock.jumps_s


def test_stamps_that_run_on_are_left_alone():
    steady = [(0, 1), (1, 4), (2, 2), (3, 3), (None, None), (4, 7), (30, 31), (31, 34)]
    assert mended(steady) == (steady, 0)
    assert mended([(0, 0), (2, 2), (1, 1), (3, 3)])[0] == [(0, 0), (2, 2), (1, 1), (3, 3)]


def test_stamps_that_begin_again_go_on_where_they_were():
    again = [(10, 11), (11, 12), (12, 13), (0, 1), (1, 2)]
    assert mended(again) == ([(10, 11), (11, 12), (12, 13), (13, 14), (14, 15)], 0)
    assert mended(again, anywhere=False) == mended(again)
    # where the first packet is decoded as it is shown nothing is shown twice
    assert mended([(10, 12), (11, 14), (12, 13), (0, 0), (1, 1)])[0][3:] == [(15, 15), (16, 16)]


def test_a_leap_ahead_is_taken_out_where_the_format_foresees_it():
    leap = [(0, 0), (1, 1), (9001, 9001), (9002, 9002)]
    assert mended(leap) == ([(0, 0), (1, 1), (2, 2), (3, 3)], pytest.approx(8999 / 30))
    assert mended(leap, anywhere=False) == (leap, 0)


def test_a_picture_is_not_shown_long_after_it_is_decoded():
    assert mended([(0, 1), (1, 9000), (2, 3)])[0] == [(0, 1), (1, None), (2, 3)]


def seconds(stamps, by):
    clock = FrameClock(rate=30, tick=Fraction(1, 30), by=by)
    return [round(30 * clock.seconds(Stamped(*pair))) for pair in stamps]


def test_the_clock_of_frames_is_the_one_that_runs_forward():
    invented = [(2, 1), (3, 3), (4, 2), (5, 5), (6, 4), (None, 6)]  # (dts, pts)
    assert seconds(invented, "decoding") == [2, 3, 4, 5, 6, 7]
    assert seconds(invented, "stamps") == [1, 3, 4, 5, 6, 7]
    assert seconds([(7, 1), (None, 2), (7, 4)], "stamps") == [1, 2, 4]
    assert seconds([(None, None), (5, None), (None, None)], "stamps") == [0, 5, 6]
    assert seconds([(7, 7), (7, 7), (9, 9)], "count") == [0, 1, 2]


@pytest.mark.parametrize("starts", [(0, 0), (10, 3600), (3600, 10)], ids=["again", "on", "back"])
@pytest.mark.parametrize(
    ("name", "coded"), [("a.mpg", MPEG2), ("a.ts", MPEG2), ("b.ts", H264)], ids=["PS", "TS", "H264"]
)
def test_joined_recordings_follow_one_another(tmp_path, name, coded, starts):
    path = joined(tmp_path / name, *coded, starts)
    assert numbers(decode(path)) == [*range(60), *range(500, 560)]
    assert numbers(decode(path, fps=10)) == [*range(0, 60, 3), *range(500, 560, 3)]
    assert numbers(decode(path, start_s=2.5, end_s=3)) == list(range(515, 530))
    with VideoReader(path) as reader:
        list(reader)
    assert reader.span_s == pytest.approx(4, abs=0.04)
    assert 0 < reader.promised_s < 4.1  # the hour between them is no promise


@pytest.mark.parametrize(("name", "coded"), [("a.mkv", H264), ("a.webm", VP8)])
def test_joined_recordings_where_the_format_does_not_foresee_them(tmp_path, name, coded):
    path = joined(tmp_path / name, *coded)
    assert numbers(decode(path)) == [*range(60), *range(500, 560)]
    assert numbers(decode(path, fps=10)) == [*range(0, 60, 3), *range(500, 560, 3)]


def test_parts_beyond_a_joint_count_from_the_first_recording(tmp_path):
    path = joined(tmp_path / "a.mpg", *MPEG2, count=200)
    part = decode(path, start_s=200 / 30 + 2, end_s=200 / 30 + 2.5)
    assert numbers(part) == list(range(560, 575))


@pytest.mark.parametrize("name", ["a.ts", "a.mpg"])
def test_a_clock_of_33_bits_wraps(tmp_path, name):
    path = write(tmp_path / name, numbered(120), *MPEG2, first_s=2**33 / 90000 - 2)
    assert numbers(decode(path, fps=10)) == list(range(0, 120, 3))
    assert numbers(decode(path, start_s=1.5, end_s=3)) == list(range(45, 90))


def test_frames_missing_in_an_avi_are_a_gap_in_time(tmp_path):
    keep = [number for number in range(60) if not 20 < number < 30]
    path = write(tmp_path / "a.avi", numbered(60), *MJPEG, keep=keep)
    assert numbers(decode(path)) == keep
    assert numbers(decode(path, fps=30)) == [*range(21), *[20] * 5, *[30] * 4, *range(30, 60)]


def test_a_video_that_begins_at_an_hour_is_not_an_hour_long(tmp_path):
    path = write(tmp_path / "a.mkv", numbered(60), *H264, first_s=3600)
    with VideoReader(path, start_s=1) as reader:
        assert numbers(np.stack(list(reader))) == list(range(30, 60))
    assert reader.promised_s == pytest.approx(2, abs=0.05)
    with pytest.raises(VideoError, match="no frame could be decoded between 3 s and inf s"):
        decode(path, start_s=3)
