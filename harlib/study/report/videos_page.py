"""The page of a study's videos: all that its runs scored, filtered, sorted, opened and played.

Its table is an own one of some 40 lines in `reports/template/videos.js`. Tabulator 6.5 (MIT) was
tried: of 27,000 videos and ten runs its filters take 180 ms and it weighs 450 kB, but axe finds a
critical fault (aria-required-children) in its markup, and its rows are not reached by keyboard.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from harlib import shipped, templates
from harlib.study.report import private
from harlib.study.runs import scored_videos
from harlib.study.runs.scored_videos import ScoredVideos
from harlib.study.widgets import previews, video_data
from harlib.text import count, size

NAME = "videos.html"
FOLDER = "videos"
"""Beside the page: the copies of all videos, where they were asked for."""
MOST = 8_000_000
"""Bytes of the page with previews in it."""
TELLING = 200
"""Videos that have a preview in the page, at most."""
FRAMES = 200_000_000
"""Bytes of their frames together: some four seconds of a CPU. Sixty videos may have more."""
_SIXTY = 60
CAM = ".cam.mp4"
"""Ends a copy of where a run's network looked: VIDEO.RUN.cam.mp4; the video itself is VIDEO.mp4."""
_TEMPLATE = shipped.FOLDER / "reports" / "template"


def write(runs_dir: Path, folder: Path, *, most: int | None = None) -> Path | None:
    """Writes ``videos.html`` into `folder`; None for a study without a scored run.

    Previews of the most telling videos are in it, as many as fit into a page of `most` bytes (8 MB
    without it); of others it plays those that `video_copies` has left beside it.
    """
    if not scored_videos.scored(runs_dir):
        return None
    scored = scored_videos.load(runs_dir)
    clips = previews.Clips(scored)
    there = {path.name for path in (folder / FOLDER).glob("*.mp4")}
    run = _looking(there, scored.best)
    files = {
        track: _files(there, clips, len(scored.videos), ending)
        for track, ending in {"clip": ".mp4", "cam": f".{run}{CAM}"}.items()
    }
    shown = previews.telling(scored, TELLING, clips.there)
    study = runs_dir.name
    scored, clips.problem = _hidden(runs_dir, scored, clips.problem)
    content: dict[str, Any] = {"files": files, "cam_of": run, "without": clips.problem}
    packed = base64.b64encode(video_data.packed(study, scored, content)).decode()
    most = MOST if most is None else most
    embedded = _embedded(clips, shown, most - len(packed) - _REST)
    page = templates.render(
        "videos.html.j2",
        study=study,
        own_style=Markup((_TEMPLATE / "videos.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATE / "videos.js").read_text(encoding="utf-8")),
        data=Markup(packed),
        clips=Markup(json.dumps(embedded)),
        videos=count(len(scored.videos), "video"),
        runs=count(len(scored.calls), "run"),
        suspects=int((scored.videos["suspicion"] > 0).sum()),
        told=_told(scored, clips, len(embedded), len(files["clip"]), most),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(page, encoding="utf-8")
    return folder / NAME


def played(page: str) -> list[str]:
    """The copies beside a page that it plays, as relative addresses; none of any other page."""
    found = _DATA.search(page)
    if not found:
        return []
    files = video_data.told(base64.b64decode(found[1]))["previews"].get("files", {})
    return [link for own in files.values() for link in own.values()]


_DATA = re.compile(r'<script type="text/plain" id="data">([^<]*)</script>')
_REST = 60_000  # bytes of the page without data and previews, at most


def _embedded(clips: previews.Clips, shown: list[int], room: int) -> dict[int, str]:
    """{a video's row: its copy as base64}, of the first ones that fit into the page."""
    found: dict[int, str] = {}
    read = 0
    for row in shown if room > 0 else ():
        frames, rate = clips.frames(row)
        read += frames.nbytes
        if len(found) >= _SIXTY and read > FRAMES:
            break
        clip = base64.b64encode(previews.mp4(frames, rate)).decode()
        room -= len(clip)
        if room < 0:
            break
        found[row] = clip
    return found


def _hidden(runs_dir: Path, scored: ScoredVideos, problem: str) -> tuple[ScoredVideos, str]:
    """Both without the places of this machine in their texts; at once, for that is slow."""
    folders = [folder for own in scored.calls.values() for folder in own.folders]
    why = scored.videos["problem"].tolist()
    texts = "\0".join([problem, *scored.remarks, *why])
    texts = private.hide(texts, runs_dir.resolve().parents[1], folders)
    problem, *others = texts.split("\0")
    remarks, why = others[: len(scored.remarks)], others[len(scored.remarks) :]
    return replace(scored, videos=scored.videos.assign(problem=why), remarks=(*remarks,)), problem


def _looking(there: set[str], best: str) -> str:
    """The run whose network's places are beside the page, the best one if that has some."""
    runs = {name.partition(".")[2].removesuffix(CAM) for name in there if name.endswith(CAM)}
    return best if best in runs else min(runs, default="")


def _files(there: set[str], clips: previews.Clips, videos: int, ending: str) -> dict[int, str]:
    """{a video's row: its copy beside the page, as a relative address}."""
    named = ((row, clips.name(row) + ending) for row in range(videos)) if there else ()
    return {row: f"{FOLDER}/{quote(name)}" for row, name in named if name in there}


def _told(scored: ScoredVideos, clips: previews.Clips, embedded: int, files: int, most: int) -> str:
    """How many videos can be played, and how the others can."""
    if clips.problem:
        return f"No video can be played: {clips.problem}"
    every = sum(map(clips.there, range(len(scored.videos))))
    if files >= every:
        return (
            f"All {count(every, 'video')} can be played, from the folder {FOLDER} beside the page."
        )
    if embedded >= every:
        return f"All {count(every, 'video')} can be played."
    more = f" and {files:,} from the folder {FOLDER} beside it" if files else ""
    if not embedded:
        others = f"; {files:,} can from the folder {FOLDER} beside it" if files else ""
        return (
            f"None of {count(every, 'video')} can be played from this page: what the runs say of "
            f"them leaves no room for a copy in {size(most)}{others}."
        )
    return (
        f"{embedded:,} of {count(every, 'video')} can be played from this page{more}, marked with "
        "▶: suspected labels and mistakes first, then videos on which the runs disagree."
    )
