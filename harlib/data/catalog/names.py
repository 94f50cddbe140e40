"""Names of files and folders as text: what a table can hold, what a reader can tell apart."""

import re
import unicodedata
from collections.abc import Iterable

# folders that no person made: of macOS, Windows, Linux, NAS boxes, Python; hidden ones besides
_SYSTEM_FOLDERS = frozenset(
    ("__macosx", "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot")
    + ("$recycle.bin", "recycler", "system volume information", "lost+found", "__pycache__")
    + ("network trash folder", "temporary items", "found.000")
)
_SYSTEM_FILES = frozenset(
    ("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "autorun.inf")
)
# what a table's cell and a line of text cannot hold: controls, half characters, ends of lines
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# change how other characters are shown, and are seen nowhere
_UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_JOINERS = re.compile("[\u200c\u200d]")  # letters of some scripts need them


def printable(name: str) -> str:
    r"""The name with what no line of text can hold as \xNN: a byte that is no UTF-8, a newline."""
    shown = UNPRINTABLE.sub(lambda found: _escaped(found[0]), name)
    return shown if shown.strip() else "".join(map(_escaped, shown))


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def told_apart(names: Iterable[str]) -> str:
    """Names for a message, in quotes; what cannot be seen in them is written out."""
    shown = (repr(name) if _cleaned(name) == name else ascii(name) for name in names)
    return ", ".join(re.sub(r"\\udc([89a-f].)", r"\\x\1", name) for name in shown)


def first(names: list[str], count: int = 3) -> str:
    """The first of many names, for a message."""
    return ", ".join(map(printable, names[:count])) + (" ..." if len(names) > count else "")


def alike(names: Iterable[str]) -> dict[str, str]:
    """Each name's category: names that look alike are one.

    They do where they differ in case, in blanks or underscores, in how accents are composed, or in
    marks that cannot be seen. A category is called as the first of its names in sorted order.
    """
    names = sorted(set(names))
    called: dict[str, str] = {}
    for name in names:
        called.setdefault(_key(name), printable(_cleaned(name) or name))
    return {name: called[_key(name)] for name in names}


def _cleaned(name: str) -> str:
    """Composed, without marks that cannot be seen, and without blanks around it."""
    return " ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", name)).split())


def _key(name: str) -> str:
    text = unicodedata.normalize("NFKC", _JOINERS.sub("", _cleaned(name) or name)).casefold()
    return text.replace("_", " ").strip() or name


def composed(name: str) -> str:
    """The same text whether a Mac or another machine wrote it."""
    return unicodedata.normalize("NFC", name)


def is_system_folder(name: str) -> bool:
    """Whether a folder of this name was made by a system or a tool, not by a person."""
    hidden = name.startswith(".") and name not in (".", "..")
    return hidden or name.lower() in _SYSTEM_FOLDERS


def is_system_file(name: str) -> bool:
    """Whether a file of this name was made by a system: macOS's, Windows' or NFS' own."""
    return name.startswith(("._", ".DS_Store", ".nfs")) or name.lower() in _SYSTEM_FILES
