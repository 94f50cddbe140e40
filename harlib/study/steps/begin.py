"""The beginning of a run: its folder, its seed, its precision."""

import os
import time

from harlib.locks import Locked
from harlib.study.params.notebooks import Common, ParamsError
from harlib.study.params.trained import Trained
from harlib.study.runs import fingerprint, session
from harlib.study.steps import checks
from harlib.study.widgets import live
from harlib.study.wording import tables


class Finished(ParamsError):
    """A folder that holds a complete run, which is not the one that would begin there."""


def start(p: Common, *, anew: bool = False) -> tables.Sentence:
    """Begins a run: its folder, its seed, its precision.

    A run that is complete stays as it is, and the steps that follow show what it left.

    Raises:
        Finished: the folder's complete run is another one; `anew` puts that aside.
        Locked: another process writes to the folder.
        ValueError: a precision that this machine lacks, or another wrong value; nothing was
            touched.
    """
    live.attend(session.told_in(p))
    if not anew and session.kept(p) and not fingerprint.is_same(p):
        raise Finished(
            f"{session.from_root(p, p.run_dir)} holds a finished run, which stays as it is; this "
            f"one would be another ({fingerprint.difference(p)}). Give it a name of its own in the "
            f'parameters cell, run = "{p.run}.mine". har study {p.study} makes the run that the '
            f"files in params/{p.study} ask for; where that is another too, the finished one goes "
            f"to {session.from_root(p, p.run_dir.parent)}/before"
        )
    if fingerprint.displaces(p):
        checks.refuse({f"parameters of {fingerprint.notebook_of(p)}": p})
    said, policy, slow = f"Run {p.run} of the study {p.study}, seed {p.seed}", None, []
    if isinstance(p, Trained):
        import keras

        from harlib.training import precision
        from harlib.training.distributed import devices

        devices.prepare(p.most_devices)
        keras.utils.set_random_seed(p.seed)
        policy = precision.use(p.precision)
        said, slow = f"{said}, computed in {policy}", precision.slow()
    if not anew and fingerprint.is_complete(p):
        place = session.from_root(p, p.run_dir)
        return tables.Sentence(
            f"{said}. It is complete: what follows shows the files in {place}, "
            "trains nothing and changes nothing."
            + (f" Note: {other}." if (other := fingerprint.remark(p.run_dir)) else "")
        )
    try:
        session.lock(p)
    except Locked as error:
        # `har study` holds the lock for the kernel that it starts
        if error.pid != os.getppid():
            raise
    fingerprint.claim(p)
    p.folder.write_state(begun=time.time(), seconds_before=session.trained(p))
    if policy:
        p.folder.write_state(precision=policy)
    return tables.Sentence(
        " ".join([f"{said}. Its files go to {session.from_root(p, p.run_dir)}.", *slow])
    )
