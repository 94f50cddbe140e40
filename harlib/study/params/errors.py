"""A wrong parameter as one line: where it was set, the key, and what would be right."""

from collections.abc import Iterable, Mapping
from typing import Any

from harlib.study.params.base import Common
from harlib.text import near, quoted


def nearest(key: str, valid: Iterable[str]) -> str:
    """The valid name that ``key`` was perhaps meant to be, as the end of a message, or nothing."""
    found = near(key, valid)
    return f"; nearest valid name: {found!r}" if found else ""


def line(
    item: Mapping[str, Any], model: type[Common], notebook: str, origins: Mapping[str, str]
) -> str:
    """One of pydantic's errors; ``origins`` tells for a key the file that set it."""
    key = str(item["loc"][0])
    where = origins.get(key, f"parameters of {notebook}")
    if item["type"] == "extra_forbidden":
        known = nearest(key, model.model_fields) or "; valid: " + ", ".join(model.model_fields)
        return f"{where}: unknown key {quoted(key)}{known}"
    if item["type"] == "missing":
        return f"{where}: key {key!r} is missing"
    what = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    received = "" if item["type"] == "value_error" else f"; received {quoted(item['input'])}"
    return f"{where}: key {key!r}: {what}{received}"
