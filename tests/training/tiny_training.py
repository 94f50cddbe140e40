"""A tiny network and a tiny endless data set, and as a script: runs killed until one ends.

    python tiny_training.py RUN_DIR POLICY KILLS SEED

One process imports the libraries and computes nothing; each attempt is its fork, so an attempt
starts in milliseconds and can be killed for real.
"""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import grain
import keras
import numpy as np

from harlib.training import fit, recipes

CLASSES = 3
STEPS = 5
EPOCHS = 4


class Batches:
    """Element i, of 4 clips with 2 frames of 6 x 6 pixels, is a pure function of i."""

    def __getitem__(self, i):
        rng = np.random.default_rng(i)
        labels = rng.integers(0, CLASSES, 4).astype(np.int32)
        noise = rng.integers(0, 90, (4, 2, 6, 6, 3))
        return (noise + 60 * labels[:, None, None, None, None]).astype(np.uint8), labels


class Validation(Batches):
    """Two batches in the form of the loader's evaluation batches."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        clips, labels = super().__getitem__(10_000 + i)
        return {"clips": clips, "label": labels, "video": labels, "view": labels}


def tiny_model(seed=0, dropout=0.3):
    """Convolution, batch norm, dropout, softmax in float32."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((2, 6, 6, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv3D(4, (1, 3, 3), use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax", dtype="float32")(x))


def tiny_recipe(name="study-adam", epochs=EPOCHS, **overrides):
    """Every part with a state moves in it: levels within the first epochs, Adam's moments."""
    if name == "study-adam":
        overrides = {"lr": 0.02, "patience": 1, "gain": 0.5} | overrides
    if name == "modern":
        overrides = {"mix": ""} | overrides  # `Batches` has plain labels
    return recipes.build(name, steps_per_epoch=STEPS, epochs=epochs, **overrides)


def run(run_dir, batches=None, recipe=None, model=None, **options):
    """`fit` with the tiny parts; silent unless `report` is given."""
    options = {"validation": Validation(), "report": lambda line: None} | options
    return fit(
        model or tiny_model(),
        batches if batches is not None else Batches(),
        recipe or tiny_recipe(),
        run_dir=run_dir,
        **options,
    )


class _Source:
    """A Grain source of batches; soon after number `kill_at` is read, the process is killed."""

    def __init__(self, epochs, kill_at, delay):
        self.epochs, self.kill_at, self.delay = epochs, kill_at, delay

    def __len__(self):
        return STEPS * self.epochs

    def __getitem__(self, i):
        if i == self.kill_at:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        time.sleep(0.005)
        return Batches()[i]


def _attempt(run_dir, policy, epochs, seed, kill_at, delay):
    keras.config.set_dtype_policy(policy)
    batches = grain.MapDataset.source(_Source(epochs, kill_at, delay))
    # Another seed each time: all that decides the weights has to come from the checkpoint.
    model = tiny_model(seed)
    run(run_dir, batches, tiny_recipe(epochs=epochs), model, checkpoint_every_steps=3)


def main(run_dir, policy, kills, seed):
    rng = random.Random(seed)
    epochs = 5 * kills
    for attempt in range(kills + 1):
        steps = [int(p.name.split("-")[1]) for p in Path(run_dir).glob("checkpoints/step-*.npz")]
        # From the read on: while it is read ahead, in a step, a checkpoint, a validation.
        kill_at = max(steps, default=0) + rng.randrange(5) if attempt < kills else None
        child = os.fork()
        if child == 0:
            _attempt(run_dir, policy, epochs, attempt, kill_at, rng.uniform(0, 0.04))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        expected = 0 if kill_at is None else signal.SIGKILL
        if status != expected:
            raise SystemExit(f"attempt {attempt}: wait status {status}, expected {expected}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
