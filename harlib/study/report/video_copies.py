"""Copies of all scored videos of a study beside its page, and where a network looked."""

from collections.abc import Callable
from pathlib import Path

from harlib.evaluation import naming
from harlib.files import appearing
from harlib.progress import shown
from harlib.study.report.run_page import refuse_runs
from harlib.study.report.videos_page import CAM, FOLDER
from harlib.study.runs import best, scored_videos
from harlib.study.runs.scored_store import scored_store
from harlib.study.runs.scored_videos import ScoredVideos
from harlib.study.widgets import previews
from harlib.text import count

LOOKED = 60
"""Videos of which it is shown where a network looked."""


def write(runs_dir: Path, folder: Path, *, say: Callable[[str], object] = print) -> None:
    """Writes a copy of every scored video into ``videos/`` in `folder`; what is there is kept.

    Of the most telling videos also what the best network that sees several frames at once looked
    at: Grad-CAM of all would take hours. An interrupted call goes on where it was.

    say: is told what is there, or why nothing is.
    """
    refuse_runs(folder)
    if not scored_videos.scored(runs_dir):
        say(f"{runs_dir} holds no scored run, so there is no video to show")
        return
    scored = scored_videos.load(runs_dir)
    clips = previews.Clips(scored)
    if clips.problem:
        say(clips.problem)
        return
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    every = [row for row in range(len(scored.videos)) if clips.there(row)]
    path = {row: place / clips.name(row) for row in every}
    missing = [row for row in every if not _of(path[row], ".mp4").is_file()]
    with shown(True, "copies of videos", "video") as bar:
        bar.begin(len(every) - len(missing), len(every))
        for done, row in enumerate(missing, 1 + len(every) - len(missing)):
            _write(_of(path[row], ".mp4"), clips.copy(row))
            bar.at(done)
    telling = previews.telling(scored, LOOKED, clips.there)
    run = _over_time(runs_dir, scored)
    looked = _write_attention(scored, run, {row: path[row] for row in telling})
    say(
        f"{place}: {count(len(every), 'video')}, {len(missing):,} of them new"
        + (f"; where {run} looked in {looked:,} of them" if looked else "")
    )


def _over_time(runs_dir: Path, scored: ScoredVideos) -> str:
    """The best run whose network sees several frames at once, else the best one."""
    folders = scored_videos.scored(runs_dir)
    networks = [str(naming.read(folder)["model"]["name"]) for folder in folders]
    over_time = [
        folder for folder, name in zip(folders, networks, strict=True)
        if not name.startswith("frame_cnn")
    ]  # fmt: skip
    found = best.run(over_time or folders)
    return scored.other_names.get(found, found)


def _write_attention(scored: ScoredVideos, run: str, path: dict[int, Path]) -> int:
    """Writes what is missing of the run's Grad-CAM; how many videos have it."""
    from harlib.study.steps import example_videos

    videos, ending = scored.videos, f".{run}{CAM}"
    row_of = {
        (videos.at[row, "true"], videos.at[row, "id"]): row
        for row in path
        if not _of(path[row], ending).is_file()
    }
    for folder in scored.calls[run].folders if row_of else ():
        for key, frames, rate in example_videos.attention(folder, scored_store(folder), row_of):
            _write(_of(path[row_of[key]], ending), previews.mp4(frames, rate))
    return sum(_of(one, ending).is_file() for one in path.values())


def _of(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _write(path: Path, content: bytes) -> None:
    with appearing(path, durable=False) as part:
        part.write_bytes(content)
