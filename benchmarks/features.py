"""How fast `har features` is from files, and which part bounds it.

    python benchmarks/features.py VIDEOS [--network x3d_xs] [--clips 10] [--batch 8]

VIDEOS is a folder of videos. The network has random weights, in a file as its publisher writes it
(no download; needs PyTorch). Printed: clips per second of each part alone and of the whole
command's work, without Python's start, by the clock; and the seconds that the processor spent, its
worker processes' included. On a busy machine the processor's are the ones to read.
"""

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("--network", default="x3d_xs", help="one of PyTorchVideo's")
    parser.add_argument("--clips", type=int, default=10, help="of a video")
    parser.add_argument("--batch", type=int, default=8)
    return parser.parse_args()


@contextlib.contextmanager
def timed(found, part):
    def now():
        mine = os.times()
        return time.perf_counter(), sum(mine[:4])

    begun = now()
    yield
    found[part] = tuple(b - a for a, b in zip(begun, now(), strict=True))


def random_file(row):
    """Weights of a network of its own making, in PyTorchVideo's container."""
    import numpy as np
    import torch

    from harlib import models
    from harlib.models.weights import checkpoints

    model = models.build(row.network, row.classes, frames=row.frames, size=row.size, **row.options)
    rng, tensors = np.random.default_rng(0), {}
    for one in checkpoints.parameters(model):
        scale = 0.1 if len(one.shape) == 1 else np.sqrt(2 / np.prod(one.shape[1:]))
        array = scale * rng.standard_normal(one.shape)
        positive = len(one.shape) == 1 and one.name.endswith(("weight", "running_var"))
        tensors[one.name] = torch.tensor((array + positive).astype("float32"))
    torch.save({"model_state": tensors}, row.path)


def measure(asked, folder):
    """{part: (seconds, seconds of the processor)}, and the number of clips."""
    from harlib import pretrained
    from harlib.data import Catalog, ClipStore, Protocol, evaluation_batches, iterate, prepare
    from harlib.data.video.files import decode
    from harlib.evaluation.predict import computed, network
    from harlib.models.features import extractor
    from harlib.study.steps import video_features

    row = pretrained.find(f"{asked.network}/kinetics400")
    random_file(row)
    listed, found = Catalog.from_unlabelled(asked.videos), {}
    source = video_features.network(row.name)
    fast = network(extractor(source.model))
    with timed(found, "decoding"):
        for path in listed.frame["path"]:
            decode(path)
    with timed(found, "decoding, resizing, storing"):
        prepare(listed, folder / "store", size=source.size, fps=source.fps, progress=False)
    store = ClipStore(folder / "store")
    (split,) = set(store.videos["split"])
    protocol = Protocol(split, clips=asked.clips, crop_scale=source.crop_scale)
    batches = evaluation_batches(store, source.clip, protocol, batch=asked.batch)
    with timed(found, "reading the clips back"):
        elements = [element["clips"] for element in iterate(batches, threads=2)]
    clips = sum(map(len, elements))
    elements = [one for one in elements if len(one) == asked.batch]
    list(computed(fast, ((one, one) for one in elements[:2])))  # compiled
    with timed(found, "the network"):
        list(computed(fast, ((one, one) for one in elements)))
    out = folder / "features.npz"
    with timed(found, "all of it"):
        print(video_features.write(row.name, asked.videos, out, clips=asked.clips,
                                   batch=asked.batch))  # fmt: skip
    return found, clips


def main():
    asked = parse()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARLIB_CACHE"] = folder
        found, clips = measure(asked, Path(folder))
    print(f"{clips} clips, {os.cpu_count()} cores")
    for part, (clock, processor) in found.items():
        speed = f"{clock:7.1f} s  {clips / clock:7.1f} clips/s"
        print(f"{part:<28} {speed}   processor {processor:7.1f} s")


if __name__ == "__main__":
    main()
