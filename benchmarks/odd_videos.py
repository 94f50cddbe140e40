"""Odd but whole videos: FFmpeg's frames beside ours, as a table.

    python benchmarks/odd_videos.py [--only WORD] [--keep FOLDER]

Writes some ninety files with the program ffmpeg (containers x codecs, and what goes wrong with
them in the field), each of whose frames carries its number as ten black or white squares, and reads
every one whole, by its parts and resampled. Frames and time stamps are compared with what ffmpeg
makes of the file; the rules of parts and of resampling are those of
`harlib.data.video.files.decode`, applied to ffmpeg's time stamps, and at the file's own
rate resampling is compared with ffmpeg's `fps` filter. Prints the table, writes it to
benchmarks/odd_videos.md (not with --only) and ends with 1 if a file differs.
"""

import argparse
import math
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from harlib.data.video.files import VideoError, decode
from harlib.data.video.reader import VideoReader

HEADER = """# Odd videos: FFmpeg's frames beside ours

Made by `python benchmarks/odd_videos.py`, with the program ffmpeg {program} and harlib on PyAV's
libavcodec {library}. *ffmpeg*: how many frames the program decodes, and the numbers drawn in them
(of a picture that is turned or coarse they only tell it from others). *whole*: the same frames, and
the file is not called short; *parts*: the frames of 0–0.4, 1–2, 2.5–3 and 5.5–6.2 s; *10 fps*: the
frame nearest in time every 0.1 s; *30 fps*: as ffmpeg's `fps` filter at the file's own rate;
*shape*: the aspect as shown, scaled to a short side.

"""
HEIGHT, WIDTH, RATE = 64, 192, 30
PARTS = ((0, 0.4), (1, 2), (2.5, 3), (5.5, 6.2))  # a seek pays from 5 s on
X264 = "-c:v libx264 -pix_fmt yuv420p -preset veryfast -g 30 -bf 2"
OPEN_GOP = (
    "-c:v libx264 -pix_fmt yuv420p -preset veryfast -x264-params open-gop=1:keyint=20:bframes=3"
)
X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=30:pools=1"
MPEG1 = "-c:v mpeg1video -q:v 2 -bf 2 -g 15"
MPEG2 = "-c:v mpeg2video -q:v 2 -bf 2 -g 15"
MPEG4 = "-c:v mpeg4 -q:v 2 -bf 2 -g 30"
VP8 = "-c:v libvpx -crf 10 -b:v 2M -cpu-used 8 -deadline realtime -g 30"
VP9 = "-c:v libvpx-vp9 -crf 20 -b:v 0 -cpu-used 8 -deadline realtime -g 30"
AV1 = "-c:v libsvtav1 -preset 10 -crf 5 -g 30"
THEORA = "-c:v libtheora -q:v 8 -g 30"
MJPEG = "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"


def numbered(count=200, first=0, height=HEIGHT, width=WIDTH) -> np.ndarray:
    """Frames that carry their number, the lowest of ten digits leftmost."""
    frames = np.full((count, height, width, 3), 90, np.uint8)
    for number, frame in enumerate(frames, first):
        for digit in range(10):
            left = 8 + 16 * digit
            frame[8:48, left : left + 16] = 235 if number >> digit & 1 else 20
    return frames


def numbers(frames) -> list[int]:
    if frames.shape[2] < WIDTH:  # lying on their side they cannot be read
        return []
    places = [slice(13 + 16 * digit, 19 + 16 * digit) for digit in range(10)]
    return [
        sum(1 << digit for digit, place in enumerate(places) if frame[20:36, place].mean() > 128)
        for frame in frames
    ]


def ffmpeg(*arguments, data: bytes | None = None) -> bytes:
    command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.decode()[-300:]}")
    return done.stdout


def write(path, frames: np.ndarray, options: str, rate=RATE) -> None:
    _, height, width, _ = frames.shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate, "-i", "-"]
    ffmpeg(*raw, *options.split(), path, data=frames.tobytes())


