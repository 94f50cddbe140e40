"""The parameters of a notebook that is open: its study's files, and what its cell sets itself."""

import ast
import html
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harlib.study.params import meanings
from harlib.study.params.notebooks import NOTEBOOKS, Common, validate
from harlib.study.runs import study_files
from harlib.study.wording import tables
from harlib.text import count

HERE, DEFAULT = "this notebook", "default"


def read(notebook: str, namespace: Mapping[str, Any]) -> tuple[Common, "Told"]:
    """Returns the parameters of a running notebook from its ``globals()``, and where each is from.

    What the parameters cell leaves open, or does not name, is as the files of the study say, so
    that a notebook does what `har study` does; a value that it sets itself, or that papermill
    gave, wins. The file is the run's own, else the notebook's, so a run of another name begins
    from there.

    Raises:
        ParamsError: a value that is wrong, or a mistyped key.
    """
    given = {"run": notebook} | _given(namespace)
    if "study" not in given or NOTEBOOKS[notebook].params.model_fields.keys() <= given.keys():
        p = validate(notebook, given)  # as `har study` gives them, all
        return p, Told(notebook, p, {})
    values, origins = study_files.stated(
        study_files.of_notebook(given["study"], notebook, given["run"])
    )
    asked = values | given
    stated = study_files.defaults(notebook, asked) | asked
    implied = study_files.implied(notebook, asked)
    origins = {
        key: "patience" if key == "checkpoint" else f"the weights {stated.get('weights')}"
        for key in implied
    } | origins
    p = validate(
        notebook,
        stated,
        origins | dict.fromkeys(given, HERE),
    )
    changed = {key: HERE for key in given if key not in ("study", "run")}
    return p, Told(notebook, p, origins | changed)


class Told:
    """What the parameters are and where each is from.

    A sentence, and in a fold every value with its meaning, those too that the parameters cell does
    not name.
    """

    def __init__(self, notebook: str, p: Common, origins: Mapping[str, str]) -> None:
        self.notebook, self.p, self.origins = notebook, p, origins

    def __repr__(self) -> str:
        own = [f"{key} = {getattr(self.p, key)!r}" for key in self._from(HERE)]
        read = [name for name in dict.fromkeys(self.origins.values()) if name != HERE]
        said = [f"{count(len(self._from(name)), 'value')} from {name}" for name in read]
        if own:
            said.insert(0, f"{', '.join(own)} from {HERE}")
        if not said:
            return f"The {len(self._rows())} values of {self.p.study}/{self.p.run}."
        return f"{'; '.join(said)}; the rest are defaults."

    def _repr_html_(self) -> str:
        return (
            f'<p class="reading">{html.escape(repr(self))}</p>\n<details><summary>all values'
            f"</summary>\n{tables.Table(self._rows())._repr_html_()}\n</details>"
        )

    def _from(self, origin: str) -> list[str]:
        return [key for key, name in self.origins.items() if name == origin]

    def _rows(self) -> pd.DataFrame:
        values = self.p.model_dump(mode="json")
        rows = [
            (key, repr(values[key]), said, self.origins.get(key, DEFAULT))
            for key, (_, said) in meanings.of(self.notebook).items()
            if key not in ("study", "run")
        ]
        table = pd.DataFrame(rows, columns=["parameter", "value", "meaning", "from"])
        return table if self.origins else table.drop(columns="from")


def _given(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values (number, text, list, …) that the parameters cell, or papermill's, has set.

    Not what was left in the kernel by later cells, or by a line that is gone by now.
    """
    names = _assigned(namespace.get("In") or [])
    return {
        key: value
        for key, value in namespace.items()
        if not key.startswith("_")
        and key not in {"In", "Out"}
        and (names is None or key in names)
        and _plain(value)
    }


def _assigned(cells: list[str]) -> set[str] | None:
    """Names set from the latest parameters cell on until they were read; None without such a cell.

    cells: what the kernel has run. A parameters cell states keys that it leaves open.
    """
    bodies = [_body(source) for source in cells]
    open_keys = [i for i, body in enumerate(bodies) if any(map(_is_open, body))]
    if not open_keys:
        return None
    names: set[str] = set()
    for source, body in zip(cells[open_keys[-1] :], bodies[open_keys[-1] :], strict=True):
        if "open_notebook.read(" in source:
            break
        names |= {
            target.id
            for node in body
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and not _is_open(node)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
    return names


def _body(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a cell that failed, or one with IPython's own commands
        return []


def _is_open(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and node.value is None


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)
