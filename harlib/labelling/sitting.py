"""`har label`: looks at the videos, then serves the page on which they are labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harlib import HarlibError
from harlib.data import label_sets
from harlib.data.catalog.names import printable
from harlib.inference import asking
from harlib.labelling import looking, pages, table
from harlib.labelling.session import ROUND, Session
from harlib.locks import Lock
from harlib.serving import server
from harlib.text import count

_SEVERAL = "several labels per video ('|'); har label gives one: use a run and a table of one label"


def label(
    source: str | Path,
    videos: str,
    *,
    table: Path = Path("labels.csv"),
    categories: Sequence[str] = (),
    by: str | None = None,
    size: int = ROUND,
    port: int = 0,
    token: str | None = None,
    ready: Callable[[server.Serving], object] | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serves the page until Ctrl-C. What a network sees is kept in `TABLE.seen`, beside the table.

    Args:
        source: as of `looking.eye`.
        videos: a folder in any layout, one video, or a table of paths.
        table: a CSV `path,label`.
        by: a name of `ranking.WAYS`; None for what measured best.
        size: labels after which the order is made anew.
        token: that requests must know; None: none.
        ready: called once the page can be opened.

    Raises:
        HarlibError: no such network or videos, several labels per video, a table that takes no
            labels, or another `har label` is at work with it.
    """
    with Lock(table.with_name(f"{table.name}.lock"), f"{table} is being written"):
        _label(source, videos, table, categories, by, size, port, token, ready, say)


def _label(
    source: str | Path,
    videos: str,
    path: Path,
    categories: Sequence[str],
    by: str | None,
    size: int,
    port: int,
    token: str | None,
    ready: Callable[[server.Serving], object] | None,
    say: Callable[[str], object],
) -> None:
    # first: nobody waits for a network to hear of a typing error
    server.check(server.LOOPBACK, port, token)
    labels = table.Labels(path)
    for where, names in ((labels.shown, labels.categories), ("--category", categories)):
        if label_sets.several(names):
            raise HarlibError(f"{where}: {_SEVERAL}")
    found, notes = asking.videos(videos)
    for note in [*notes, *table.told(labels, found)]:
        say(note)
    own = looking.eye(source)
    if own.predictor.thresholds is not None:
        raise HarlibError(f"{own.predictor.name}: {_SEVERAL}")
    seen = looking.look(own, found, Path(f"{labels.path}.seen"))
    for video, why in seen.errors.items():
        say(f"{printable(video)}: cannot be read: {why}")
    session = Session(seen, labels, [*own.categories, *categories], by=by, size=size)
    state = session.state()
    if not state["left"]:
        raise HarlibError(
            f"all {count(len(seen.videos), 'video')} of {videos} are labelled in "
            f"{labels.shown} or set aside in {labels.skipped.name}"
        )
    say(f"{count(state['left'], 'video')} to label; labels go to {labels.shown}")
    pages.serve(session, port=port, token=token, ready=ready, say=say)
    new = session.state()["new"]
    say(f"{count(new, 'new label')} in {labels.shown}")
    for command in session.state()["train"]:
        say(f"    {command}")
