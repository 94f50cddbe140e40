"""A trained run scored again from its own folder, wherever that lies: `har evaluate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harlib import MissingFile
from harlib.data import ClipStore
from harlib.run_folder import RunFolder
from harlib.study.params.trained import Trained
from harlib.study.runs import fingerprint, session, study_files
from harlib.study.runs.scored_store import with_hash
from harlib.study.steps import model_run
from harlib.study.wording import tables


def evaluate(run_dir: Path, changes: Mapping[str, Any] | None = None) -> tables.Sentence:
    """Scores a trained run again from its own files.

    By the run's own protocol its scores are written anew; by another one they go to a folder
    `scores-…` inside the run's, which the changes name.

    changes: `checkpoint`, `clips` or `crops` that replace the run's own.

    Raises:
        FileNotFoundError: the folder holds no run, or its clip store is not there.
        ValueError: a run that trains nothing.
        Locked: the run is being written.
    """
    run_dir, changes = Path(run_dir).absolute(), dict(changes or {})
    own = study_files.load_folder(run_dir)
    if not isinstance(own, Trained):
        raise ValueError(
            f"{session.from_root(own, run_dir)} is a run of notebook "
            f"{fingerprint.notebook_of(own)}, which trains no network to score: "
            "give a run of notebook 02, 03, 04 or 09"
        )
    p = study_files.load_folder(run_dir, changes)
    assert isinstance(p, Trained)  # as its own
    store = _store(own, run_dir)
    other = [key for key in changes if getattr(p, key) != getattr(own, key)]
    name = "-".join(("scores", *(f"{key}_{getattr(p, key)}" for key in other)))
    folder = run_dir / name if other else run_dir
    from harlib.training import precision  # of Keras

    session.lock(own)
    try:
        model = model_run.load_model(p, p.checkpoint)
        placed = p.at(folder, store.root)
        scores = model_run.score(placed, model, store, checkpoint="last")
        said = model_run.measure(placed, model, scores, minutes=session.worked(own))
        said = tables.Sentence(f"{said} {precision.lacking(model)}".strip())
    finally:
        session.unlock(own)
    if not other:
        return said
    lie = f"These scores lie in {session.from_root(own, folder)}; the run's own are as they were."
    return tables.Sentence(f"{said} {lie}")


def _store(p: Trained, run_dir: Path) -> ClipStore:
    """The clip store that a run was trained on.

    Also where its study has another one by now, or the run was copied to a study of another name.

    Raises:
        FileNotFoundError: it is gone.
    """
    state = RunFolder(run_dir).read_state()
    roots = [folder.parent for folder in run_dir.parents if folder.name == "runs"] + [p.root]
    places = [root / state["store"] for root in roots if "store" in state]
    places.append(p.store_dir)
    there = {place: fingerprint.hash_of(place) for place in dict.fromkeys(places)}
    wanted = state.get("store_hash") or next(filter(None, there.values()), "")
    if wanted and (place := with_hash(wanted, places, roots)):
        return ClipStore(place)
    others = [f"{session.from_root(p, place)} is {own}" for place, own in there.items() if own]
    raise MissingFile(
        f"the clip store {wanted} that {session.from_root(p, run_dir)} was trained on is not at "
        f"{session.from_root(p, places[0])}; {', '.join(others) or 'no other one is there'}: make "
        "it again with notebook 01 and the run's parameters"
    )
