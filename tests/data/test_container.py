from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from numbered import H264, MPEG2, MPEG4, VP8, numbered, numbers, write
from PIL import Image

from harlib.data.catalog.catalog import COLUMNS, Catalog
from harlib.data.store.audit import Audit
from harlib.data.store.prepare import prepare
from harlib.data.video.files import VideoError, decode, probe
from harlib.data.video.reader import VideoReader

pytestmark = pytest.mark.quick

PARTS = [(0, 0.4), (1, 2), (2.5, 3), (5.5, 6.2)]  # a seek pays from 5 s on
CODED = [
    *(("a.avi", MPEG4), ("b.avi", H264), ("a.mpg", MPEG2), ("a.ts", H264), ("b.ts", MPEG2)),
    *(("a.mp4", H264), ("a.mov", MPEG4), ("a.mkv", H264), ("b.mkv", MPEG4), ("a.webm", VP8)),
    *(("a.flv", H264), ("a.ogv", VP8), ("a.h264", H264), ("a.m2v", MPEG2)),
]


@pytest.mark.parametrize(
    ("name", "coded"), CODED, ids=[f"{coded[0]}{name[1:]}" for name, coded in CODED]
)
def test_a_part_has_its_frames_in_every_container(tmp_path, name, coded):
    path = write(tmp_path / name, numbered(200), *coded)
    whole = decode(path)
    assert numbers(whole) == list(range(200))
    assert numbers(decode(path, fps=10)) == list(range(0, 200, 3))
    for start, end in PARTS:
        first, last = round(30 * start), round(30 * end)
        part = decode(path, start_s=start, end_s=end)
        assert numbers(part) == list(range(first, last))
        assert np.array_equal(part, whole[first:last])
        third = decode(path, start_s=start, end_s=end, fps=10)
        assert numbers(third) == list(range(first, last, 3))


def test_an_index_that_misleads_does_not_cost_frames(tmp_path):
    """All packets of an AVI are called keyframes: decoding from most of them gives grey."""
    path = write(tmp_path / "a.avi", numbered(200), *MPEG4)
    right = decode(path, start_s=5.5)
    data = bytearray(path.read_bytes())
    index = data.rindex(b"idx1") + 8
    for place in range(index + 4, len(data), 16):
        data[place] = 0x10
    path.write_bytes(data)
    assert numbers(right) == list(range(165, 200))
    assert np.array_equal(decode(path, start_s=5.5), right)


def test_repeated_frames_of_theora_are_not_its_end():
    """Made by FFmpeg's libtheora: 60 frames, of which 20 to 40 are one, partly as empty packets."""
    path = Path(__file__).with_name("still.ogv")
    once = numbers(decode(path))
    assert [number for number in once if number != 20] == [*range(20), *range(40, 60)]
    assert len(once) < 60
    with VideoReader(path, end_s=1.2) as reader:
        list(reader)
    assert reader.span_s == pytest.approx(1.2)
    assert numbers(decode(path, fps=30)) == [*range(20), *[20] * 20, *range(40, 60)]
    assert numbers(decode(path, start_s=1.5)) == list(range(45, 60))


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_file_cut_by_copying_is_whole(tmp_path, suffix):
    """Its edit list hides the frames between the keyframe and the cut."""
    source = write(tmp_path / "a.mp4", numbered(150), *H264)
    path = tmp_path / f"cut.{suffix}"
    with av.open(str(source)) as file, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.size and packet.dts * packet.time_base >= 0.9:  # from the second keyframe on
                cut = round(Fraction(3, 2) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - cut, packet.dts - cut, stream
                copy.mux(packet)
    assert numbers(decode(path)) == list(range(45, 150))
    assert (probe(path).frames, probe(path).duration_s) == (105, pytest.approx(3.5, abs=0.04))
    rows = [("cut", str(path), "run", "train", "cut", np.nan, np.nan)]
    prepare(Catalog(pd.DataFrame(rows, columns=COLUMNS), "cut"), tmp_path / "store", size=32)
    (audit,) = Audit.load(tmp_path / "store").videos.to_dict("records")
    assert (audit["status"], audit["reason"]) == ("ok", "")


def two_streams(path, sizes=(32, 32), **disposition):
    """Two H.264 streams, the second one's numbers from 500 on."""
    with av.open(str(path), "w") as file:
        streams = []
        for height in sizes:
            streams.append(stream := file.add_stream(H264[0], rate=30, options=H264[1]))
            stream.height, stream.width, stream.pix_fmt = height, 160, "yuv420p"
        for number, flags in disposition.items():
            streams[int(number[1:])].disposition = flags
        for stream, first in zip(streams, (0, 500), strict=True):
            for image in numbered(10, first, stream.height):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
            file.mux(stream.encode(None))
    return path


DEFAULT, ATTACHED_PICTURE = 1, 0x400


@pytest.mark.parametrize(
    ("sizes", "disposition", "first"),
    [
        ((32, 32), {"s0": 0, "s1": DEFAULT}, 500),
        ((32, 32), {"s0": DEFAULT, "s1": 0}, 0),
        ((64, 32), {"s0": 0, "s1": DEFAULT}, 500),
        ((32, 64), {"s0": DEFAULT, "s1": DEFAULT}, 500),
        ((32, 32), {"s0": DEFAULT, "s1": DEFAULT}, 0),
    ],
)
def test_of_several_streams_the_default_one_is_read_and_else_the_largest(
    tmp_path, sizes, disposition, first
):
    path = two_streams(tmp_path / "a.mkv", sizes, **disposition)
    assert numbers(decode(path)) == list(range(first, first + 10))


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mpg", "a.ts", "a.mkv", "a.webm", "a.ogv"])
def test_one_frame_is_a_video(tmp_path, name):
    coded = {"webm": VP8, "ogv": VP8, "mpg": MPEG2, "avi": MPEG4}.get(name[2:], H264)
    path = write(tmp_path / name, numbered(1, 7), *coded)
    assert numbers(decode(path)) == [7]
    assert set(numbers(decode(path, fps=10))) == {7}
    with pytest.raises(VideoError, match="no frame could be decoded between 1 s and 2 s"):
        decode(path, start_s=1, end_s=2)


def test_a_bare_stream_has_the_rate_its_codec_says(tmp_path):
    for name, coded in (("a.h264", H264), ("a.m2v", MPEG2)):
        path = write(tmp_path / name, numbered(60), *coded)
        info = probe(path)
        assert (info.fps, info.duration_s) == (30, 0)
        assert numbers(decode(path, fps=10, start_s=1)) == list(range(30, 60, 3))


def test_animations_with_a_palette(tmp_path):
    pictures = [Image.fromarray(frame) for frame in numbered(20)]
    for name in ("a.gif", "a.apng"):
        kind = {"gif": "GIF", "apng": "PNG"}[name[2:]]
        pictures[0].save(
            tmp_path / name, kind, save_all=True, append_images=pictures[1:], duration=40
        )
        assert numbers(decode(tmp_path / name)) == list(range(20))
        assert numbers(decode(tmp_path / name, fps=12.5)) == list(range(0, 20, 2))
