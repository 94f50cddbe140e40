"""Names that the shell completes: studies and runs, as the folders params/ and runs/ have them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_RUN = "[0-9][0-9]_*"


def _completer(names: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Of `names` those that begin as what is typed; where none does, the shell's own files."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        try:
            found = sorted({name for name in names(context) if name.startswith(incomplete)})
        except Exception:  # a traceback in the middle of a command line helps nobody
            found = []
        return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]

    return complete


def _shelves() -> tuple[Path, Path]:
    """The folders of parameter files: the project's, and those that come with harlib."""
    from harlib import shipped

    return _root() / "params", shipped.FOLDER / "params"


def _root() -> Path:
    from harlib.study.params.base import project_root

    return project_root()


def _with_files(context: click.Context) -> Iterator[str]:
    """Studies that have parameter files."""
    for shelf in _shelves():
        yield from (file.parent.name for file in shelf.glob(f"*/{_RUN}.yaml"))


def _with_runs(context: click.Context) -> Iterator[str]:
    """Studies that have runs or data."""
    for shelf in ("runs", "data"):
        yield from (place.name for place in (_root() / shelf).glob("[!.]*") if place.is_dir())


def _files(context: click.Context) -> Iterator[str]:
    """Runs by their parameter files, as STUDY/RUN."""
    for shelf in _shelves():
        for file in shelf.glob(f"*/{_RUN}.yaml"):
            yield f"{file.parent.name}/{file.name.removesuffix('.yaml')}"


def _of_study(context: click.Context) -> Iterator[str]:
    """Runs of the study that the command line names."""
    named = [context.params.get("study"), *context.args]  # click parses none before an open option
    study = Path(next(filter(None, named), "")).name
    return (name.partition("/")[2] for name in _files(context) if name.startswith(f"{study}/"))


def _holding(*files: str) -> Callable[[click.Context], Iterator[str]]:
    """Runs whose folder holds one of the files, as STUDY/RUN."""

    def names(context: click.Context) -> Iterator[str]:
        for run in (_root() / "runs").glob(f"*/{_RUN}"):
            if any((run / file).is_file() for file in files):
                yield f"{run.parent.name}/{run.name}"

    return names


def _either(context: click.Context) -> Iterator[str]:
    yield from _with_runs(context)
    yield from _holding("params.yaml")(context)


studies = _completer(_with_files)
studies_with_runs = _completer(_with_runs)
studies_or_runs = _completer(_either)
runs_with_files = _completer(_files)
runs_of_study = _completer(_of_study)
trained_runs = _completer(_holding("model.keras"))
scored_runs = _completer(_holding("scores.npz"))
