"""How long a training step of the network that `har new-study` plans takes on this machine."""

import json
import subprocess
import sys
from typing import Any

from harlib import HarlibError


def measured(network: dict[str, Any]) -> float:
    """Seconds of a training step, in a process of its own, which leaves this one without Keras.

    Args:
        network: `size` ([height, width] in pixels), `frames`, `batch` and `classes`.

    Raises:
        HarlibError: it could not be measured.
    """
    done = subprocess.run(
        [sys.executable, "-c", _STEP, json.dumps(network)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise HarlibError(f"a training step could not be measured on this machine: {last[:200]}")
    return float(done.stdout.split()[-1])


_STEP = """
import json, sys, time
import numpy as np
asked = json.loads(sys.argv[1])
from harlib import models
from harlib.training import recipes
model = models.build("c3d_bn", asked["classes"], frames=asked["frames"], size=tuple(asked["size"]),
                     width=0.25, dense=256)
recipes.build("modern", steps_per_epoch=10, epochs=2).compile(model)
shape = asked["batch"], asked["frames"], *asked["size"], 3
clips = np.random.default_rng(0).integers(0, 256, shape, "uint8")
labels = np.eye(asked["classes"], dtype="float32")[np.arange(asked["batch"]) % asked["classes"]]
times = []
for _ in range(4):
    begun = time.monotonic()
    model.train_on_batch(clips, labels)
    times.append(time.monotonic() - begun)
print(min(times[1:]))
"""
