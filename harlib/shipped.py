"""What comes with harlib beside its code: notebooks, parameter files, the page's template.

In a checkout they lie in its top level, in an installed package in `harlib/_shipped`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from harlib import HarlibError

_PACKAGE = Path(__file__).resolve().parent
IN_CHECKOUT = (_PACKAGE.parent / "pyproject.toml").is_file()
FOLDER = _PACKAGE.parent if IN_CHECKOUT else _PACKAGE / "_shipped"

_IGNORED = "/data/\n/runs/\n/reports/\n.ipynb_checkpoints/\n"


def lay_out(folder: Path, studies: Sequence[str] = ("demo",)) -> list[str]:
    """Makes a working folder: `har init`.

    It gets the notebooks, the parameter files of the studies, and a `.gitignore` for what runs
    leave. Files that are there stay, and nothing is written when one of them is another.

    Returns:
        What was written, as paths below the folder.

    Raises:
        HarlibError: an unknown study, or files that are there and are others.
    """
    shelf = FOLDER / "params"
    known = sorted(path.name for path in shelf.iterdir() if path.is_dir())
    if unknown := [study for study in studies if study not in known]:
        raise HarlibError(
            f"no study {unknown[0]!r} comes with harlib; there are {', '.join(known)}"
        )
    sources = sorted((FOLDER / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for study in studies:
        sources += sorted((shelf / study).glob("*.yaml"))
    contents = {path.relative_to(FOLDER): path.read_bytes() for path in sources}
    contents[Path(".gitignore")] = _IGNORED.encode()
    old = [name for name in contents if (folder / name).exists()]
    if others := [name for name in old if (folder / name).read_bytes() != contents[name]]:
        raise HarlibError(
            f"{folder / others[0]} is there and is another"
            + (f" (and {len(others) - 1} more)" if len(others) > 1 else "")
            + ": name a new folder, or move it away"
        )
    for name, content in contents.items():
        if name not in old:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return [name.as_posix() for name in contents if name not in old]


def has_git() -> bool:
    """Whether harlib's own commit can be asked: a checkout, with git at hand."""
    return IN_CHECKOUT and (FOLDER / ".git").exists() and shutil.which("git") is not None
