"""A study's files: ``params/<study>/common.yaml`` and one ``NN_name[.variant].yaml`` a run."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harlib import HarlibError, MissingFile, shipped
from harlib.run_folder import RunFolder
from harlib.study.params import yaml_text
from harlib.study.params.errors import nearest
from harlib.study.params.notebooks import NOTEBOOKS, Common, ParamsError, project_root, validate
from harlib.text import quoted

COMMON = "common.yaml"


@dataclass(frozen=True)
class Run:
    """One run of a study: its notebook, what its files set, and all its parameters."""

    file: Path
    notebook: str
    values: dict[str, Any]  # what files and options set, without the notebook's own defaults
    params: Common

    @property
    def name(self) -> str:
        """The run's name, which its folder has."""
        return self.params.run

    @property
    def where(self) -> str:
        """Its own file, as messages name it."""
        return _short(self.file)


def notebook_path(notebook: str) -> Path:
    """The notebook's file: the project's own, else the one that comes with harlib."""
    own = project_root() / "notebooks" / f"{notebook}.ipynb"
    return own if own.is_file() else shipped.FOLDER / "notebooks" / f"{notebook}.ipynb"


def defaults(notebook: str, stated: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The notebook's parameters where no file and no cell says anything else.

    stated: what they do say, for what follows from that.

    Raises: ParamsError.
    """
    model = NOTEBOOKS[notebook].params
    fields = model.model_fields
    own = {key: field.get_default() for key, field in fields.items() if not field.is_required()}
    return {"study": "demo", "run": notebook} | own | implied(notebook, stated or {})


def implied(notebook: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the stated parameters, as published weights expect their clips.

    Raises: ParamsError.
    """
    try:
        return NOTEBOOKS[notebook].params.implied(stated)
    except HarlibError as error:
        raise ParamsError(f"key 'weights': {error}") from None


def study_folder(study: str) -> Path:
    """The folder of a study's parameter files, by its name or its path.

    Raises:
        ParamsError: there is none.
    """
    shelves = (project_root() / "params", shipped.FOLDER / "params")
    for folder in (Path(study), *(shelf / study for shelf in shelves)):
        if any(folder.glob("[0-9][0-9]_*.yaml")):
            return folder.resolve()
    known = sorted({item.name for shelf in shelves for item in shelf.glob("*") if item.is_dir()})
    hint = _hint(Path(study)) or nearest(study, known)
    raise ParamsError(f"no study {study!r}{hint}; there are {', '.join(known)}")


def _hint(path: Path) -> str:
    """Of what is no study, why perhaps."""
    if path.suffix == ".yaml" and path.is_file():
        name = path.resolve().parent.name
        return f", which is a file: har study {name} --only {path.name.removesuffix('.yaml')}"
    if path.is_dir():
        return f", which is a folder without parameter files: har new-study NAME --videos {path}"
    if not (project_root() / "params").is_dir():
        return f", as there is no folder params in {project_root()}: go to your project's folder"
    return ""


def study_root(folder: Path) -> Path:
    """Where the study's data, runs and reports go: beside its ``params/`` folder."""
    own = shipped.IN_CHECKOUT or not folder.is_relative_to(shipped.FOLDER)
    return folder.parent.parent if own and folder.parent.name == "params" else Path.cwd()


def chosen(
    study: str, overrides: Mapping[str, Any] | None = None, only: Collection[str] = ()
) -> tuple[Path, list[Run]]:
    """A study's folder and all its runs; its project becomes `project_root`.

    ``overrides`` are those of the runs in ``only``, where any are named. A notebook named there
    needs no file in the study: without one it has its own defaults, as it has in JupyterLab.

    Raises:
        ParamsError: a file, key or value is wrong.
    """
    folder = study_folder(study)
    os.environ["HARLIB_ROOT"] = str(study_root(folder))
    runs = load_study(folder, overrides, only)
    if unknown := set(only) - {run.name for run in runs}:
        raise ParamsError(
            f"no run {', '.join(sorted(unknown))} in {folder.name}; "
            f"there are {', '.join(run.name for run in runs)}"
        )
    return folder, runs


def load_study(
    folder: Path, overrides: Mapping[str, Any] | None = None, only: Collection[str] = ()
) -> list[Run]:
    """All runs of a study, in order, validated.

    ``overrides`` (``--set``) apply to each run whose notebook has the key, of ``only`` these runs
    where any are named.

    Raises:
        ParamsError: with every mistake of every file.
    """
    common = folder / COMMON
    files = [*folder.glob("[0-9][0-9]_*.yaml"), *_without_file(folder, only)]
    # a run before its variants: 03_c3d, then 03_c3d.modern
    files.sort(key=lambda file: file.name.removesuffix(".yaml"))
    files = _after_their_needs(files)
    odd = sorted(set(folder.glob("*.y*ml")) - {common, *files})
    mistakes = [
        f"{_short(item)}: a file of a study is named {COMMON} or NN_name[.variant].yaml"
        for item in odd
    ]
    overrides, used, runs = dict(overrides or {}), set(), []
    for file in files:
        notebook = file.name.split(".")[0]
        model = NOTEBOOKS[notebook].params if notebook in NOTEBOOKS else None
        asked = not only or file.name.removesuffix(".yaml") in only
        legal = {
            key: value for key, value in overrides.items() if model and key in model.model_fields
        }
        used |= set(legal)  # one set of flags serves the whole study and a part of it
        try:
            reach = legal if asked else {}
            runs.append(_load(file, filter(Path.is_file, (common, file)), reach))
        except ParamsError as error:
            mistakes += str(error).splitlines()
    if not mistakes:
        reached = [run for run in runs if not only or run.name in only]
        if reached or not only:  # else `chosen` says that there is no such run
            mistakes += [_unused(key, folder, reached) for key in overrides if key not in used]
    if mistakes:
        raise ParamsError("\n".join(dict.fromkeys(mistakes)))
    return runs


def _after_their_needs(files: list[Path]) -> list[Path]:
    """The same files, those of a run that builds on later ones behind them: 05 compares 09."""
    ordered = list(files)
    for file in files:
        known = NOTEBOOKS.get(file.name.split(".")[0])
        if known and known.needs:
            needed = [other for other in ordered if other.name.startswith(known.needs)]
            last = max(map(ordered.index, needed), default=-1)
            if last > ordered.index(file):
                ordered.remove(file)
                ordered.insert(last, file)
    return ordered


def _unused(key: str, folder: Path, runs: list[Run]) -> str:
    """What is wrong with a ``--set`` whose key none of these runs has."""
    elsewhere = [name for name, one in NOTEBOOKS.items() if key in one.params.model_fields]
    if elsewhere:
        return (
            f"--set {key}: a parameter of {', '.join(elsewhere)}; what runs here is "
            f"{', '.join(run.name for run in runs) or 'none'}: leave it out, or run one that has "
            f"it (a file of {_short(folder)} named after the notebook)"
        )
    valid = dict.fromkeys(key for run in runs for key in type(run.params).model_fields)
    return f"--set {key}: no notebook of this study has this key{nearest(key, valid)}"


def _without_file(folder: Path, only: Collection[str]) -> list[Path]:
    """Where the files would lie of the notebooks that are asked for and that the study has not."""
    return [
        folder / f"{name}.yaml"
        for name in only
        if name in NOTEBOOKS and not any(folder.glob(f"{name}.*"))
    ]


def load_run(files: Iterable[Path], overrides: Mapping[str, Any] | None = None) -> Run:
    """One run from its files, the later ones winning; the last names run and notebook.

    Raises:
        ParamsError: a file, key or value is wrong.
    """
    files = [Path(file) for file in files]
    return _load(files[-1], files, overrides)


def _load(last: Path, files: Iterable[Path], overrides: Mapping[str, Any] | None) -> Run:
    """The run that the file `last` names, with what the files say."""
    notebook, run = last.name.split(".")[0], last.name.removesuffix(".yaml")
    values: dict[str, Any] = {"study": last.resolve().parent.name, "run": run}
    origins = {"": _short(last), "study": _short(last), "run": _short(last)}
    said, where = stated(files)
    values, origins = values | said, origins | where
    for key, value in (overrides or {}).items():
        values[key], origins[key] = value, f"--set {key}"
    if notebook not in NOTEBOOKS:
        validate(notebook, values, origins)
    base = defaults(notebook, values)
    params = validate(notebook, base | values, dict.fromkeys(base, "default") | origins)
    return Run(last, notebook, values, params)


def load_folder(run_dir: Path, changes: Mapping[str, Any] | None = None) -> Common:
    """The parameters of a run's folder, which may be moved.

    What an older harlib did not know has its default. Files that a training needs are not looked
    for.

    Raises:
        FileNotFoundError: there is no params.yaml.
        ParamsError: it holds a wrong value.
    """
    file, changes = RunFolder(run_dir).params, dict(changes or {})
    if not file.is_file():
        raise MissingFile(f"{run_dir} holds no params.yaml: give a folder of runs/<study>/")
    values = RunFolder(run_dir).read_params()
    notebook = RunFolder(run_dir).read_state().get("notebook", values["run"].split(".")[0])
    if notebook in NOTEBOOKS:
        values = defaults(notebook) | values
    origins = dict.fromkeys(values, str(file)) | {key: f"--{key}" for key in changes}
    return validate(notebook, values | changes, origins, on_disk=False).at(run_dir)


def stated(files: Iterable[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """What the files say, the later ones winning, and by key the file that said it.

    Raises:
        ParamsError: one cannot be read.
    """
    values, origins = {}, {}
    for file in files:
        for key, value in _mapping(file).items():
            values[key], origins[key] = value, _short(file)
    return values, origins


def of_notebook(study: str, notebook: str, run: str) -> list[Path]:
    """The files of the study that a run of a notebook begins from: its own, else the notebook's.

    Raises:
        ParamsError: there is no such study, or when it has only variants of the notebook.
    """
    folder = study_folder(study)
    own = [folder / f"{name}.yaml" for name in (run, notebook)]
    found = [file for file in own if file.is_file()][:1]
    variants = sorted(file.name.removesuffix(".yaml") for file in folder.glob(f"{notebook}.*.yaml"))
    if not found and variants:
        raise ParamsError(
            f"no run {run!r} in {folder.name}{nearest(run, variants)}; "
            f"there are {', '.join(variants)}"
        )
    return [file for file in (folder / COMMON, *found) if file.is_file()]


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """``["epochs=3", "fps=10"]`` as a mapping; values are read as YAML."""
    pairs = {}
    for item in items:
        key, equals, value = item.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise ParamsError(f"--set {quoted(item)}: write it as KEY=VALUE")
        if key in pairs:
            raise ParamsError(f"--set {key} is given twice: leave one")
        try:
            pairs[key] = yaml_text.parse(value) if value else ""
        except yaml_text.YamlError as error:
            raise ParamsError(f"--set {key}: {error}") from None
    return pairs


def _mapping(file: Path) -> dict[str, Any]:
    try:
        return yaml_text.read(file)
    except yaml_text.YamlError as error:
        raise ParamsError(str(error).replace(str(file), _short(file), 1)) from None


def _short(file: Path) -> str:
    file, root = file.resolve(), project_root()
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
