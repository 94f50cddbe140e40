"""Where on this machine things lie, taken out of what is meant to be sent."""

import re
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from harlib.run_folder import RunFolder
from harlib.study.params import yaml_text

# Not inside of another path, a word, or a picture's base64.
_BEFORE = r"(?<![\w/+.])"


def hide(text: str, root: Path, run_dirs: Iterable[Path] = ()) -> str:
    """`text` with the project's own paths relative to it, and of others the last name.

    root: the project's folder. run_dirs: runs whose parameters name places (`data_root`, `store`,
    `weights`, …) elsewhere.
    """
    shown = {str(Path.home()): "~"}
    libraries = {sys.prefix} - {sys.base_prefix}  # a traceback names files of them
    for place in map(Path, _places(run_dirs) | libraries):
        shown |= dict.fromkeys((str(place), str(place.resolve())), f"…/{place.name}")
    own = {str(root), str(root.resolve())}
    shown |= {place: root.name for place in own}
    shown |= {f"{place}/": "" for place in own}
    shown |= {escape(place): escape(name) for place, name in shown.items()}
    places = sorted((place for place in shown if len(place) > 1), key=len, reverse=True)
    any_of = "|".join(
        re.escape(place) + ("" if place.endswith("/") else r"(?![\w-])") for place in places
    )
    return re.sub(_BEFORE + f"(?:{any_of})", lambda found: shown[found[0]], text)


def _places(run_dirs: Iterable[Path]) -> set[str]:
    """The absolute paths among the parameters of runs."""
    found = set()
    for run_dir in run_dirs:
        if RunFolder(run_dir).params.is_file():
            found |= set(_absolute(yaml_text.read(RunFolder(run_dir).params)))
    return found


def _absolute(value: Any) -> Iterable[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _absolute(item)
    elif isinstance(value, str) and Path(value).is_absolute():
        yield value.rstrip("/")
