"""Frames that carry their number, and files of them in any container and codec."""

from fractions import Fraction

import av
import numpy as np

H264 = (
    "libx264",
    {"g": "30", "sc_threshold": "0", "bf": "2", "preset": "veryfast", "crf": "10"},
)
MPEG2 = ("mpeg2video", {"g": "15", "bf": "2", "qmin": "1", "qmax": "2"})
MPEG4 = ("mpeg4", {"g": "30", "bf": "2", "qmin": "1", "qmax": "2"})
MJPEG = ("mjpeg", {"qmax": "3"})
VP8 = ("libvpx", {"g": "30", "b": "1M", "cpu-used": "8", "deadline": "realtime"})


def numbered(count, first=0, height=32):
    """Frames, 160 pixels wide, whose number is ten dark or bright columns, the lowest leftmost.

    They are noisy: small pictures share a packet of a stream, and with it a time stamp.
    """
    digits = np.arange(first, first + count)[:, None] >> np.arange(10) & 1
    columns = np.repeat(np.where(digits, 210, 45), 16, 1)[:, None, :, None]
    noise = np.random.default_rng(first).integers(-30, 31, (count, height, 160, 1))
    return np.repeat(columns + noise, 3, 3).astype(np.uint8)


def numbers(frames):
    columns = frames.reshape(*frames.shape[:2], 10, 16, 3)[:, 8:24, :, 4:12]
    return ((columns.mean((1, 3, 4)) > 128) @ (1 << np.arange(10))).tolist()


def write(path, frames, codec, options, *, rate=30, first_s=0.0, keep=None, aspect=None):
    """30 frames a second from `first_s` on; `keep`: the numbers of those that are there; `aspect`:
    the shape of a pixel."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(len(frames)) if keep is None else keep:
            frame = av.VideoFrame.from_ndarray(frames[number])
            frame.pts, frame.time_base = number, Fraction(1, rate)
            _mux(file, stream.encode(frame), first_s)
        _mux(file, stream.encode(None), first_s)
    return path


def _mux(file, packets, first_s):
    for packet in packets:
        if first_s:
            packet.pts += round(first_s / packet.time_base)
            packet.dts += round(first_s / packet.time_base)
        file.mux(packet)


def joined(path, codec, options, starts=(0, 0), count=60):
    """Two recordings in one file: frames from 0 on, then from 500 on."""
    halves = [
        write(path.with_name(f"{first}{path.suffix}"), frames, codec, options, first_s=start)
        for first, start in zip((0, 500), starts, strict=True)
        for frames in [numbered(count, first)]
    ]
    path.write_bytes(b"".join(half.read_bytes() for half in halves))
    return path
