"""Where the processes of a training find each other, and how they notice a death."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from harlib.training.distributed import cluster, heartbeat
from harlib.training.distributed.cluster import Cluster, ClusterError, find, first_node


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu7", "gpu7"),
        ("gpu7,gpu9", "gpu7"),
        ("gpu[03-05,9],login", "gpu03"),
        ("gpu[12,14]", "gpu12"),
        ("rack2-gpu[1-4]-ib,x", "rack2-gpu1-ib"),
    ],
)
def test_first_node_of_slurm_lists(nodes, first):
    assert first_node(nodes) == first


def test_slurm_tells_everything():
    environ = {
        "SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_JOB_ID": "1017",
    }  # fmt: skip
    found = find(environ)
    assert found == Cluster(f"gpu03:{cluster.PORT + 34}", 4, 3)
    assert find(environ | {"HARLIB_COORDINATOR": "head:5000"}).coordinator == "head:5000"


def test_a_kubernetes_job_tells_its_index_and_the_manifest_the_rest():
    environ = {"JOB_COMPLETION_INDEX": "1", "HARLIB_PROCESSES": "2"}
    found = find(environ | {"HARLIB_COORDINATOR": "train-0.train"})
    assert found == Cluster(f"train-0.train:{cluster.PORT}", 2, 1)
    with pytest.raises(ClusterError, match="^no HARLIB_COORDINATOR, and neither Slurm"):
        find(environ)


def test_open_mpi_tells_numbers_and_the_host_of_version_4():
    environ = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}
    uri = "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911"
    assert find(environ | {"OMPI_MCA_orte_hnp_uri": uri}).host == "10.96.0.1"
    assert find(environ | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}).host == "127.0.0.1"
    with pytest.raises(ClusterError, match="no HARLIB_COORDINATOR"):
        find(environ | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"})


def test_nobody_tells_anything():
    with pytest.raises(ClusterError) as error:
        find({})
    for name in ("COORDINATOR", "PROCESSES", "PROCESS"):
        assert f"HARLIB_{name}" in str(error.value)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("nowhere", 2, 0), "HOST:PORT; received 'nowhere'"),
        ((":80", 2, 0), "HOST:PORT"),
        (("a:99999", 2, 0), "HOST:PORT"),
        (("a:80", 2, 2), r"lie in 0..1; received 2"),
    ],
)
def test_impossible_places_are_refused(place, message):
    with pytest.raises(ClusterError, match=message):
        Cluster(*place)


def test_processes_need_jax():
    with (
        pytest.raises(ClusterError, match="KERAS_BACKEND=jax"),
        cluster.join(Cluster("a:80", 2, 0)),
    ):
        pass


def test_who_does_not_come_is_named():
    with pytest.raises(TimeoutError, match="did not come: 1, 2"):
        heartbeat.Peers("", cluster.PORT + 77, 3, 0, wait_s=0.2)
    with pytest.raises(TimeoutError, match="process 1 cannot reach process 0 at 127.0.0.1"):
        heartbeat.Peers("127.0.0.1", cluster.PORT + 77, 3, 1, wait_s=0.2)


PROCESS = """
import sys, time
from harlib.training.distributed import heartbeat
heartbeat.BEAT_S, heartbeat.PATIENCE_S = 0.1, 4.0
number, port, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
link = heartbeat.Peers("127.0.0.1", port, 3, number)
print("here", flush=True)
try:
    if seconds < 0:
        raise ValueError("broken here")
    time.sleep(seconds)
except Exception as error:
    link.abandon(error)
link.leave()
"""


def start(port, number, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(number), str(port), str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def three(port, seconds):
    """Three processes that are busy for so many seconds each, once all have met."""
    started = [start(port, number, busy) for number, busy in enumerate(seconds)]
    for process in started:
        assert process.stdout.readline() == "here\n"
    return started


def ends(started):
    """(status, stderr) of each; none is left behind."""
    try:
        return [(p.communicate(timeout=30)[1], p.returncode) for p in started]
    finally:
        for process in started:
            process.kill()


def test_who_comes_early_waits_for_the_last_and_strangers_are_not_let_in():
    port = cluster.PORT + 76
    started = [start(port, number, 0.1) for number in (0, 1)]
    strangers = []
    for greeting in (b"GET / HTTP/1.1\n", b"process 7 (x)\n", b"x" * 1000, b"\xff\n"):
        strangers.append(heartbeat._connect("127.0.0.1", port, time.monotonic() + 60, "a stranger"))
        strangers[-1].sendall(greeting)
    time.sleep(5)  # longer than PATIENCE_S
    started.append(start(port, 2, 0.1))
    for stranger in strangers:
        stranger.close()
    assert ends(started) == [("", 0)] * 3


def test_an_error_in_one_ends_all():
    (zero, first), (one, second), (two, third) = ends(three(cluster.PORT + 90, (60, -1, 60)))
    assert (first, second, third) == (heartbeat.EXIT_STATUS, 1, heartbeat.EXIT_STATUS)
    assert one == "Error: broken here\n"
    assert "process 1 (" in zero and "process 1 (" in two


def test_all_leave_together_when_the_last_is_done():
    began = time.monotonic()
    assert ends(three(cluster.PORT + 80, (0.1, 1.0, 0.1))) == [("", 0)] * 3
    assert time.monotonic() - began >= 1


def test_the_last_word_is_not_lost_behind_unread_beats():
    """A connection closed over unread bytes is reset, and what it brought may be thrown away."""
    port = cluster.PORT + 78
    started = [start(port, number, 0.1) for number in (0, 1)]
    with heartbeat._connect("127.0.0.1", port, time.monotonic() + 60, "process 2") as link:
        link.sendall(b"process 2 (by hand)\nleave\n")
        heard = b""
        while b"leave\n" not in heard:
            heard += link.recv(100)
            link.sendall(b"." * 1000)
        time.sleep(0.5)
        link.sendall(b"." * 1000)
        link.shutdown(socket.SHUT_WR)
        while more := link.recv(100):  # to its end, without a reset
            heard += more
    # a beat may come between the word and the end
    assert heard.rstrip(b".").endswith(b"leave\n") and ends(started) == [("", 0)] * 2


@pytest.mark.parametrize(("victim", "how"), [(1, signal.SIGKILL), (0, signal.SIGKILL),
                                             (2, signal.SIGSTOP)])  # fmt: skip
def test_a_dead_process_ends_the_others_with_its_name(victim, how):
    started = three(cluster.PORT + 82 + 2 * victim, (60, 60, 60))
    try:
        os.kill(started[victim].pid, how)
        others = [process for n, process in enumerate(started) if n != victim]
        name = f"process {victim} ("
        for said, status in ends(others):
            assert status == heartbeat.EXIT_STATUS
            assert f"pid {started[victim].pid}) " in said and name in said.split("): ", 1)[1]
            assert "resumes from its last checkpoint" in said
            if how == signal.SIGSTOP:
                assert "no sign of life" in said or "ended" in said
    finally:
        started[victim].kill()
        started[victim].communicate()