# --- what is odd


def plain(options, **shape):
    return lambda path: write(path, numbered(**shape), options)


def joined(options, first="", second="", count=90):
    """Two recordings, one file after the other."""

    def make(path):
        halves = [path.with_name(f"half{half}{path.suffix}") for half in (1, 2)]
        write(halves[0], numbered(count), f"{options} {first}")
        write(halves[1], numbered(count, 500), f"{options} {second}")
        path.write_bytes(b"".join(half.read_bytes() for half in halves))

    return make


def copied(source, *arguments, before=(), frames=200):
    """A copy of a file written with the options `source`, without coding it again."""

    def make(path):
        whole = path.with_name(f"whole{path.suffix}")
        write(whole, numbered(frames), source)
        ffmpeg(*before, "-i", whole, "-c", "copy", *arguments, path)

    return make


def matrix(a, b, c, d, options=X264):
    """A display matrix in the track header of an mp4 file."""

    def make(path):
        write(path, numbered(40), options)
        data = bytearray(path.read_bytes())
        place = data.index(b"tkhd") + 44
        values = [round(65536 * value) for value in (a, b, 0, c, d, 0, 0, 0)]
        data[place : place + 36] = struct.pack(">9i", *values, 1 << 30)
        path.write_bytes(data)

    return make


def repeating(options, *extra):
    """Frames 20 to 40 and 100 to 110 show one picture each."""

    def make(path):
        frames = numbered()
        frames[20:40], frames[100:110] = frames[20], frames[100]
        write(path, frames, " ".join((options, *extra)))

    return make


def uneven(options):
    """Every third frame of the second half is missing."""
    keep = "-vf select='lt(n,100)+mod(n,3)' -fps_mode vfr"
    return lambda path: write(path, numbered(), f"{keep} {options}")


def streams(*options, default=None, sizes=((HEIGHT, WIDTH), (HEIGHT, WIDTH))):
    """Two video streams; the second one's numbers begin at 500."""

    def make(path):
        parts = [path.with_name(f"{name}.mkv") for name in ("stream0", "stream1")]
        for part, first, (height, width) in zip(parts, (0, 500), sizes, strict=True):
            write(part, numbered(90, first, height, width), X264)
        choice = [] if default is None else ["-disposition:v", "0", f"-disposition:v:{default}"]
        choice += [] if default is None else ["default"]
        inputs = ["-i", parts[0], "-i", parts[1], "-map", "0", "-map", "1", "-c", "copy"]
        ffmpeg(*inputs, *choice, *options, path)

    return make


def with_cover(path):
    """A picture before the video, marked as a cover."""
    video, cover = path.with_name("video.mp4"), path.with_name("cover.jpg")
    write(video, numbered(90), X264)
    write(cover, numbered(1, 900), "-frames:v 1 -update 1")
    inputs = ["-i", cover, "-i", video, "-map", "0", "-map", "1", "-c", "copy"]
    ffmpeg(*inputs, "-disposition:v:0", "attached_pic", "-disposition:v:1", "default", path)


def with_sound(options):
    """Sound begins half a second before the picture."""

    def make(path):
        video = path.with_name("picture.mkv")
        write(video, numbered(), options)
        sound = ["-f", "lavfi", "-i", "sine=duration=7"]
        how = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac"]
        ffmpeg("-itsoffset", 0.5, "-i", video, *sound, *how, path)

    return make


def no_keyframe_first(options):
    """A cut from a broadcast: it begins in the middle of a group of pictures."""

    def make(path):
        write(path, numbered(), options)
        data = path.read_bytes()
        begin = len(data) // 10
        path.write_bytes(data[begin - begin % 188 :])

    return make


