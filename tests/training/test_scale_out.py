"""Several devices and several processes end with the weights of one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harlib.models import keras_file
from harlib.training.distributed import devices

SCRIPT = Path(__file__).with_name("scale_out.py")


def environment(backend):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"} if backend == "jax" else {}
    return os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"} | flags


def weights(run_dir, which=-1):
    """The model's arrays in a checkpoint."""
    paths = sorted(Path(run_dir, "checkpoints").glob("step-*.npz"))
    with np.load(paths[which]) as file:
        return {name: file[name] for name in file.files if name.startswith("model.")}


def apart(one, other):
    """The largest difference between two sets of weights."""
    assert one.keys() == other.keys()
    return max(np.abs(a.astype(float) - other[name]).max() for name, a in one.items())


def on_devices(backend, network, run_dir):
    """Trains on one device into run_dir/one, on two into run_dir/two, first on one and then on two
    into run_dir/moved; returns what it said."""
    command = [sys.executable, SCRIPT, "devices", network, run_dir]
    done = subprocess.run(command, env=environment(backend), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def same_on_two_devices(folder, said):
    assert "= 2 devices x" in said
    assert apart(weights(folder / "one", 0), weights(folder / "one")) > 1e-2, "hardly trained"
    assert apart(weights(folder / "one"), weights(folder / "two")) < 1e-4
    assert "resuming at step 5 of" in said
    assert apart(weights(folder / "one"), weights(folder / "moved")) < 1e-4
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    one, two = (pd.read_csv(folder / name / "history.csv")[columns] for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)


@pytest.mark.quick
def test_more_devices_than_there_are_is_refused():
    with pytest.raises(ValueError, match="devices=9, but there are 1: .*CPU:0"), devices.scope(9):
        pass


@pytest.fixture(scope="module")
def jax_tiny(tmp_path_factory):
    """The tiny network on one and on two devices of JAX: the folder, and what was said."""
    folder = tmp_path_factory.mktemp("jax")
    return folder, on_devices("jax", "tiny", folder)


def test_two_mirrored_devices_train_batch_norm_as_one_does(tmp_path):
    same_on_two_devices(tmp_path, on_devices("tensorflow", "c3d_bn", tmp_path))


def test_two_devices_of_jax_train_as_one_does(jax_tiny):
    same_on_two_devices(*jax_tiny)


@pytest.mark.soak
def test_two_devices_of_jax_train_batch_norm_as_one_does(tmp_path):
    same_on_two_devices(tmp_path, on_devices("jax", "c3d_bn", tmp_path))


def free_port():
    """The first of two ports that nobody uses now."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def as_processes(network, run_dir, count, kill=None, term=None, timeout=900):
    """Runs all processes to their end; `kill`, `term`: (number, step), where it is
    sent SIGKILL or SIGTERM. Returns (status, stderr) of each."""
    coordinator = f"127.0.0.1:{free_port()}"
    started = []
    try:
        for number in range(count):
            command = [sys.executable, SCRIPT, "process", network, run_dir, str(count)]
            command += [str(number), coordinator]
            command += [str(kill[1])] if kill and kill[0] == number else []
            command += ["0", str(term[1])] if term and term[0] == number else []
            variables = environment("jax") | {"XLA_FLAGS": ""}
            started.append(
                subprocess.Popen(
                    command, env=variables, start_new_session=True, text=True,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )
            )  # fmt: skip
        ends = []
        if kill:
            started[kill[0]].wait(timeout)
            timeout = 60
        died = time.monotonic()
        for process in started:
            _, said = process.communicate(timeout=timeout)
            ends.append((process.returncode, said))
        assert not kill or time.monotonic() - died < 60
        return ends
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def two_processes_equal_one(network, tmp_path, kill, alone):
    """`alone`: the folder of an undisturbed run on one device."""
    ends = as_processes(network, tmp_path / "two", 2, kill=kill)
    dead, survivor = ends[kill[0]], ends[1 - kill[0]]
    assert dead[0] == -signal.SIGKILL
    assert survivor[0] == 70, survivor[1][-2000:]
    assert f": process {kill[0]} (" in survivor[1] and ") ended; training stops" in survivor[1]
    steps = [int(p.name.split("-")[1]) for p in (tmp_path / "two").glob("checkpoints/step-*.npz")]
    assert max(steps) == 4 * (kill[1] // 4), "no checkpoint to resume from"

    first = weights(tmp_path / "two", 0)
    for status, said in as_processes(network, tmp_path / "two", 2):
        assert status == 0, said[-2000:]
    last = weights(tmp_path / "two")
    assert apart(first, last) > 1e-2, "the weights hardly moved: they would agree anyway"
    assert apart(weights(alone), last) < 1e-4
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    one, two = (pd.read_csv(d / "history.csv")[columns] for d in (alone, tmp_path / "two"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)
    assert {p.name for p in (tmp_path / "two").iterdir()} == {
        "checkpoints", "history.csv", "model.keras", "progress.json"
    }  # fmt: skip


def test_two_processes_train_as_one_does_though_one_was_killed(tmp_path, jax_tiny):
    two_processes_equal_one("tiny", tmp_path, kill=(1, 9), alone=jax_tiny[0] / "one")


@pytest.mark.soak
def test_one_that_is_told_to_stop_stops_all_at_the_same_step(tmp_path, jax_tiny):
    """Of SIGTERM, as of a scheduler that wants one machine back, nothing trained is lost."""
    ends = as_processes("tiny", tmp_path / "two", 2, term=(0, 5))
    assert [status for status, _ in ends] == [128 + signal.SIGTERM] * 2, ends
    assert not any("training stops here" in said for _, said in ends)
    steps = [int(p.name.split("-")[1]) for p in (tmp_path / "two").glob("checkpoints/step-*.npz")]
    assert 5 < max(steps) < 16, "no checkpoint where they stopped"
    assert [status for status, _ in as_processes("tiny", tmp_path / "two", 2)] == [0, 0]
    assert apart(weights(jax_tiny[0] / "one"), weights(tmp_path / "two")) < 1e-4


@pytest.mark.soak
def test_patience_ends_two_processes_with_the_weights_of_one_though_one_was_killed(tmp_path):
    for folder, count, kill in (("one", 1, None), ("two", 2, (1, 9)), ("two", 2, None)):
        ends = as_processes("patience", tmp_path / folder, count, kill=kill)
        if not kill:
            assert [status for status, _ in ends] == [0] * count, ends
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    one, two = (pd.read_csv(tmp_path / d / "history.csv")[columns] for d in ("one", "two"))
    assert len(one) < 12, "patience ended nothing"
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)
    ends = [keras_file.load(tmp_path / d / "model.keras").get_weights() for d in ("one", "two")]
    assert max(np.abs(a - b).max() for a, b in zip(*ends, strict=True)) < 1e-4


@pytest.mark.soak
@pytest.mark.parametrize("number", [0, 1])
def test_two_processes_train_c3d_as_one_does_though_one_was_killed(tmp_path, number):
    ((status, said),) = as_processes("c3d", tmp_path / "one", 1)
    assert status == 0, said[-2000:]
    two_processes_equal_one("c3d", tmp_path, kill=(number, 13), alone=tmp_path / "one")
