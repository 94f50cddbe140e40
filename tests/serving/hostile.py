"""Files and names that a stranger might send: (name, content) of each."""

import io
import itertools
import struct
import zipfile
import zlib

import numpy as np

NAMES = (
    "../../../etc/passwd.mp4", "/etc/cron.d/x.mp4", "..", "a\0b.mp4", "C:\\windows\\x.avi",
    "x" * 4000 + ".mp4", "跳舞 رقص \U0001f483.mp4", "$(touch owned).mkv", "-rf.mp4",
    "%2e%2e%2f.mp4",
    "<script>alert(1)</script>.webm", "line\nbreak.mp4", ".mp4", "CON.mp4", "a/b/c.jpg", "",
)  # fmt: skip


def files(whole: bytes, count: int):
    """`count` of them; `whole` is the content of a good mp4 file."""
    rng = np.random.default_rng(0)
    odd = itertools.cycle(_odd())
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        kind = number % 3
        if kind == 0:  # cut
            content = whole[: 1 + len(whole) * (number + 1) // (count + 1)]
        elif kind == 1:  # bytes of it are others
            damaged = np.frombuffer(whole, np.uint8).copy()
            places = rng.integers(0, len(whole), 1 + number % 60)
            damaged[places] = rng.integers(0, 256, len(places))
            content = damaged.tobytes()
        else:
            ending, content = next(odd)
            name += ending
        yield name, content


def _odd():
    png = _png(30_000, 30_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mp4", bytes(10_000_000))
    return [
        ("", b"x"),
        (".mp4", b"\0" * 100_000),
        (".mp4", bytes(range(256)) * 300),
        (".txt", b"a text of some lines\n" * 1000),
        (".png", png),
        (".mp4", png),
        (".png", _png(8000, 8000)[:60]),
        (".gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b"," + bytes(4)
         + struct.pack("<HH", 65535, 65535) + b"\0\x02\x02D\x01\0;"),
        (".y4m", b"YUV4MPEG2 W100000 H100000 F25:1\nFRAME\n" + bytes(5000)),
        (".y4m", b"YUV4MPEG2 W8 H8 F1000000:1\n" + 300 * (b"FRAME\n" + bytes(96))),
        (".m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        (".mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n"),
        (".mkv", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        (".svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='99999' height='99999'/>"),
        (".zip", packed.getvalue()),
        (".mp4", struct.pack(">I4sI4s", 16, b"ftyp", 0, b"isom") + struct.pack(">IQ", 1, 1 << 62)),
        (".avi", b"RIFF" + b"\xff" * 5000),
        (".h264", b"\0\0\0\1\x67" + b"\xff" * 5000),
    ]  # fmt: skip


def _png(width, height):
    """A picture of one colour, a few kilobytes for gigabytes of pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    row = zlib.compress(bytes(1 + width // 8) * 1000, 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
