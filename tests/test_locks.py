"""One process at a time in a folder: who holds the lock is told, and a killed one's is free."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from harlib import locks
from harlib.locks import Lock, Locked

pytestmark = pytest.mark.quick
HOLD = """
import os, sys, time
from harlib.locks import Lock
lock = Lock(sys.argv[1], "it is used")
if len(sys.argv) > 2:  # a child that inherits the open file, as a study's kernel does
    os.set_inheritable(lock.file.fileno(), True)
    os.spawnlp(os.P_NOWAIT, "sleep", "sleep", sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds the lock of `tmp_path`; returns it."""
    started = []

    def hold(*arguments):
        command = [sys.executable, "-c", HOLD, tmp_path / ".lock", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield hold
    for process in started:
        process.kill()
        process.wait()


def test_the_second_is_told_the_process_the_host_and_since_when(holder, tmp_path):
    process = holder()
    begun = time.monotonic()
    with pytest.raises(Locked) as caught:
        Lock(tmp_path / ".lock", f"{tmp_path} is being prepared")
    assert time.monotonic() - begun < 1
    said = str(caught.value)
    assert said.startswith(f"{tmp_path} is being prepared by process {process.pid} on ")
    assert f"{socket.gethostname()}, since {time.strftime('%Y-')}" in said
    assert said.endswith(": wait for its end, or end it")
    assert caught.value.pid == process.pid


def test_what_a_killed_process_left_can_be_swept(holder, tmp_path):
    process = holder()
    locks.sweep(tmp_path / ".lock")
    assert (tmp_path / ".lock").exists()  # it is held
    process.kill()
    process.wait()
    locks.sweep(tmp_path / ".lock")
    locks.sweep(tmp_path / ".lock")  # nothing is there
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_free(holder, tmp_path):
    process = holder()
    process.kill()
    process.wait()
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == process.pid
    with Lock(tmp_path / ".lock", "x"):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_children_of_a_killed_process_are_waited_for(holder, tmp_path):
    process = holder("2")
    process.kill()
    process.wait()
    begun = time.monotonic()
    Lock(tmp_path / ".lock", "x").release()
    assert 0.5 < time.monotonic() - begun < 9


def test_a_stopped_holder_still_holds_it(holder, tmp_path):
    process = holder()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(Locked, match=f"by process {process.pid} "):
        Lock(tmp_path / ".lock", "x")


def test_without_file_locks_it_is_said(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(next(iter(locks._NO_LOCKS)), "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    Lock(tmp_path / ".lock", "x").release()
    assert f"{tmp_path} has no file locks (No locks available)" in capsys.readouterr().err
