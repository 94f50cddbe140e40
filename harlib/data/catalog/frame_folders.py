"""Folders of numbered images among what lies in a folder: which are videos, and what is said."""

import os
from collections.abc import Iterable
from pathlib import Path

from harlib import text
from harlib.data.catalog import names
from harlib.data.catalog.folder import Found
from harlib.data.video import images

_ONE = "A video is two or more images with running numbers (000001.jpg, frame_0001.png)."


def moving(found: Found, said: list[str], fps: float | None = None) -> list[str]:
    """The paths of the videos, without the pictures that lie beside them.

    Folders of frames are videos, at `fps` where it is given, in a folder without video files; there
    they, as other pictures, may be covers, thumbnails or the videos' own frames. Without any video
    stills are. `said` gets sentences about what was chosen.
    """
    pictures = [path for path in found.files if images.is_image(os.path.basename(path))]
    videos = sorted(set(found.files) - set(pictures))
    beside = [path for path in videos if os.path.splitext(path)[1].lower() != ".gif"]
    frames = sorted(found.frames)
    if beside and frames:
        said.append(
            f"Left out: {text.count(len(frames), 'folder')} of numbered images beside "
            f"{text.count(len(videos), 'video')}, first {_first(found, frames)}. Videos as folders "
            "of frames belong into a folder without others, or into a table."
        )
    if pictures and (beside or frames):
        what = (text.count(len(videos), "video") if beside
                else f"{text.count(len(frames), 'folder')} of frames")  # fmt: skip
        said.append(
            f"Left out: {text.count(len(pictures), 'picture')} beside {what}, first "
            f"{_first(found, pictures)}. "
            + ("Stills to learn from belong into a folder without videos." if beside else _ONE)
        )
    if fps is not None and (beside or not frames):
        said.append(_unused(fps))
    if beside:
        return videos
    if not frames:
        return found.files
    said += _told(found, frames, fps)
    return sorted([*videos, *(images.address(folder, fps) for folder in frames)])


def _unused(fps: float) -> str:
    return f"No folder of numbered images is a video here: frame_fps ({fps:g}) is of no use."


def told_of_table(paths: Iterable[str], fps: float | None = None) -> list[str]:
    """A sentence about the folders of frames that a table names, where no rate is stated."""
    paths = list(paths)
    if fps is not None and not any(images.split(path)[1] for path in paths):
        return [_unused(fps)]
    folders = dict.fromkeys(path for path in paths if os.path.isdir(path))
    unknown = [folder for folder in folders if _is_unknown(folder)]
    if not unknown:
        return []
    return [
        f"{text.count(len(unknown), 'folder')} of frames without a rate (column fps, frame_fps or "
        f"a file fps.txt in the folder), first {names.first(unknown)}: {images.FPS:g} frames per "
        "second are taken."
    ]


def _told(found: Found, frames: list[str], fps: float | None) -> list[str]:
    """What is said of folders of frames that are taken."""
    are = "are videos" if len(frames) > 1 else "is a video"
    said = [
        f"{text.count(len(frames), 'folder')} of numbered images {are}, first "
        f"{_first(found, frames)}: {_rates(frames, fps)}."
    ]
    if gaps := [folder for folder in frames if found.frames[folder].missing]:
        said.append(
            f"Warning: numbers of frames are missing in {text.count(len(gaps), 'folder')}, first "
            + names.first([f"{found.relative(f)} ({found.frames[f].missing:,})" for f in gaps])
            + "; the frames that are there follow each other."
        )
    if extras := [os.path.join(f, name) for f in frames for name in found.frames[f].others]:
        said.append(
            f"Left out: {text.count(len(extras), 'image')} beside the frames and not numbered as "
            f"they are, first {_first(found, extras)}."
        )
    above = {str(folder) for path in frames for folder in Path(path).parents}
    shelves = {os.path.dirname(path) for path in frames}
    without = [
        path
        for path in found.folders
        if os.path.dirname(path) in shelves and path not in found.frames and path not in above
    ]
    if without:
        said.append(
            f"Left out: {text.count(len(without), 'folder')} without frames where such videos lie, "
            f"first {_first(found, without)}. {_ONE}"
        )
    return said


def _rates(frames: list[str], fps: float | None) -> str:
    if fps is not None:
        return f"{fps:g} frames per second"
    unknown = sum(_is_unknown(folder) for folder in frames)
    if not unknown:
        return "frames per second as the file fps.txt in each says"
    which = "no file fps.txt in them says" if unknown == len(frames) else (
        f"in {unknown:,} of them no file fps.txt says"
    )  # fmt: skip
    return (
        f"{which} how many frames are a second, so {images.FPS:g} are taken; that file, or "
        "frame_fps (--frame-fps), gives another rate"
    )


def _is_unknown(folder: str) -> bool:
    try:
        return images.stated_rate(folder) is None
    except (OSError, ValueError):  # preparing says what is wrong with it
        return False


def _first(found: Found, paths: list[str]) -> str:
    shown = (found.relative(path) for path in paths)
    return names.first([path if path != "." else found.root.absolute().name for path in shown])
