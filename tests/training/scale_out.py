"""As a script: one training on some devices of this machine, or as one of several processes.

    python scale_out.py devices NETWORK RUN_DIR          (into RUN_DIR/one, two and moved)
    python scale_out.py process NETWORK RUN_DIR PROCESSES NUMBER COORDINATOR [KILL_AT [TERM_AT]]

NETWORK is tiny, patience (the same, which may end early), c3d or c3d_bn; KERAS_BACKEND chooses the
backend.
"""

import contextlib
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from tiny_training import Batches, Validation, tiny_model, tiny_recipe

from harlib import models
from harlib.training import fit, recipes
from harlib.training.distributed import cluster, devices


class Clips:
    """Element i: 8 clips with 8 frames of 32 x 32 pixels."""

    def __getitem__(self, i):
        rng = np.random.default_rng(i)
        labels = rng.integers(0, 3, 8).astype(np.int32)
        clips = rng.integers(0, 120, (8, 8, 32, 32, 3)) + 60 * labels[:, None, None, None, None]
        return clips.astype(np.uint8), labels


class HeldOut(Clips):
    """Three batches, the last one smaller."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        clips, labels = super().__getitem__(1000 + i)
        return (clips, labels) if i < 2 else (clips[:5], labels[:5])


class Part:
    """One process' part of every batch; before number `kill_at` is read, the process is killed.

    With `stop_at` it is told there that the data are at their end, with `term_at` that the
    scheduler wants the machine back.
    """

    def __init__(self, batches, process=0, processes=1, kill_at=None, stop_at=None, term_at=None):
        self.batches, self.process, self.processes = batches, process, processes
        self.kill_at, self.stop_at, self.term_at = kill_at, stop_at, term_at

    def __getitem__(self, i):
        if i == self.stop_at:
            raise EOFError
        if i == self.term_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if i == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        clips, labels = self.batches[i]
        count = len(labels) // self.processes
        own = slice(self.process * count, (self.process + 1) * count)
        return clips[own], labels[own]


def train(network, run_dir, *place, **options):
    """20 steps; of c3d_bn, whose batch norm magnifies rounding with every step, 10."""
    keras.utils.set_random_seed(0)
    if network == "tiny":
        model, recipe = tiny_model(dropout=0.0), tiny_recipe()
        batches, validation = Batches(), Validation()
    elif network == "patience":
        model, recipe = tiny_model(dropout=0.0), tiny_recipe("study-sgd", epochs=12, lr=0.05)
        batches, validation = Batches(), Validation()
        options["patience"] = 2
    else:
        model = models.build(network, 3, frames=8, size=32, width=0.125, dense=8, dropout=0.0)
        epochs, lr = (1, 0.003) if network == "c3d_bn" else (2, 0.03)
        recipe = recipes.build("tran-sgd", steps_per_epoch=10, epochs=epochs, lr=lr, drop_epochs=[])
        batches, validation = Clips(), HeldOut()
    fit(model, Part(batches, *place), recipe, run_dir=run_dir, validation=validation, **options)


def on_devices(network, run_dir):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    for count, name in ((1, "one"), (2, "two")):
        with devices.scope(count):
            train(network, f"{run_dir}/{name}")
    with contextlib.suppress(EOFError):
        train(network, f"{run_dir}/moved", 0, 1, None, 5)
    with devices.scope(2):
        train(network, f"{run_dir}/moved")


def batch_policy():
    """Linux's SCHED_BATCH for the calling thread, or what a system that refuses it leaves."""
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    return os.sched_getscheduler(0)


def as_process(network, run_dir, processes, number, coordinator, kill_at=0, term_at=0):
    place = cluster.Cluster(coordinator, int(processes), int(number))
    with ThreadPoolExecutor(1) as other:  # the policy of that thread alone
        policy = other.submit(batch_policy).result()
    with cluster.join(place), devices.all_processes():
        at = int(kill_at) or None, None, int(term_at) or None
        every = 16 if term_at else 4
        train(network, run_dir, place.process, place.processes, *at, checkpoint_every_steps=every)
        # Or each exchange of a tensor costs one of the kernel's ticks.
        assert policy is None or os.sched_getscheduler(0) == policy


if __name__ == "__main__":
    {"devices": on_devices, "process": as_process}[sys.argv[1]](*sys.argv[2:])
