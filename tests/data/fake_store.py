"""A clip store in memory whose pixels tell where they come from."""

import numpy as np
import pandas as pd


class FakeStore:
    """`lengths` are frames per video; red is the video's row, green the frame, blue the column."""

    def __init__(self, lengths, *, categories=3, split="train", height=16, width=20, broken=()):
        rows = np.arange(len(lengths))
        self.categories = [f"category {i}" for i in range(categories)]
        self.height, self.width, self.broken = height, width, broken
        self.reads = []
        self.videos = pd.DataFrame(
            {
                "video_id": [f"video_{row}" for row in rows],
                "category": [self.categories[row % categories] for row in rows],
                "label": rows % categories,
                "split": split,
                "group": [f"group_{row}" for row in rows],
                "frames": lengths,
                "height": height,
                "width": width,
                "fps": 30.0,
            }
        )

    def rows(self, split):
        return np.flatnonzero(self.videos["split"] == split)

    def read(self, index, frames):
        if index in self.broken:
            raise OSError("12 bytes missing")
        self.reads.append(index)
        assert min(frames) >= 0 and max(frames) < self.videos["frames"][index]
        clip = np.empty((len(frames), self.height, self.width, 3), np.uint8)
        clip[..., 0] = index
        clip[..., 1] = np.asarray(frames)[:, None, None]
        clip[..., 2] = np.arange(self.width)
        return clip