@dataclass(frozen=True)
class File:
    """A file to make: its name, what is odd about it, how it is written."""

    name: str
    odd: str
    make: Callable[[Path], None]
    steady: bool = True  # one frame every 1/30 s: the rules of resampling agree at 30 fps
    repeats: bool = False  # empty packets say so, which ffmpeg's own frames do not tell
    told: bool = True  # ffmpeg's time stamps run on, where False is for every 1/30 s a frame


CODED = [
    *(("h264.mp4", X264), ("h264.mov", X264), ("h264.mkv", X264), ("h264.avi", X264)),
    *(("h264.ts", X264), ("h264.flv", X264), ("h264.m2ts", X264), ("h264.3gp", X264)),
    *(("bare.h264", X264), ("hevc.mp4", X265), ("hevc.mkv", X265), ("hevc.ts", X265)),
    *(("av1.mp4", AV1), ("av1.webm", AV1), ("vp8.webm", VP8), ("vp9.webm", VP9)),
    *(("vp9.mp4", VP9), ("vp8.avi", VP8), ("mpeg4.mp4", MPEG4), ("mpeg4.avi", MPEG4)),
    *(("mpeg4.mkv", MPEG4), ("xvid.avi", f"{MPEG4} -vtag xvid"), ("mpeg2.mpg", MPEG2)),
    *(("mpeg2.ts", MPEG2), ("mpeg2.mkv", MPEG2), ("mpeg1.mpg", MPEG1), ("theora.ogv", THEORA)),
    *(("theora.mkv", THEORA), ("wmv2.wmv", "-c:v wmv2 -q:v 2"), ("mjpeg.avi", MJPEG)),
    *(("mjpeg.mov", MJPEG), ("msmpeg4.avi", "-c:v msmpeg4 -q:v 2"), ("flv1.flv", "-q:v 2")),
    *(("ffv1.mkv", "-c:v ffv1"), ("huffyuv.avi", "-c:v huffyuv"), ("prores.mov", "-c:v prores")),
    *(("rgb.avi", "-c:v rawvideo -pix_fmt bgr24"), ("dnxhr.mxf", "-c:v mpeg2video -q:v 2")),
    *(("h264.nut", X264), ("cinepak.avi", "-c:v cinepak"), ("bare.m2v", MPEG2)),
]
FILES = [
    *(File(name, "nothing", plain(options)) for name, options in CODED),
    File("joined.mpg", "two recordings joined", joined(MPEG2), steady=False),
    File("joined.ts", "two recordings joined", joined(X264)),
    File(
        "joined.mkv",
        "two recordings joined; ffmpeg's time stamps collapse",
        joined(X264),
        told=False,
    ),
    File("joined.m2v", "two recordings joined", joined(MPEG2)),
    File(
        "ahead.ts",
        "joined, the second an hour later",
        joined(X264, "-output_ts_offset 10", "-output_ts_offset 3600"),
    ),
    File(
        "ahead.mpg",
        "joined, the second an hour later",
        joined(MPEG2, "-output_ts_offset 10", "-output_ts_offset 3600"),
        steady=False,  # libav guesses the stamps between the few that MPEG-PS holds
    ),
    File(
        "before.ts",
        "joined, the second an hour earlier",
        joined(MPEG2, "-output_ts_offset 3600", "-output_ts_offset 10"),
    ),
    File("wrap.ts", "33-bit stamps wrap", plain(f"{X264} -output_ts_offset 95440.5")),
    File("wrap.mpg", "33-bit stamps wrap", plain(f"{MPEG2} -output_ts_offset 95440.5")),
    File("late.ts", "stamps begin at an hour", plain(f"{X264} -output_ts_offset 3600")),
    File("late.mkv", "stamps begin at an hour", plain(f"{X264} -output_ts_offset 3600")),
    File("early.mp4", "negative stamps", plain(f"{X264} -output_ts_offset -2")),
    File("sound.mp4", "sound half a second before", with_sound(X264)),
    File("sound.ts", "sound half a second before", with_sound(X264)),
    File("sound.mkv", "sound half a second before", with_sound(X264)),
    File("turn90.mp4", "display matrix: 90° clockwise", matrix(0, 1, -1, 0)),
    File("turn180.mp4", "display matrix: 180°", matrix(-1, 0, 0, -1)),
    File("turn270.mp4", "display matrix: 270° clockwise", matrix(0, -1, 1, 0)),
    File("leftright.mp4", "display matrix: left and right exchanged", matrix(-1, 0, 0, 1)),
    File("topbottom.mp4", "display matrix: top and bottom exchanged", matrix(1, 0, 0, -1)),
    File("transposed.mp4", "display matrix: transposed", matrix(0, 1, 1, 0)),
    File("antitransposed.mp4", "display matrix: the other diagonal", matrix(0, -1, -1, 0)),
    File("empty.mp4", "display matrix: all zero", matrix(0, 0, 0, 0)),
    File("singular.mp4", "display matrix: a column of zeros", matrix(1, 0, 0, 0)),
    File("scaled.mp4", "display matrix: twice as large", matrix(2, 0, 0, 2)),
    File("askew.mp4", "display matrix: 30° clockwise", matrix(0.866, 0.5, -0.5, 0.866)),
    File("still.ogv", "repeated frames as empty packets", repeating(THEORA), repeats=True),
    File("dropped.avi", "missing frames as empty chunks", uneven(MPEG4), steady=False),
    File("xvid.avi", "repeated frames", repeating(MPEG4, "-vtag xvid -mpv_flags +strict_gop")),
    File("uneven.mp4", "uneven rate", uneven(X264), steady=False),
    File("uneven.mkv", "uneven rate", uneven(X264), steady=False),
    File("uneven.webm", "uneven rate", uneven(VP9), steady=False),
    File("cut.mp4", "cut by copying (edit list)", copied(X264, before=("-ss", 1.4))),
    File("cut.mov", "cut by copying (edit list)", copied(X264, "-t", 4, before=("-ss", 1.4))),
    File("cut.mkv", "cut by copying", copied(X264, before=("-ss", 1.4))),
    File("cut.ts", "cut by copying", copied(X264, before=("-ss", 1.4))),
    File("cut.avi", "cut by copying", copied(MPEG4, before=("-ss", 1.4))),
    File("cut.mpg", "cut by copying", copied(MPEG2, before=("-ss", 1.4))),
    File("pieces.mp4", "fragmented", copied(X264, "-movflags", "frag_keyframe+empty_moov")),
    File("sar.mp4", "pixels of 64:45", plain(f"{X264} -vf setsar=64/45")),
    File("sar.mkv", "pixels of 4:3", plain(f"{VP9} -vf setsar=4/3")),
    File("sar.mpg", "pixels of 16:15", plain(f"{MPEG2} -aspect 16:5")),
    File("sar0.mp4", "pixels of 0:1", plain(f"{X264} -vf setsar=0/1")),
    File("second.mkv", "two videos, the second default", streams(default=1), steady=True),
    File("first.mkv", "two videos, the first default", streams(default=0)),
    File(
        "larger.mp4",
        "two videos, the second larger",
        streams(sizes=((HEIGHT, WIDTH), (2 * HEIGHT, 2 * WIDTH))),
    ),
    File("cover.mp4", "a cover picture first", with_cover),
    File("opengop.mp4", "open groups of pictures", plain(OPEN_GOP)),
    File("opengop.ts", "open groups of pictures", plain(OPEN_GOP)),
    File("opengop.avi", "open groups of pictures", plain(OPEN_GOP)),
    File("nokey.ts", "no keyframe at its start", no_keyframe_first(X264)),
    File("nokey2.ts", "no keyframe at its start", no_keyframe_first(MPEG2)),
    File(
        "refresh.ts", "intra refresh, no keyframes", plain(f"{X264} -x264-params intra-refresh=1")
    ),
    File("interlaced.ts", "interlaced", plain(f"{X264} -flags +ilme+ildct -x264-params tff=1")),
    File("interlaced.mpg", "interlaced", plain(f"{MPEG2} -flags +ilme+ildct")),
    File("10bit.mp4", "10 bits", plain(X264.replace("yuv420p", "yuv420p10le"))),
    File("grey.mp4", "grey", plain(X264.replace("yuv420p", "gray"))),
    File("444.mkv", "full colour", plain(X264.replace("yuv420p", "yuv444p"))),
    File("alpha.webm", "alpha", plain(f"{VP9} -pix_fmt yuva420p")),
    File("alpha.mov", "alpha", plain("-c:v qtrle -pix_fmt argb")),
    File("odd.mp4", "odd sides", plain(X264.replace("yuv420p", "yuv444p"), height=65, width=193)),
    File("odd.webm", "odd sides", plain(VP9, height=65, width=193)),
    File("palette.gif", "palette", plain("-r 25"), steady=False),
    File("palette.apng", "palette", plain("-pix_fmt pal8 -plays 0"), steady=True),
    *(
        File(f"one.{name}", "one frame", plain(options, count=1), steady=False)
        for name, options in (
            *(("mp4", X264), ("avi", MPEG4), ("mpg", MPEG2), ("ts", X264), ("mkv", X264)),
            *(("webm", VP9), ("ogv", THEORA), ("gif", ""), ("flv", X264)),
        )
    ),
]


