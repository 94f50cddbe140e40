"""Several processes that train one model, on one machine or many: who and where they are.

JAX's distributed runtime through `keras.distribution.initialize`; the addresses are given, or
found in what Slurm, Kubernetes or Open MPI tell their processes.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harlib import HarlibError
from harlib.training.distributed.heartbeat import Peers
from harlib.training.signals import Stopped

PORT = 29_400  # of the coordinator, where nothing else is given; the next one is for `Peers`


class ClusterError(HarlibError):
    """The processes of a training cannot be found; the message says what is missing."""


@dataclass(frozen=True)
class Cluster:
    """One process' place: `process` of `processes`; process 0 listens at `coordinator`."""

    coordinator: str  # host:port
    processes: int
    process: int

    def __post_init__(self) -> None:
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_535:
            raise ClusterError(f"the coordinator is HOST:PORT; received {self.coordinator!r}")
        if self.processes < 1 or not 0 <= self.process < self.processes:
            raise ClusterError(
                f"process numbers lie in 0..{self.processes - 1}; received {self.process}"
            )

    @property
    def host(self) -> str:
        """The host where process 0 listens."""
        return self.coordinator.rpartition(":")[0]

    @property
    def port(self) -> int:
        """The port at which it listens."""
        return int(self.coordinator.rpartition(":")[2])


def find(environ: Mapping[str, str] | None = None) -> Cluster:
    """This process' place, from the variables of HARLIB_*, Slurm, Kubernetes or Open MPI.

    HARLIB_COORDINATOR (host or host:port), HARLIB_PROCESSES and HARLIB_PROCESS go before what the
    scheduler says, each by itself.

    Raises:
        ClusterError: a number or the coordinator is said by nobody.
    """
    environ = os.environ if environ is None else environ
    found = {"coordinator": "", "processes": "", "process": ""}
    for name in found:
        found[name] = environ.get(f"HARLIB_{name.upper()}", "")
        for scheduler in (_slurm, _kubernetes, _open_mpi):
            found[name] = found[name] or scheduler(environ).get(name, "")
    missing = [f"HARLIB_{name.upper()}" for name, value in found.items() if not value]
    if missing:
        raise ClusterError(
            f"no {', '.join(missing)}, and neither Slurm (srun), a Kubernetes Job with indexes nor "
            "Open MPI tells it: set it, or give --coordinator, --processes and --process"
        )
    if ":" not in found["coordinator"]:
        found["coordinator"] += f":{_port(environ)}"
    for name in ("processes", "process"):
        if not found[name].isdigit():
            raise ClusterError(f"HARLIB_{name.upper()} is a whole number; it is {found[name]!r}")
    return Cluster(found["coordinator"], int(found["processes"]), int(found["process"]))


def _slurm(environ: Mapping[str, str]) -> dict[str, str]:
    """Of a task that srun started."""
    if "SLURM_PROCID" not in environ:
        return {}
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST", "")
    processes = environ.get("SLURM_STEP_NUM_TASKS") or environ.get("SLURM_NTASKS", "")
    place = {"process": environ["SLURM_PROCID"], "processes": processes}
    return place | ({"coordinator": first_node(nodes)} if nodes else {})


def _kubernetes(environ: Mapping[str, str]) -> dict[str, str]:
    """Of a pod of a Job with `completionMode: Indexed`."""
    index = environ.get("JOB_COMPLETION_INDEX")
    return {} if index is None else {"process": index}


def _open_mpi(environ: Mapping[str, str]) -> dict[str, str]:
    """Of a process that mpirun started."""
    if "OMPI_COMM_WORLD_RANK" not in environ:
        return {}
    place = {
        "process": environ["OMPI_COMM_WORLD_RANK"],
        "processes": environ.get("OMPI_COMM_WORLD_SIZE", ""),
    }
    # "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911" up to version 4: where mpirun itself runs.
    uri = re.search(r"://\[?([^,:;\]]+)", environ.get("OMPI_MCA_orte_hnp_uri", ""))
    if uri:
        place["coordinator"] = uri.group(1)
    elif environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") == place["processes"]:
        place["coordinator"] = "127.0.0.1"  # all of them on this machine
    return place


def first_node(nodes: str) -> str:
    """The first host of Slurm's compact list: ``gpu[03-05,9],login`` is ``gpu03``."""
    hosts, bracket, rest = nodes.partition("[")
    if not bracket or "," in hosts:
        return hosts.partition(",")[0]
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return hosts + digits + _suffix(rest)


def _suffix(rest: str) -> str:
    """What follows the bracket within the first name: ``03-05]-ib,login`` -> ``-ib``."""
    return rest.partition("]")[2].partition(",")[0]


def _port(environ: Mapping[str, str]) -> int:
    """The same for all processes of a job, another one for another job on the same machines."""
    job = environ.get("SLURM_JOB_ID", "0")
    return PORT + 2 * (int(job) % 1000) if job.isdigit() else PORT


@contextlib.contextmanager
def join(place: Cluster, wait_s: float = 300.0) -> Iterator[Peers]:
    """Be one of the processes: inside, JAX sees the devices of all of them.

    To be entered before anything computes. When a process dies, the others say its name and end
    with status `peers.EXIT_STATUS` within `peers.PATIENCE_S` seconds. On CPUs, the threads of this
    process get Linux's SCHED_BATCH (see benchmarks/history.md). An error inside is told and
    ends this process, and with it the others; a stop that all agreed on (`interrupt.Stopped`)
    lets each leave with the signal's own status.

    Raises:
        ClusterError: another backend than JAX.
        TimeoutError: not all processes came within `wait_s` seconds.
    """
    import keras

    if keras.backend.backend() != "jax":
        raise ClusterError(
            f"several processes need JAX: set KERAS_BACKEND=jax (this is {keras.backend.backend()})"
        )
    import jax

    # Without accelerators JAX computes on the CPU, whose processes talk through Gloo.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # Process 0 listens to its own machine alone where all are on it; a host's name may stand for
    # another of its addresses than the one that the others reach.
    local = place.host == "localhost" or place.host.startswith("127.")
    host = place.host if place.process or local else ""
    stopped = None
    peers = Peers(host, place.port + 1, place.processes, place.process, wait_s)
    try:
        keras.distribution.initialize(place.coordinator, place.processes, place.process)
        if jax.default_backend() == "cpu":
            _let_threads_finish()
        yield peers
    except Stopped as error:  # in all processes, so they can leave as at a planned end
        stopped = error
    except BaseException as error:
        # Not by raising: at its exit, Python would wait for processes that may be gone.
        peers.abandon(error)
    peers.leave()
    jax.distributed.shutdown()
    if stopped is not None:
        raise stopped


def _let_threads_finish() -> None:
    """Linux: a thread of this process that wakes up does not interrupt one that computes.

    Gloo's thread for the network, woken by a message while another thread holds its lock, would
    take that one's core and spin on the lock until the kernel's next tick: 4 ms for every tensor
    that is exchanged, where the exchange itself takes 0.2 ms.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):  # it has ended since, or a sandbox forbids it
                os.sched_setscheduler(int(thread), os.SCHED_BATCH, os.sched_param(0))
