"""C3D beside a small implementation of it in PyTorch, with Caffe's pools that round up."""

import parity
import pytest

from harlib import models
from harlib.models import c3d

torch = pytest.importorskip("torch")
nn = torch.nn

SCALED = tuple(mean / 255 for mean in (114.7748, 107.7354, 99.4750)), 64 / 255
# The names of the convolutions in the PyTorch ports of its files, a row a stage.
CONVOLUTIONS = (["conv1"], ["conv2"], ["conv3a", "conv3b"], ["conv4a", "conv4b"],
                ["conv5a", "conv5b"])  # fmt: skip


class C3D(nn.Module):
    def __init__(self, features, width=1.0, dense=4096, classes=5):
        super().__init__()
        channels = 3
        for names, filters in zip(CONVOLUTIONS, c3d.STAGES, strict=True):
            for name, count in zip(names, filters, strict=True):
                count = int(count * width)
                self.add_module(name, nn.Conv3d(channels, count, 3, padding=1))
                channels = count
        self.fc6 = nn.Linear(features * channels, dense)
        self.fc7, self.fc8 = nn.Linear(dense, dense), nn.Linear(dense, classes)

    def forward(self, x):
        for stage, names in enumerate(CONVOLUTIONS):
            for name in names:
                x = getattr(self, name)(x).relu()
            window = (2, 2, 2) if stage else (1, 2, 2)
            x = nn.functional.max_pool3d(x, window, window, ceil_mode=True)
        x = self.fc7(self.fc6(x.flatten(1)).relu()).relu()
        return self.fc8(x)


def check(original, clip, same, tmp_path, **options):
    model = models.build(
        "c3d", 5, frames=clip[0], size=clip[1], dropout=0.0, classifier_activation=None, **options
    )
    found = parity.check(
        model, parity.scramble(original), *SCALED, tmp_path,
        first="conv1.weight", last="fc8.weight",
    )  # fmt: skip
    same("c3d", found)


def test_c3d(same, tmp_path):
    original = C3D(1 * 2 * 3, width=1 / 8, dense=32)
    check(original, (9, (48, 80)), same, tmp_path, width=1 / 8, dense=32)


@pytest.mark.soak
def test_c3d_at_full_size(same, tmp_path):
    check(C3D(1 * 4 * 4), (16, 112), same, tmp_path)