# --- FFmpeg's frames


@dataclass(frozen=True)
class Truth:
    """What ffmpeg decodes: frames, upright; seconds since the first; the frames (by number) of its
    `fps` filter; and width by height as shown."""

    frames: np.ndarray
    times: list[float]
    steady: list[int]
    aspect: float

    def part(self, start, end) -> list[int]:
        return [k for k, time in enumerate(self.times) if start - 1e-4 <= time < end - 1e-4]

    def nearest(self, fps, last_s) -> list[int]:
        """The frame nearest in time for every 1/fps seconds before the end; the earlier one where
        two are as near."""
        count = max(1, math.ceil((self.times[-1] + last_s) * fps - 0.05))
        distances = np.abs(np.array(self.times)[None] - np.arange(count)[:, None] / fps)
        return np.argmin(np.round(distances, 5), 1).tolist()


def truth(path: Path) -> Truth:
    raw, table, steady = (path.with_name(f"truth.{name}") for name in ("raw", "md5", "steady"))
    kept = ["-an", "-fps_mode", "passthrough", "-pix_fmt", "rgb24"]
    sums = [*kept, "-enc_time_base", "1:90000", "-f", "framemd5"]
    filtered = [*kept, "-vf", f"fps={RATE}", "-f", "framemd5"]
    ffmpeg("-i", path, *kept, "-f", "rawvideo", raw, *sums, table, *filtered, steady)
    head = table.read_text()
    width, height = map(int, re.search(r"#dimensions 0: (\d+)x(\d+)", head).groups())
    sar = re.search(r"#sar 0: (\d+)/(\d+)", head)
    pixel = int(sar[1]) / int(sar[2]) if sar and int(sar[1]) else 1.0
    rows, others = (
        [line.split(",") for line in file.read_text().splitlines() if line[0] != "#"]
        for file in (table, steady)
    )
    places = {row[5]: place for place, row in reversed(list(enumerate(rows)))}
    times = [(int(row[2]) - int(rows[0][2])) / 90000 for row in rows]
    frames = np.frombuffer(raw.read_bytes(), np.uint8).reshape(-1, height, width, 3)
    return Truth(frames, times, [places[row[5]] for row in others], pixel * width / height)


