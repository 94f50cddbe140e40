"""Where on this machine things lie, taken out of what is meant to be sent."""

import base64
import getpass
import gzip
import re
import sys
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from harlib.run_folder import RunFolder
from harlib.study.params import yaml_text

# Not inside of another path, a word, a picture's base64, or what `hide` has left of a path.
_BEFORE = r"(?<![\w/+.…~])"


def hide(text: str, root: Path, run_dirs: Iterable[Path] = ()) -> str:
    """`text` with the project's own paths relative to it, and of others the last name.

    root: the project's folder. run_dirs: runs whose parameters name places (`data_root`, `store`,
    `weights`, …) elsewhere.
    """
    shown = _shown(root, run_dirs)
    return _pattern(shown).sub(lambda place: shown[place[0]], text)


def finder(root: Path, run_dirs: Iterable[Path] = ()) -> Callable[..., str]:
    """What says the first thing in a text that tells of this machine; "" where nothing does.

    That is a path that `hide` would take out, any other path below one of this machine's top
    folders (those of the system aside) or into a person's home, and, unless ``user=False``, this
    user's account as a folder of a path or before an @ (`_ACCOUNT`). As a mere word it may be a
    category, or a name in a page's own script. Pictures are not looked into; the text of a page's
    packed data is.
    """
    tops = {f.name for f in Path("/").iterdir() if f.is_dir()} - _SYSTEM | {"home", "Users"}
    rest = r"[\w.~-][^\s\"'<>&]*"
    others = rf"/(?:{'|'.join(map(re.escape, sorted(tops)))})/{rest}|[A-Za-z]:\\+Users\\+{rest}"
    places = [re.compile(_BEFORE + f"(?:{others})"), _pattern(_shown(root, run_dirs))]
    name = _account()
    person = re.compile(_ACCOUNT.format(re.escape(name))) if name else None

    def found(text: str, *, user: bool = True) -> str:
        packed = [_unpacked(one) for one in _PACKED.findall(text)]
        text = _PICTURE.sub("", text)
        looked = places if "/" in text or "\\" in text else []  # large tables hold neither
        looked = [*looked, person] if user and person else looked
        hits = (hit[0] for one in looked if (hit := one.search(text)))
        return next(hits, "") or next(filter(None, map(found, packed)), "")

    return found


def _shown(root: Path, run_dirs: Iterable[Path]) -> dict[str, str]:
    """What is shown in place of which path."""
    shown = {str(Path.home()): "~"}
    libraries = {sys.prefix} - {sys.base_prefix}  # a traceback names files of them
    account = _account()
    for place in map(Path, _places(run_dirs) | libraries):
        shown |= dict.fromkeys(
            (str(place), str(place.resolve())), "…" if place.name == account else f"…/{place.name}"
        )
    own = {str(root), str(root.resolve())}
    shown |= {place: root.name for place in own}
    shown |= {f"{place}/": "" for place in own}
    return shown | {escape(place): escape(name) for place, name in shown.items()}


def _pattern(shown: Iterable[str]) -> re.Pattern[str]:
    places = sorted((place for place in shown if len(place) > 1), key=len, reverse=True)
    any_of = "|".join(
        re.escape(place) + ("" if place.endswith("/") else r"(?![\w-])") for place in places
    )
    return re.compile(_BEFORE + f"(?:{any_of})")


_SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin",
           "sys", "usr"}  # fmt: skip
# accounts that are no person's, and words of every text
_NOBODY = {"root", "user", "admin", "runner", "jovyan", "ubuntu", "debian", "vscode", "coder"}
# as a folder of an absolute path, of one that leads out of its folder, of what `hide` has left, of
# an address that is no web page; then ~name and name@host
_ACCOUNT = (
    rf"(?:{_BEFORE}(?:(?:/[\w.~-]+)+/|[A-Za-z]:\\+(?:[\w.~ -]+\\+)*)"
    r"|(?<![\w/])(?:\.\./)+(?:[\w.~-]+/)*|…/(?:[\w.~-]+/)*"
    r"|\b(?!https?:)[a-z][a-z0-9+]+:/+(?:[\w.~-]+/)*|(?<!\w)\\\\+[\w.-]+\\+(?:[\w.~ -]+\\+)*)"
    rf"{{0}}(?![\w-])|{_BEFORE}(?:~{{0}}[/\\]|{{0}}@\w)"
)
_PICTURE = re.compile(r"base64,[A-Za-z0-9+/=]+")
_PACKED = re.compile(r"(?<![A-Za-z0-9+/])H4sI[A-Za-z0-9+/=]+")  # gzip in base64


def _account() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return ""
    return "" if name.lower() in _NOBODY else name


def _unpacked(text: str) -> str:
    try:
        content = gzip.decompress(base64.b64decode(text))
    except (OSError, EOFError, ValueError):
        return ""
    length = int.from_bytes(content[:4], "little")  # as `video_data.packed` has it: JSON, numbers
    if content[4:5] == b"{" and 4 + length <= len(content):
        content = content[4 : 4 + length]
    return content.decode("utf-8", "replace")


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
