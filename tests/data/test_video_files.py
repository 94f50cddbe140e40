import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from harlib.data.video.files import VideoError, decode, encode, fit_size, probe
from harlib.data.video.reader import VideoReader

pytestmark = pytest.mark.quick


def levels(count, height=16, width=16):
    """Frames that say their own number: frame i is grey 10 * i."""
    return np.full((count, height, width, 3), 0, np.uint8) + (
        10 * np.arange(count, dtype=np.uint8)[:, None, None, None]
    )


def numbers(frames):
    """The numbers that `levels` wrote, read back from decoded frames."""
    return np.round(frames.mean((1, 2, 3)) / 10).astype(int).tolist()


def write(path, frames, *, codec="libx264", times=None, pixels="yuv420p", rate=25, **options):
    """Any codec and container; `times` are seconds for a variable frame rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image)
            if times is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * times[number])
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("size", "result"),
    [
        (None, (240, 320)),
        (128, (128, 170)),
        (112, (112, 150)),
        (480, (480, 640)),
        ((128, 171), (128, 171)),
    ],
)
def test_fit_size(size, result):
    assert fit_size(240, 320, size) == result
    assert fit_size(320, 240, size) == (result[::-1] if not isinstance(size, tuple) else result)


def test_round_trip(tmp_path, moving_square):
    clip = moving_square(frames=12)
    encode(tmp_path / "a.mp4", clip, fps=12.5, crf=12)
    back = decode(tmp_path / "a.mp4")
    assert back.dtype == np.uint8 and back.shape == clip.shape
    assert np.abs(back.astype(int) - clip).mean() < 2.5
    info = probe(tmp_path / "a.mp4")
    assert (info.height, info.width, info.fps, info.frames) == (48, 64, 12.5, 12)
    assert (info.codec, info.rotation) == ("h264", 0)
    assert info.duration_s == pytest.approx(12 / 12.5)
    assert decode(tmp_path / "a.mp4", size=24).shape == (12, 24, 32, 3)
    assert decode(tmp_path / "a.mp4", size=(20, 21), max_frames=5).shape == (5, 20, 21, 3)


def test_the_same_frames_make_the_same_file(tmp_path, moving_square):
    for name in "ab":
        encode(tmp_path / f"{name}.mp4", moving_square(), fps=25, keyframe=8)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert np.flatnonzero(keys).tolist() == [0, 8, 16]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


_ENCODED = """
import hashlib, sys
from pathlib import Path
import numpy as np
from harlib.data.store.codecs import CODECS
from harlib.data.video.files import encode
rng = np.random.default_rng(0)
clip = np.repeat(rng.integers(0, 60, (1, 136, 136, 3), np.uint8), 40, 0)
for i, frame in enumerate(clip):
    frame[30:90, 2 * i : 2 * i + 60] += 150
path = Path(sys.argv[1])
for options in ({}, {"keyframe": 16}):
    encode(path, clip, fps=25, **options)
    print(hashlib.sha256(path.read_bytes()).hexdigest())