# --- ours beside it


def same(ours: np.ndarray, frames: np.ndarray) -> bool:
    """The same pictures but for rounding; two numbers differ by 13 grey levels in the mean."""
    if ours.shape != frames.shape:
        return False
    return all(np.abs(a.astype(int) - b).mean() < 4 for a, b in zip(ours, frames, strict=True))


def runs(values: list[int]) -> str:
    """Numbers as people write them: 0–89 500–589."""
    found = []
    for value in values:
        if found and value == found[-1][1] + 1:
            found[-1][1] = value
        else:
            found.append([value, value])
    words = [f"{first}–{last}" if last > first else f"{first}" for first, last in found]
    return " ".join(words if len(words) < 7 else [*words[:3], "…", *words[-2:]])


def judge(path: Path, want: Truth, file: File) -> dict[str, str]:
    """What ours are, for each way of reading: "same", or the frames that differ."""

    def told(ours, indices):
        if same(ours, want.frames[indices]):
            return "same"
        right = numbers(want.frames[indices])
        return f"**{len(ours)}: {runs(numbers(ours))}**, right {len(right)}: {runs(right)}"

    with VideoReader(path) as reader:
        whole = np.stack(list(reader))
        complete = reader.span_s >= 0.9 * reader.promised_s
    found = {"whole": told(whole, slice(None))}
    if found["whole"] == "same" and not complete:
        found["whole"] = f"**called short**: {reader.span_s:.2f} of {reader.promised_s:.2f} s"
    wrong = []
    for start, end in PARTS:
        indices = want.part(start, end)
        try:
            ours = decode(path, start_s=start, end_s=end)
        except VideoError:
            ours = want.frames[:0]
        if (answer := told(ours, indices)) != "same":
            wrong.append(f"{start}–{end} s: {answer}")
    found["parts"] = "; ".join(wrong) or "same"
    last_s = 1 / (RATE if file.steady else reader.info.fps)
    nearest = want.steady[::3] if file.repeats else want.nearest(10, last_s)
    found["10 fps"] = told(decode(path, fps=10), nearest)
    found["30 fps"] = told(decode(path, fps=RATE), want.steady) if file.steady else "–"
    high, wide = decode(path, size=32, max_frames=1).shape[1:3]
    right = min(high, wide) == 32 and abs(wide / high / want.aspect - 1) < 0.04
    found["shape"] = "same" if right else f"**{wide} × {high}**, right {want.aspect:.2f} : 1"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="files whose name or oddity holds this text")
    parser.add_argument("--keep", type=Path, help="write the files into this folder and leave them")
    arguments = parser.parse_args()
    columns = ("whole", "parts", "10 fps", "30 fps", "shape")
    lines = [f"| file | what is odd | ffmpeg | {' | '.join(columns)} |", "|---" * 8 + "|"]
    print("\n".join(lines))
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        for place, file in enumerate(FILES):
            if arguments.only not in f"{file.name} {file.odd}":
                continue
            folder = (arguments.keep or Path(temporary)) / f"{place:03d}"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / file.name
            file.make(path)
            want = truth(path)
            if not file.told:
                count = len(want.frames)
                times = [place / RATE for place in range(count)]
                want = replace(want, times=times, steady=list(range(count)))
            try:
                found = judge(path, want, file)
            except VideoError as error:
                found = dict.fromkeys(columns, f"**{error.reason}**")
            wrong += any(found[column] not in ("same", "–") for column in columns)
            frames = f"{len(want.frames)}: {runs(numbers(want.frames))}"
            cells = [file.name, file.odd, frames, *(found[column] for column in columns)]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    print(f"{len(lines) - 2} files, {wrong} of them differ")
    if not arguments.only:
        program = ffmpeg("-version").decode().split()[2]
        text = HEADER.format(
            program=program, library=".".join(map(str, av.library_versions["libavcodec"]))
        )
        end = f"\n{len(lines) - 2} files, {wrong} of them differ.\n"
        Path(__file__).with_suffix(".md").write_text(text + "\n".join(lines) + "\n" + end)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
