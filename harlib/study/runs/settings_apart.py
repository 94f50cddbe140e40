"""What differs in the settings of runs, of one study or of several."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from harlib import HarlibError
from harlib.run_folder import RunFolder
from harlib.study.params import meanings, yaml_text
from harlib.study.params.notebooks import NOTEBOOKS
from harlib.study.runs.fingerprint import HOW
from harlib.training import recipe_numbers

ABSENT = "–"  # the run's notebook has no such setting
# Where things lie, and what changes no result worth telling.
_LEFT_OUT = {"study", "run", "store", "data_root", "score_batch", *HOW}
_STORE = "clip store"
_NETWORK = "The network"  # the heading of its settings in a notebook
_OPTIONS = "recipe_options"


def of_run(folder: Path) -> dict[str, Any]:
    """A run's settings, with the defaults of its notebook where its file says nothing.

    Inner ones are `outer.inner`. Where a file lies, how a run is computed and what it is called are
    left out; the clip store's hash is in.
    """
    read = yaml_text.read(RunFolder(folder).params)
    given = _defaults(notebook(folder, read)) | read
    found = {key: value for key, value in given.items() if key not in _LEFT_OUT}
    if store := _state(folder).get("store_hash"):
        found[_STORE] = store
    return dict(_flat(found))


def notebook(folder: Path, params: Mapping[str, Any]) -> str:
    """The notebook whose settings a run has; empty where its name tells none."""
    said = _state(folder).get("notebook")
    names = (str(said), str(params.get("run", "")), folder.name)
    found = (name.split(".")[0] for name in names)
    return next((name for name in found if name in NOTEBOOKS), "")


def _state(folder: Path) -> dict[str, Any]:
    """A run's state; empty where it cannot be read, as the settings do not stand on it."""
    try:
        return RunFolder(folder).read_state()
    except HarlibError:
        return {}


def table(runs: Mapping[str, Path]) -> pd.DataFrame:
    """The settings that are not the same in all runs, by {name: folder}.

    A setting that only some of the runs' notebooks have is told where it is the network's and says
    something, or where one of these runs changes it.

    Returns:
        DataFrame `setting` and a column per run: values as text, `ABSENT` where the run's notebook
        has none such.
    """
    values = {name: of_run(folder) for name, folder in runs.items()}
    usual = {name: _usual(folder) for name, folder in runs.items()}
    networks = {name: _of_network(folder) for name, folder in runs.items()}
    _fill_options(values)
    rows = []
    keys = dict.fromkeys(["model", *(key for own in values.values() for key in own)])
    for key in keys:
        having = {name: own[key] for name, own in values.items() if key in own}
        said = {name: _said(having[name]) if name in having else ABSENT for name in runs}
        told = len(having) == len(runs) or any(
            usual[name].get(key, ...) != value or (key in networks[name] and value)
            for name, value in having.items()
        )
        if len(set(said.values())) > 1 and told:
            rows.append({"setting": key} | said)
    return pd.DataFrame(rows, columns=["setting", *runs])


def _of_network(folder: Path) -> set[str]:
    """The settings of a run's notebook that are the network's."""
    own = notebook(folder, yaml_text.read(RunFolder(folder).params))
    known = meanings.of(own) if own else {}
    return {key for key, (heading, _) in known.items() if heading == _NETWORK}


def _usual(folder: Path) -> dict[str, Any]:
    return dict(_flat(_defaults(notebook(folder, yaml_text.read(RunFolder(folder).params)))))


def _defaults(notebook: str) -> dict[str, Any]:
    """The defaults of a notebook's parameters, as its file would write them."""
    if not notebook:
        return {}
    fields = NOTEBOOKS[notebook].params.model_fields
    return {name: field.default for name, field in fields.items() if not field.is_required()}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and (value or key == _OPTIONS):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", list(value) if isinstance(value, tuple) else value


def _fill_options(values: Mapping[str, dict[str, Any]]) -> None:
    """Gives each run the numbers of its recipe where another run sets them by recipe_options."""
    options = {key for own in values.values() for key in own if key.startswith(f"{_OPTIONS}.")}
    for own in values.values():
        if own.get("recipe") not in recipe_numbers.names():
            continue
        numbers = recipe_numbers.numbers(
            str(own["recipe"]), {}, steps_per_epoch=1, epochs=max(1, int(own.get("epochs", 1)))
        )
        numbers.pop("ema", None)  # follows from the number of videos too
        for key in options - own.keys():
            name = key.removeprefix(f"{_OPTIONS}.")
            own[key] = numbers.get(name, "as the recipe says")


def _said(value: Any) -> str:
    text = str(value) if value not in ("", None, [], {}) else "none"
    return text if len(text) <= 100 else f"{text[:97]}..."
