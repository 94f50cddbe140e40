"""What two JAX processes on loopback reach, beside each of them alone on its core.

    python benchmarks/two_processes.py [--batch 16] [--steps 20] [--rounds 5]

Four processes are pinned, two to each core: one that trains a tiny C3D by itself on half of the
batch, and one of a pair that trains it together on the whole batch. They take turns, so that a
change of the machine's speed meets all of them; who has no turn sleeps. The cores must be idle
otherwise. Printed: clips per second, medians over the rounds, and the pair's share of the sum of
the two alone; "both at once" are the two alone at the same time, which share memory, no gradients.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

KINDS = ("core 0 alone", "core 1 alone", "both at once", "pair")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="clips of the pair's batch")
    parser.add_argument("--width", type=float, default=0.25, help="factor on C3D's filters")
    parser.add_argument("--steps", type=int, default=20, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def child(width, core, clips, coordinator, number):
    """Trains so many steps for each number of them read; answers with seconds."""
    os.sched_setaffinity(0, {core})  # before JAX counts the cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Gloo talks to the standard output
    import keras
    import numpy as np

    from harlib import models
    from harlib.training import recipes
    from harlib.training.distributed import cluster, devices

    with contextlib.ExitStack() as stack:
        if coordinator:
            stack.enter_context(cluster.join(cluster.Cluster(coordinator, 2, number)))
            stack.enter_context(devices.all_processes())
        keras.utils.set_random_seed(0)
        model = models.build("c3d", 3, frames=8, size=32, width=width, dense=32, dropout=0.0)
        recipe = recipes.build("tran-sgd", steps_per_epoch=100, epochs=1)
        group = devices.of(model)
        stack.enter_context(group.scope())
        recipe.compile(model)
        rng = np.random.default_rng(number)
        batch = rng.integers(0, 256, (clips, 8, 32, 32, 3), np.uint8)
        targets = recipe.targets(rng.integers(0, 3, clips), 3)
        group.train(batch, targets, None)  # builds the graph
        print(0.0, file=answers, flush=True)
        for line in sys.stdin:
            began = time.monotonic()
            for _ in range(int(line)):
                group.train(batch, targets, None)
            print(time.monotonic() - began, file=answers, flush=True)


def start(options, core, clips, coordinator="", number=0):
    """A child that is ready for its first turn when its first answer has been read."""
    spec = [options.width, core, clips, coordinator, number]
    return subprocess.Popen(
        [sys.executable, __file__, "--child", json.dumps(spec)],
        env=os.environ | {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def turn(children, steps):
    """The longest time of `children`, who start together, in seconds."""
    for process in children:
        process.stdin.write(f"{steps}\n")
        process.stdin.flush()
    return max(map(answer, children))


def answer(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a process ended with status {process.wait()}")
    return float(line)


def free_port():
    """The first of two neighbouring ports that nobody uses now."""
    while True:
        with socket.socket() as one, socket.socket() as two, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            two.bind(("127.0.0.1", port + 1))
            return port


def main():
    options = parse()
    if options.child:
        child(*json.loads(options.child))
        return
    if options.batch % 2:
        raise SystemExit(f"--batch is shared by two: give an even number, not {options.batch}")
    half, coordinator = options.batch // 2, f"127.0.0.1:{free_port()}"
    started = []
    try:
        alone = [start(options, core, half) for core in options.cores]
        started += alone
        pair = [start(options, c, half, coordinator, i) for i, c in enumerate(options.cores)]
        started += pair
        for process in started:
            answer(process)
        turns = dict(zip(KINDS, (alone[:1], alone[1:], alone, pair), strict=True))
        speeds = {kind: [] for kind in KINDS}
        for kind in KINDS * (1 + options.rounds):  # the first round warms up
            seconds = turn(turns[kind], options.steps)
            speeds[kind].append(len(turns[kind]) * half * options.steps / seconds)
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in started:
            process.wait()
    middle = {kind: statistics.median(values[1:]) for kind, values in speeds.items()}
    for kind, values in speeds.items():
        print(f"{kind:<14}{middle[kind]:8.1f} clips/s  ({min(values[1:]):.1f} to "
              f"{max(values[1:]):.1f})")  # fmt: skip
    total = middle["core 0 alone"] + middle["core 1 alone"]
    print(f"pair / sum of the two alone: {middle['pair'] / total:.3f}")
    print(f"pair / both at once:         {middle['pair'] / middle['both at once']:.3f}")


if __name__ == "__main__":
    main()