print(hashlib.sha256(b"".join(CODECS["h264"].encode(iter(clip), 90))).hexdigest())
"""


def test_encoding_does_not_depend_on_what_memory_held_before(tmp_path):
    """glibc fills memory that a program gets with a value of ours; mb-tree of x264 read it."""
    found = []
    for fill in ("0", "1", "85"):
        environment = os.environ | {"MALLOC_PERTURB_": fill, "MALLOC_MMAP_THRESHOLD_": "1000000000"}
        command = [sys.executable, "-c", _ENCODED, str(tmp_path / "a.mp4")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(done.stdout.split())
    assert len(found[0]) == 3 and found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
        (np.zeros((2, 9, 8, 3), np.uint8), "9 x 8; both sides must be even"),
        (np.zeros((2, 8, 8, 3), np.float32), "float32 .* must be uint8"),
    ],
)
def test_encode_refuses(tmp_path, frames, message):
    with pytest.raises(VideoError, match=message):
        encode(tmp_path / "a.mp4", frames, fps=25)
    assert not list(tmp_path.iterdir())


def test_shrinking_averages_pixels(tmp_path):
    stripes = np.zeros((3, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 200
    write(tmp_path / "a.mkv", stripes, codec="ffv1", pixels="bgr0")
    small = decode(tmp_path / "a.mkv", size=16).astype(int)
    assert np.abs(small[:, :, 2:-2] - 100).max() < 8  # picking pixels would give 0 or 200


def test_resampling_takes_the_frame_nearest_in_time(tmp_path):
    # 10 frames: 5 at 10 fps, then 5 at 2 fps
    times = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 1.5, 2.0, 2.5]
    write(tmp_path / "a.mkv", levels(10), times=times, crf="0")
    assert numbers(decode(tmp_path / "a.mkv")) == list(range(10))
    seen = numbers(decode(tmp_path / "a.mkv", fps=4))
    wanted = [int(np.argmin(np.abs(np.array(times) - k / 4).round(6))) for k in range(10)]
    assert seen[:10] == wanted
    assert seen[10:] in ([], [9], [9, 9])  # the last frame lasts as long as the rate says
    assert numbers(decode(tmp_path / "a.mkv", fps=4, max_frames=3)) == wanted[:3]


def test_resampling_a_steady_video_only_repeats_or_drops(tmp_path):
    encode(tmp_path / "a.mp4", levels(20), fps=20, crf=1)
    assert numbers(decode(tmp_path / "a.mp4", fps=20)) == list(range(20))
    assert numbers(decode(tmp_path / "a.mp4", fps=10)) == list(range(0, 20, 2))
    assert numbers(decode(tmp_path / "a.mp4", fps=40)) == sorted([*range(20), *range(20)])


def test_a_jump_of_an_hour_between_frames_is_a_damaged_clock(tmp_path):
    write(tmp_path / "a.mkv", levels(3), times=[0, 0.1, 4000], crf="0")
    assert len(decode(tmp_path / "a.mkv")) == 3
    with pytest.raises(VideoError, match="timestamps jump from 0.1 s to 4000.0 s"):
        decode(tmp_path / "a.mkv", fps=10)


def test_frames_come_in_display_order_without_presentation_times(tmp_path):
    # AVI holds no presentation times, and B-frames are stored out of order
    write(tmp_path / "a.avi", levels(20), codec="mpeg4", bf="2", qmin="1", qmax="1")
    assert numbers(decode(tmp_path / "a.avi")) == list(range(20))
    steady = numbers(decode(tmp_path / "a.avi", fps=25))
    assert np.abs(np.array(steady) - np.arange(len(steady))).max() <= 1
    assert len(steady) in (19, 20, 21)


def test_a_bare_stream_has_no_timestamps_at_all(tmp_path):
    write(tmp_path / "a.h264", levels(10), bf="0", crf="0")
    assert numbers(decode(tmp_path / "a.h264")) == list(range(10))


def test_a_part_is_the_same_frames_with_and_without_a_seek(tmp_path):
    clip = np.concatenate([levels(25)] * 8)  # 8 s; a seek pays from 5 s on
    encode(tmp_path / "a.mp4", clip, fps=25, keyframe=10)
    whole = decode(tmp_path / "a.mp4")
    for start, end in [(0, 0.4), (1, 2), (5.4, 6.2), (7.6, 9)]:
        part = decode(tmp_path / "a.mp4", start_s=start, end_s=end)
        assert np.array_equal(part, whole[round(25 * start) : round(25 * end)])
        half = decode(tmp_path / "a.mp4", start_s=start, end_s=end, fps=12.5)
        assert np.array_equal(half, part[::2])
    with pytest.raises(VideoError, match="no frame could be decoded between 8 s and 9 s"):
        decode(tmp_path / "a.mp4", start_s=8, end_s=9)
    with pytest.raises(VideoError, match="from 2 s to 1 s is empty"):
        decode(tmp_path / "a.mp4", start_s=2, end_s=1)


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
    ids=["clockwise", "upside-down", "counter-clockwise"],
)
def test_phone_videos_come_upright(tmp_path, matrix, turns, moving_square):
    encode(tmp_path / "a.mp4", moving_square(frames=3), fps=25)
    flat = decode(tmp_path / "a.mp4")
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    place = data.find(b"tkhd") + 44  # the display matrix of the track header, 16.16 fixed point
    a, b, c, d = (65536 * value for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "b.mp4").write_bytes(data)
    turned = decode(tmp_path / "b.mp4")
    assert np.array_equal(turned, np.rot90(flat, turns, axes=(1, 2)))
    info = probe(tmp_path / "b.mp4")
    assert (info.rotation, info.height, info.width) == (90 * turns, *turned.shape[1:3])
    short_side = decode(tmp_path / "b.mp4", size=24)
    assert short_side.shape[1:3] == fit_size(*turned.shape[1:3], 24)
    expected = np.rot90(decode(tmp_path / "a.mp4", size=24), turns, axes=(1, 2))
    assert np.array_equal(short_side, expected)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("a.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}),
        ("a.mp4", "libx264", "yuv420p10le", {}),
        ("a.webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8"}),
        ("a.mp4", "libsvtav1", "yuv420p10le", {"preset": "12", "svtav1-params": "lp=1"}),
        ("a.avi", "mjpeg", "yuvj420p", {}),
    ],
)
def test_codecs(tmp_path, name, codec, pixels, options, moving_square):
    clip = moving_square(frames=8, height=64, width=64)
    with ThreadPoolExecutor(1) as own:  # SVT-AV1, run by root, makes its caller a real-time thread
        own.submit(write, tmp_path / name, clip, codec=codec, pixels=pixels, **options).result()
    back = decode(tmp_path / name)
    assert back.shape == clip.shape
    assert np.abs(back.astype(int) - clip).mean() < 8


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_still_is_a_video_of_one_frame(tmp_path, suffix):
    image = np.full((40, 60, 3), (200, 100, 50), np.uint8)  # RGB
    cv2.imwrite(str(tmp_path / f"a{suffix}"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    frames = decode(tmp_path / f"a{suffix}", size=20, fps=25)
    assert frames.shape == (1, 20, 30, 3)
    assert np.abs(frames.astype(int) - (200, 100, 50)).max() <= 3
    assert probe(tmp_path / f"a{suffix}").frames == 1


def bad_files(folder, moving_square):
    """Files that are no video, with a pattern of the reason."""
    encode(folder / "good.mp4", moving_square(), fps=25)
    good = (folder / "good.mp4").read_bytes()
    samples = np.zeros((1, 8000), np.int16)
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    contents = {
        "empty.mp4": (b"", "empty"),
        "text.mp4": (b"this is a text\n" * 99, "not a video"),
        "zeros.avi": (bytes(5000), "not a video"),
        "truncated.mp4": (good[: len(good) // 2], "not a video"),
        "playlist.mp4": (b"#EXTM3U\n#EXTINF:1,\ngood.mp4\n#EXT-X-ENDLIST\n", "not a video"),
        "concat.mp4": (b"ffconcat version 1.0\nfile good.mp4\n", "not a video"),
        "text.jpg": (b"this is no image\n" * 99, "not a readable image"),
        "empty.png": (b"", "empty"),
    }
    for name, (data, _) in contents.items():
        (folder / name).write_bytes(data)
    (folder / "folder.mp4").mkdir()
    reasons = {name: reason for name, (_, reason) in contents.items()}
    return reasons | {
        "sound.mp4": "no video stream",
        "folder.mp4": "it is an empty folder",
        "none.mp4": "no such file",
        "none.jpg": "no such file",
    }


def test_what_is_no_video_is_an_error_with_a_reason(tmp_path, moving_square):
    for name, reason in bad_files(tmp_path, moving_square).items():
        for read in (decode, probe):
            with pytest.raises(VideoError, match=reason) as caught:
                read(tmp_path / name)
            assert caught.value.path == str(tmp_path / name)


def test_a_file_cut_short_gives_the_frames_that_are_there(tmp_path, moving_square):
    write(tmp_path / "a.avi", moving_square(frames=40), codec="mjpeg", pixels="yuvj420p")
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "b.avi").write_bytes(data[: len(data) // 2])
    with VideoReader(tmp_path / "b.avi") as reader:
        frames = list(reader)
    assert 10 <= len(frames) <= 22
    assert reader.span_s < 0.6 * reader.info.duration_s


def test_frames_of_absurd_size_are_refused(tmp_path, moving_square):
    encode(tmp_path / "a.mp4", moving_square(), fps=25)
    (tmp_path / "a.bmp").write_bytes(
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    for name, reason in (("a.bmp", "absurd image"), ("a.png", "absurd frame size 9000 x 9000")):
        with pytest.raises(VideoError, match=reason):
            decode(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_hostile_bytes_end_in_frames_or_an_error(tmp_path, name, moving_square):
    codec = "libx264" if name != "a.avi" else "mpeg4"
    write(tmp_path / name, moving_square(frames=10), codec=codec)
    good = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    outcomes = {"frames": 0, "error": 0}
    for trial in range(70):
        data = bytearray(good)
        if trial % 3 == 0:
            data = data[: rng.integers(1, len(data))]
        else:
            for place in rng.integers(0, len(data), 1 + trial % 40):
                data[place] = rng.integers(0, 256)
        bad = tmp_path / f"bad{name[1:]}"
        bad.write_bytes(data)
        try:
            frames = decode(bad, size=16, max_frames=100)
            assert frames.ndim == 4 and frames.shape[3] == 3
            outcomes["frames"] += 1
        except VideoError as error:
            assert error.reason
            outcomes["error"] += 1
    assert outcomes["error"] and outcomes["frames"]


@pytest.mark.real
def test_real_containers(real_data):
    counts = {
        "Megamind_bugy.avi": (270, "mpeg4"),
        "S001C001P001R001A001_rgb.avi": (103, "h264"),
        "demo.mp4": (280, "h264"),
        "part_0.mp4": (32, "h264"),
        "tree.avi": (68, "cinepak"),  # 444 slots of which 68 hold a frame
        "v_BaseballPitch_g01_c01.avi": (107, "mpeg4"),
    }
    for name, (count, codec) in counts.items():
        path = real_data / "ingestion" / name
        assert probe(path).codec == codec
        assert len(decode(path, size=32)) == count
    assert len(decode(real_data / "ingestion" / "tree.avi", size=32, fps=15)) == 444
    assert len(decode(real_data / "ingestion" / "demo.mp4", size=32, fps=14)) == 140


def test_what_is_longer_than_may_be_is_refused(moving_square, tmp_path):
    encode(tmp_path / "claims.mp4", moving_square(frames=60), fps=25)
    with pytest.raises(VideoError, match="it is longer than 0:02 min$"):
        VideoReader(tmp_path / "claims.mp4", longest_s=2.0)
    with pytest.raises(VideoError, match="it is longer than 0:01 min: its header says 0:02 min"):
        VideoReader(tmp_path / "claims.mp4", longest_s=1.0)
    assert len(list(VideoReader(tmp_path / "claims.mp4", longest_s=2.5))) == 60
    whole = av.open(str(tmp_path / "claims.mp4"))
    with av.open(str(tmp_path / "silent.mkv"), "w", options={"live": "1"}) as file:
        copy = file.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                file.mux(packet)
    for fps in (None, 10.0):
        with VideoReader(tmp_path / "silent.mkv", fps=fps, longest_s=2.0) as reader:
            came = 0
            with pytest.raises(VideoError, match="it is longer than 0:02 min$"):
                for _ in reader:
                    came += 1
        assert came == (51 if fps is None else 20)
