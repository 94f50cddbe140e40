"""What a project can do without: `har clean` shows it, and deletes what the person agrees to.

Nothing outside `runs/<study>` and `data/<study>`, nothing below a link, and no folder that holds
anything which harlib did not write. Whatever a run, an earlier run or a parameter file names stays.
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harlib import HarlibError
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.params import yaml_text
from harlib.study.params.base import Common, project_root
from harlib.study.runs import fingerprint, listing
from harlib.text import count, duration, size

# All that preparing and drawing leave, as paths inside the folder.
_ASIDE = r"(.+/)?\.part-[^/]+"
_STORE = re.compile(
    r"store\.json|index\.csv|audit\.csv|look_alikes\.(csv|json)|\.sources\.json|\.lock"
    r"|\.parts/[^/]+\.(bin|json)"
    rf"|(train|val|test)/[^/]+\.h5|{_ASIDE}"
)
_DRAWN = re.compile(
    r"dataset\.json|videos\.csv|videos/(train|val)/[^/]+/actor[TV]\d+_\d+_\d+\.mp4"
    r"|videos/(train|val|test)/actor(Tr|Va|Te)\d+\.mp4"
    rf"|stills/JPEGImages/\w+_\d+\.jpg|stills/ImageSplits/\w+\.txt|{_ASIDE}"
)
# What `files.appearing`, `Checkpoints.save` and `models.export` write aside.
_PART = re.compile(r"\.part-([0-9a-f]{32}-.+|\d+\.npz)")
_EXPORT = re.compile(r"\..+\.export-(\d+)-(\d+)")
_DELETED = ".deleted-by-har-clean-"
_IDLE_S = 3600  # a file that nobody has written to for so long is nobody's work


@dataclass(frozen=True)
class Candidate:
    """Something that can be deleted.

    Attributes:
        path: the file or folder, as a person names it.
        what: what it is.
        bytes: what deleting it frees.
        cost: a sentence on what is lost, and what making it again costs.
        files: what is deleted: `path` itself, or some files in it and beside it.
    """

    path: Path
    what: str
    bytes: int
    cost: str
    files: tuple[Path, ...]


@dataclass
class _Uses:
    """What runs and parameter files name, all paths without links in them.

    `videos`: folders of a person's own, of which nothing is touched; `stores` and the `hashes` of
    stores; `named`: any other file or folder. `stills`: studies that make a store of stills.
    `doubts`: a line for each file that cannot be read.
    """

    videos: set[Path] = field(default_factory=set)
    stores: set[Path] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    named: set[Path] = field(default_factory=set)
    stills: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)


def candidates(study: str | None = None) -> list[Candidate]:
    """What can be deleted of all studies, or of one.

    Earlier runs, stores and drawn videos are left out while a file that may name them cannot be
    read (`doubts`).

    Raises:
        ParamsError: there is no such study.
    """
    uses, found = _uses(), []
    for name in listing.studies(study):
        runs, data = project_root() / "runs" / name, project_root() / "data" / name
        if not uses.doubts:
            found += [*_earlier(runs), *_data(runs, data, uses)]
        found += _checkpoints(runs)
        taken = {one.path for one in found}
        places = [*_runs_in(runs), *(item for item in listing.folders(data)
                                     if "store" in listing.data_kind(item))]  # fmt: skip
        for place in places:
            if place not in taken:
                found += _half_written(place)
    return [one for one in found if _may_go(one, uses)]


def doubts() -> list[str]:
    """A line for each file that cannot be read and may name what would else be a candidate."""
    return _uses().doubts


def delete(found: list[Candidate]) -> list[Candidate]:
    """Deletes what is a candidate still, as runs may have begun since; returns what is gone."""
    asked = {(one.path, one.what) for one in found}
    going = [one for one in candidates() if (one.path, one.what) in asked]
    # at once, so that no run that begins meanwhile finds half a folder
    aside = [_set_aside(path) for one in going for path in one.files]
    for path in aside:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return going


def text(found: list[Candidate]) -> str:
    """The candidates for a terminal, the largest first, with their sum."""
    lines = []
    for one in sorted(found, key=lambda one: -one.bytes):
        name = listing.printable(one.path.relative_to(project_root()))
        lines += [f"{size(one.bytes):>10}  {name}: {one.what}", f"{'':12}{one.cost}"]
    whole = size(sum(one.bytes for one in found))
    return "\n".join([*lines, f"{whole:>10}  in all"]) if found else "Nothing to delete."


def _set_aside(path: Path) -> Path:
    """Where a folder waits for its deletion; a file stays in its place until then."""
    if not path.is_dir():
        return path
    return path.rename(path.with_name(f"{_DELETED}{uuid.uuid4().hex}"))


def _earlier(runs: Path) -> Iterator[Candidate]:
    for folder in listing.folders(runs / listing.BEFORE):
        run = RunFolder(folder)
        if run.params.is_file() and run.state.is_file():  # else another program's
            took = _took(folder)
            cost = f"Its scores and figures are lost; params.yaml in it made them{took}."
            yield _whole(folder, "earlier run", cost)
    yield from _half_deleted(runs / listing.BEFORE)


def _data(runs: Path, data: Path, uses: _Uses) -> Iterator[Candidate]:
    """Stores that no run uses, and drawn videos, unless a run of the study is at work."""
    if any(listing.is_held(lock) for lock in runs.glob(".*.lock")):
        return
    for folder in listing.folders(data):
        kind = listing.data_kind(folder)
        if "store" in kind and _holds_only(folder, _STORE) and not _is_used(folder, uses):
            beside = folder.with_name(f"{folder.name}-catalog.csv")
            yield _whole(folder, f"{kind} that no run uses", _store_cost(folder), beside)
        if kind == "drawn videos" and _holds_only(folder, _DRAWN) and _is_stored(runs):
            again = "Run 01 of the study draws the same ones, but only when it starts anew."
            yield _whole(folder, kind, again)
    yield from _half_deleted(data)


def _half_deleted(place: Path) -> Iterator[Candidate]:
    for folder in place.glob(f"{_DELETED}*"):
        if folder.is_dir():
            yield _whole(folder, "left of an interrupted har clean", "Nothing.")


def _is_used(store: Path, uses: _Uses) -> bool:
    if store.resolve() in uses.stores or _hash(store) in uses.hashes:
        return True
    return store.name.startswith("stills-store-") and store.parent.name in uses.stills


def _is_stored(runs: Path) -> bool:
    """Whether the study has a run 01, and none that has still to read its videos."""
    made = list(runs.glob("01_*"))
    return bool(made) and all(map(_is_over, made))


def _checkpoints(runs: Path) -> Iterator[Candidate]:
    """What a complete training could resume from; its last and its best network stay."""
    for run_dir in _runs_in(runs):
        for place in _folders_below(run_dir):
            steps = tuple(sorted(RunFolder(place).checkpoints.glob("step-*.npz")))
            inside = [up for up in (place, *place.parents) if up.is_relative_to(run_dir)]
            runs_around = [up for up in inside if up == run_dir or RunFolder(up).state.is_file()]
            if steps and RunFolder(place).model.is_file() and all(map(_is_over, runs_around)):
                cost = "Nothing: the training is over, and its networks and scores stay."
                yield Candidate(RunFolder(place).checkpoints, "checkpoints of a complete run",
                                sum(map(listing.disk_bytes, steps)), cost, steps)  # fmt: skip


def _half_written(folder: Path) -> Iterator[Candidate]:
    """What killed processes left beside the files that they were writing."""
    for place in _folders_below(folder):
        yield from _half_deleted(place)
        for item in place.iterdir():
            export = item.is_dir() and _EXPORT.fullmatch(item.name)
            part = item.is_file() and _PART.fullmatch(item.name)
            if (part or (export and not _lives(*map(int, export.groups())))) and _is_idle(item):
                what = f"half-written files of an interrupted {'export' if export else 'run'}"
                yield _whole(item, what, "Nothing: nobody reads half a file.")


def _lives(pid: int, created: int) -> bool:
    """Whether the process that a folder of `models.export` is named after is at work."""
    try:
        return int(psutil.Process(pid).create_time()) == created
    except psutil.NoSuchProcess:
        return False


def _is_idle(path: Path) -> bool:
    try:
        every = [path, *(path.rglob("*") if path.is_dir() else ())]
        return max(item.lstat().st_mtime for item in every) < time.time() - _IDLE_S
    except FileNotFoundError:  # just finished
        return False


def _whole(path: Path, what: str, cost: str, *beside: Path) -> Candidate:
    files = (path, *(item for item in beside if item.is_file()))
    return Candidate(path, what, sum(map(listing.disk_bytes, files)), cost, files)


def _may_go(one: Candidate, uses: _Uses) -> bool:
    """Whether nobody holds, names or owns it, and no link leads to it."""
    root = project_root()
    for path in one.files:
        above = [place for place in (path, *path.parents) if place.is_relative_to(root)][:-1]
        own = path.resolve()
        if (
            any(place.is_symlink() for place in above)
            or any(own.is_relative_to(v) or v.is_relative_to(own) for v in uses.videos)
            or any(name.is_relative_to(own) for name in uses.named)
            or any(map(listing.is_held, _locks(path, above)))
        ):
            return False
    return True


def _locks(path: Path, above: list[Path]) -> Iterator[Path]:
    """The locks of a path, of the folders that it lies in, and of those in it."""
    for place in above:
        yield listing.run_lock(place)
        yield place / ".lock"
    if path.is_dir():
        yield from path.rglob("*.lock")


def _holds_only(folder: Path, known: re.Pattern) -> bool:
    """Whether a folder holds files of these names alone, and no link."""
    for place, below, names in os.walk(folder):
        if any(os.path.islink(os.path.join(place, name)) for name in (*below, *names)):
            return False
        files = (Path(place, name).relative_to(folder).as_posix() for name in names)
        if not all(map(known.fullmatch, files)):
            return False
    return True


def _folders_below(folder: Path) -> Iterator[Path]:
    """The folder and those in it, not those that links lead to."""
    return (Path(place) for place, _, _ in os.walk(folder))


def _runs_in(runs: Path) -> list[Path]:
    there = listing.folders(runs)
    return [item for item in there if item.name != listing.BEFORE and not item.is_symlink()]


def _is_over(run_dir: Path) -> bool:
    """Whether a run is complete, so that nothing is trained or prepared in it any more."""
    try:
        return fingerprint.is_ended(run_dir)
    except Exception:  # whatever is wrong with its files, nobody knows that it is over
        return False


def _hash(store: Path) -> str | None:
    try:
        return fingerprint.hash_of(store) or None
    except (HarlibError, OSError):
        return None


def _took(run_dir: Path) -> str:
    """How long a run took, as the end of a sentence; empty where it does not say."""
    run = RunFolder(run_dir)
    for file in (run.metrics, run.state):
        try:
            return f" in {duration(60 * read_json(file, 'minutes')['minutes'])}"
        except (HarlibError, OSError, TypeError, ValueError):
            continue
    return ""


def _store_cost(store: Path) -> str:
    again = "Its videos must be decoded again"
    try:
        about = read_json(store / "store.json", "settings", "files", "name")
        how = ", ".join(f"{key} {value}" for key, value in about["settings"].items())
        return f"{again}: {about['name']}, {count(len(about['files']), 'file')}, {how}."
    except (HarlibError, OSError, AttributeError, TypeError):
        return f"{again}, those that it holds by now too."


def _uses() -> _Uses:
    """What all runs, earlier ones too, and all parameter files of the project name."""
    root, uses = project_root(), _Uses()
    files = [*root.glob("params/*/*.yaml"), *root.glob("params/*/*.yml")]
    # a run, an earlier one, and a training inside of either
    depths = ("*/*", "*/*/*", "*/*/*/*")
    files += [file for depth in depths for file in root.glob(f"runs/{depth}/params.yaml")]
    states = {}
    for depth in depths:
        for file in root.glob(f"runs/{depth}/run.json"):
            try:
                states[file] = _checked(read_json(file, "status"), file)
            except (HarlibError, OSError) as error:
                uses.doubts.append(_short(error))
    told = []
    for file in files:
        try:
            values = yaml_text.read(file)
            if any("\0" in name for name in _texts(values)):
                raise HarlibError(f"{file} holds a character that is in no file's name")
            told.append((file.relative_to(root).parts[1], values))
        except HarlibError as error:
            uses.doubts.append(_short(error))
    if not uses.doubts:  # else `Common.made` would stumble
        for study, values in told:
            _note(uses, study, values)
    for state in states.values():
        uses.hashes.update(state.get("store_hash", "").split(", "))
        places = (*state.get("made", {}).values(), *filter(None, [state.get("store")]))
        uses.stores.update((root / place).resolve() for place in places)
    return uses


def _checked(state: dict[str, Any], file: Path) -> dict[str, Any]:
    made = state.get("made", {})
    texts = [state.get("store_hash", ""), state.get("store", "")]
    texts += [*made, *made.values()] if isinstance(made, dict) else [made]
    if not all(isinstance(item, str) for item in texts):
        raise HarlibError(f"{file} does not say which clip store its run uses; put it right")
    return state


def _note(uses: _Uses, folder: str, values: dict[str, Any]) -> None:
    """Takes down what parameters of a study name; a copied run has that of another study."""
    root = project_root()
    for study in {folder, str(values.get("study", folder))}:
        made = Common.model_construct(study=study, run="").made
        asked = values.get("store") or f"data/{study}/store"
        uses.stores.add(made(root / str(asked)).resolve())
        paths = (name for name in _texts(values) if set(name) & {"/", os.sep})
        uses.named.update(made(root / name).resolve() for name in paths)
        if values.get("stills"):
            uses.stills.add(study)
    if values.get("data_root"):
        uses.videos.add((root / str(values["data_root"])).resolve())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str) and value:
        yield value


def _short(error: Exception) -> str:
    return " ".join(str(error).replace(f"{project_root()}{os.sep}", "").split())
