"""What lies in a folder of videos. Nothing in it is left out unsaid."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import joblib

from harlib import HarlibError, text
from harlib.data.catalog import names
from harlib.data.video import images, tar_shards
from harlib.data.video.reader import VIDEO_SUFFIXES


class CatalogError(HarlibError):
    """A list of videos that is missing, wrong or inconsistent; the message is one line."""


@dataclass
class Found:
    """The files below a folder that have one of the wanted endings, and what else lies there.

    `files` are absolute paths, `folders` those that were looked into, the root first. `frames` are
    the folders that are videos, frame by frame, without the names of these; no file of theirs is
    among the others.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    frames: dict[str, images.Sequence] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)  # files of hidden or system names
    system: list[str] = field(default_factory=list)  # folders that no person made
    again: list[str] = field(default_factory=list)  # links to a folder that is there already
    others: list[str] = field(default_factory=list)  # files with other endings

    def relative(self, path: str) -> str:
        """A path as it is seen from the root."""
        return os.path.relpath(path, self.root.absolute())

    def left_out(self) -> list[str]:
        """Sentences about all that was not taken."""
        said = []
        if self.others:
            endings = Counter(os.path.splitext(path)[1] or "none" for path in self.others)
            counts = ", ".join(f"{names.printable(e)} {n:,}" for e, n in endings.most_common(12))
            said.append(
                f"Left out: {text.count(len(self.others), 'file')} whose ending is of no video "
                f"that is read ({counts}), first {self._first(self.others)}. If it is a video, "
                "`ffmpeg -i FILE FILE.mp4` makes one that is."
            )
        if self.hidden:
            said.append(
                f"Left out: {text.count(len(self.hidden), 'hidden file')}, first "
                f"{self._first(self.hidden)}."
            )
        if self.system:
            said.append(
                f"Left out: {text.count(len(self.system), 'hidden or system folder')}, "
                f"{self._first(self.system, 8)}."
            )
        if self.again:
            said.append(
                f"Left out: {text.count(len(self.again), 'link')} to what is listed already, "
                f"{self._first(self.again, 8)}."
            )
        return said

    def _first(self, paths: list[str], count: int = 3) -> str:
        return names.first([self.relative(path) for path in paths], count)


def by_stem(paths: Iterable[str]) -> dict[str, list[str]]:
    """Files and folders of frames by name without the ending; a folder's may have dots and none."""
    stems = defaultdict(list)
    for path in paths:
        name = os.path.basename(images.split(path)[0])
        stem, ending = os.path.splitext(name)
        known = ending.lower() in VIDEO_SUFFIXES | images.STILL_SUFFIXES
        stems[stem if known else name].append(path)
    return stems


def look(
    root: Path,
    suffixes: frozenset[str] = VIDEO_SUFFIXES,
    of_frames: Callable[[tuple[str, ...]], bool] = lambda folders: False,
) -> Found:
    """All files with these endings below a folder; members of tar shards too (`shards`).

    Args:
        of_frames: whether numbered images in a folder are a video, by the names of the folders
            that lead to it.

    Raises:
        CatalogError: a folder cannot be listed or a shard cannot be read: its videos would be
            missing.
    """
    if not root.is_dir():
        raise CatalogError(f"{root}: no such folder of videos")
    found = Found(root)
    seen, packed = set(), []
    errors: list[OSError] = []
    for folder, folders, files in os.walk(root.absolute(), followlinks=True, onerror=errors.append):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back would be walked for ever
            found.again.append(folder)
            folders.clear()
            continue
        seen.add(real)
        found.folders.append(folder)
        for name in [name for name in folders if names.is_system_folder(name)]:
            found.system.append(os.path.join(folder, name))
            folders.remove(name)
        place = Path(folder).relative_to(root.absolute()).parts
        for name in [name for name in folders if _ending(name) in suffixes]:
            if of_frames((*place, name)) and _sequence(os.path.join(folder, name)):
                continue
            files.append(name)  # called like a video: preparing says what it is
            folders.remove(name)
        folders.sort()
        own: set[str] = set()
        if of_frames(place) and (sequence := images.sequence(files)):
            # a data set has millions of frames, whose names are of no use here
            found.frames[folder] = replace(sequence, files=[])
            own = {*sequence.files, *sequence.others, *images.RATE_FILES}
        for name in sorted(set(files) - own):
            path = os.path.join(folder, name)
            if tar_shards.is_shard(name) and not name.startswith("."):
                packed.append(path)
            else:
                _add(found, path, suffixes)
    if errors:
        said = "; ".join(f"{names.printable(e.filename)}: {e.strerror}" for e in errors[:5])
        raise CatalogError(
            f"{text.count(len(errors), 'folder')} cannot be listed, and the videos would be "
            f"missing: {said}; make them readable, or move them away to go on without them"
        )
    # unpacking .tar.gz is the work of a core each, and zlib lets threads run
    listed = joblib.Parallel(n_jobs=-1, prefer="threads")(
        joblib.delayed(_members)(path) for path in packed
    )
    for path, members in zip(packed, listed, strict=True):
        for member in members:
            address = tar_shards.address(path, member)
            if any(map(names.is_system_folder, member.split("/")[:-1])):
                found.hidden.append(address)
            else:
                _add(found, address, suffixes)
    return found


def _sequence(folder: str) -> images.Sequence | None:
    try:
        return images.sequence(os.listdir(folder))
    except OSError:  # the walk says why
        return None


def _add(found: Found, path: str, suffixes: frozenset[str]) -> None:
    name = os.path.basename(path)
    wanted = _ending(name) in suffixes
    if name.startswith(".") or names.is_system_file(name):
        if wanted:
            found.hidden.append(path)
    else:
        (found.files if wanted else found.others).append(path)


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _members(shard: str) -> list[str]:
    try:
        return tar_shards.members(shard)
    except tar_shards.ShardError as error:
        raise CatalogError(
            f"{shard}: {error}; get this shard again, or move it away to go on without its videos"
        ) from error
