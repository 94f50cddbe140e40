"""Files that harlib wrote, read back with a clear error."""

import json
from pathlib import Path
from typing import Any

from harlib import HarlibError


def read_json(path: Path, *keys: str) -> Any:
    """The content of a JSON file, which has these keys.

    Raises: HarlibError when it is cut, edited into something else, or lacks a key; OSError.
    """
    try:
        content = json.loads(Path(path).read_text())
    except ValueError as error:
        raise HarlibError(f"{path} is no JSON ({error}); {_REMEDY}") from error
    if keys and not isinstance(content, dict):
        raise HarlibError(f"{path} holds no table of {', '.join(keys)}; {_REMEDY}")
    if missing := [key for key in keys if key not in content]:
        raise HarlibError(f"{path} lacks {', '.join(missing)}; {_REMEDY}")
    return content


_REMEDY = "it was cut or edited: take it from a copy, or make it again"
