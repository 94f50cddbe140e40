"""The clip store that a run was scored on, told from others by its hash."""

from collections.abc import Iterable
from pathlib import Path

from harlib import HarlibError
from harlib.data import ClipStore
from harlib.run_folder import RunFolder
from harlib.study.runs import fingerprint


class AnotherStore(HarlibError, FileNotFoundError):
    """The store that a run was scored on is not there; the message says what is, and a remedy."""


def scored_store(run_dir: Path, asked: Path | None = None) -> ClipStore:
    """Opens the clip store that a run was scored on, wherever in the project's data it lies by now.

    asked: where it is looked for first; by default where the run's parameters say.

    Raises:
        AnotherStore: no store has the hash that the run has noted.
    """
    run_dir = Path(run_dir)
    state = RunFolder(run_dir).read_state()
    wanted, study = state.get("store_hash", ""), run_dir.parent.name
    root = next((path.parent for path in run_dir.parents if path.name == "runs"), run_dir.parent)
    own = asked or root / (_named(run_dir, state) or Path("data", study, "store"))
    if wanted and (place := with_hash(wanted, [own], [root])):
        return ClipStore(place)
    shown = own.relative_to(root) if own.is_relative_to(root) else own
    if not (there := fingerprint.hash_of(own)):
        raise AnotherStore(
            f"The clip store {wanted} that {run_dir.name} was scored on is no longer there "
            f"({shown}), so no video of it can be shown: notebook 01 with the run's parameters "
            "makes it again."
        )
    was = f"was scored on the clip store {wanted}" if wanted else "does not say on which clip store"
    raise AnotherStore(
        f"{run_dir.name} {was}, and {shown} holds {there}: no video is shown under these "
        f"scores. har study {study} trains and scores on the store that is there; notebook 01 with "
        "the earlier parameters makes the earlier one again."
    )


def with_hash(wanted: str, places: Iterable[Path], roots: Iterable[Path]) -> Path | None:
    """Where the clip store with this hash lies: one of `places`, or of any study below `roots`."""
    found = [file.parent for root in roots for file in sorted(root.glob("data/*/*/store.json"))]
    here = (place for place in (*places, *found) if fingerprint.hash_of(place) == wanted)
    return next(here, None)


def _named(run_dir: Path, state: dict) -> str:
    return state.get("store") or RunFolder(run_dir).read_params().get("store") or ""
