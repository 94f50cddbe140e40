"""A run or a study by what a person types: a name, a study and a run, or a folder."""

from pathlib import Path

from harlib import shipped
from harlib.run_folder import RunFolder
from harlib.study.params.base import ParamsError, project_root
from harlib.study.params.errors import nearest
from harlib.study.runs import study_files

_SHOWN = 12  # names in a message


def run_folder(name: str | Path) -> Path:
    """The folder of a run by its name, or by a path to it, wherever it lies.

    Names are `02_frame_cnn`, `mine/02_frame_cnn` and `runs/mine/02_frame_cnn`.

    Raises:
        ParamsError: there is none; the message has the nearest names.
    """
    runs = project_root() / "runs"
    for folder in _places(name, runs):
        if RunFolder(folder).params.is_file():
            return folder.absolute()
    known = {
        f"{file.parents[1].name}/{file.parent.name}": file.parent
        for file in sorted(runs.glob("*/[0-9][0-9]_*/params.yaml"))
    }
    return known[_chosen(str(name), known, "run", _hint(name, runs))]


def study_runs(name: str | Path) -> Path | None:
    """The folder of a study's runs by the study's name or a path; None when none is there."""
    for folder in _places(name, project_root() / "runs"):
        if any(folder.glob("[0-9][0-9]_*/params.yaml")) or any(folder.glob("[0-9][0-9]_*/*.ipynb")):
            return folder.absolute()
    return None


def parameter_files(names: tuple[str | Path, ...]) -> list[Path]:
    """The parameter files themselves, or those of a run: `02_frame_cnn`, `mine/02_frame_cnn`.

    Raises:
        ParamsError: there is none; the message has the nearest names.
    """
    found = []
    for name in map(Path, names):
        if name.is_file():
            found.append(name)
            continue
        known = {}
        for shelf in (shipped.FOLDER / "params", project_root() / "params"):
            for file in sorted(shelf.glob("*/[0-9][0-9]_*.yaml")):
                known[f"{file.parent.name}/{file.name.removesuffix('.yaml')}"] = file
        short = str(name).removeprefix("runs/").removesuffix("/")
        hint = ", which is a directory" if name.is_dir() else ""
        file = known[_chosen(short, known, "parameter file or run", hint)]
        found += [path for path in (file.with_name(study_files.COMMON), file) if path.is_file()]
    return found


def _places(name: str | Path, runs: Path) -> tuple[Path, ...]:
    return Path(name), runs.parent / name, runs / name


def _chosen(name: str, known: dict[str, Path], what: str, hint: str) -> str:
    """The one name `STUDY/RUN` that ends in `name`."""
    fits = [whole for whole in known if name in (whole, whole.partition("/")[2])]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise ParamsError(f"{name!r} is a run of several studies; give one of {', '.join(fits)}")
    parts = {part for whole in known for part in whole.split("/")}
    near = nearest(name, known if "/" in name else {*known, *parts})
    there = ", ".join(list(known)[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    none = f"none yet in {project_root() / 'runs'}"
    raise ParamsError(f"no {what} {name!r}{hint or near}; there are {there or none}")


def _hint(name: str | Path, runs: Path) -> str:
    """Of a folder that is there, why it is no run's."""
    folder = next((place for place in _places(name, runs) if place.is_dir()), None)
    if folder is None:
        return ""
    own = sorted(file.parent.name for file in folder.glob("[0-9][0-9]_*/params.yaml"))
    if own:
        return f": {name} is a study, its runs are {', '.join(own)}"
    return ": the folder is there, but holds no params.yaml, which every run leaves"
