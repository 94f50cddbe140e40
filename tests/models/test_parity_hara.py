"""The 3D ResNets of Hara et al. beside a small implementation of them in PyTorch.

There is no package of the original (kenshohara/3D-ResNets-PyTorch); that this is the same network
is told by the names and shapes of the arrays in its files.
"""

import parity
import pytest

from harlib import models
from harlib.models import resnet3d
from harlib.models.weights import checkpoints

torch = pytest.importorskip("torch")
nn = torch.nn

# Means and deviations of a pixel in 0..1: of the release of 2018, which does not divide, and of
# the later one's `mean.py`.
RELEASES = {
    "hara": ((114.7748 / 255, 107.7354 / 255, 99.4750 / 255), 1 / 255),
    "hara_2020": ((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737)),
}
# Of the files at 400 classes.
SHAPES = {
    ("r3d_50", "B"): {
        "conv1.weight": (64, 3, 7, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.conv1.weight": (64, 64, 1, 1, 1),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1, 1),
        "layer1.0.downsample.1.running_var": (256,),
        "layer2.3.conv2.weight": (128, 128, 3, 3, 3),
        "layer3.5.conv3.weight": (1024, 256, 1, 1, 1),
        "layer4.2.bn3.bias": (2048,),
        "fc.weight": (400, 2048),
    },
    ("r3d_34", "A"): {
        "layer1.2.conv2.weight": (64, 64, 3, 3, 3),
        "layer2.0.conv1.weight": (128, 64, 3, 3, 3),
        "layer3.5.bn2.weight": (256,),
        "layer4.2.conv1.weight": (512, 512, 3, 3, 3),
        "fc.bias": (400,),
    },
}


class Block(nn.Module):
    """Two 3x3x3 convolutions, or 1x1x1, 3x3x3, 1x1x1, beside a shortcut."""

    def __init__(self, channels, filters, stride, deep, shortcut):
        super().__init__()
        out = 4 * filters if deep else filters
        kernels = (1, 3, 1) if deep else (3, 3)
        steps = (1, stride, 1) if deep else (stride, 1)
        widths = (channels, *[filters] * (len(kernels) - 1), out)
        self.depth, self.pad, self.stride = len(kernels), None, stride
        for n, (kernel, step) in enumerate(zip(kernels, steps, strict=True), 1):
            self.add_module(
                f"conv{n}",
                nn.Conv3d(widths[n - 1], widths[n], kernel, step, kernel // 2, bias=False),
            )
            self.add_module(f"bn{n}", nn.BatchNorm3d(widths[n]))
        if stride > 1 or channels != out:
            if shortcut == "A":
                self.pad = out - channels
            else:
                self.downsample = nn.Sequential(
                    nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out)
                )

    def forward(self, x):
        y = x
        for n in range(1, self.depth + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            y = y.relu() if n < self.depth else y
        if self.pad is not None:
            x = nn.functional.avg_pool3d(x, 1, self.stride)
            x = torch.cat([x, x.new_zeros(len(x), self.pad, *x.shape[2:])], dim=1)
        elif hasattr(self, "downsample"):
            x = self.downsample(x)
        return (x + y).relu()


class ResNet(nn.Module):
    def __init__(self, blocks, width, classes, *, deep, shortcut):
        super().__init__()
        channels = width
        self.conv1 = nn.Conv3d(3, width, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        for stage, count in enumerate(blocks, 1):
            filters, row = width * 2 ** (stage - 1), []
            for number in range(count):
                stride = 2 if stage > 1 and number == 0 else 1
                row.append(Block(channels, filters, stride, deep, shortcut))
                channels = 4 * filters if deep else filters
            self.add_module(f"layer{stage}", nn.Sequential(*row))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = nn.functional.max_pool3d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))


@pytest.mark.parametrize("name, shortcut", SHAPES)
def test_the_implementation_has_the_arrays_of_the_files(name, shortcut):
    depth = int(name.removeprefix("r3d_"))
    with torch.device("meta"):
        original = ResNet(resnet3d.BLOCKS[depth], 64, 400, deep=depth == 50, shortcut=shortcut)
    theirs = {k: tuple(v.shape) for k, v in original.state_dict().items()}
    assert {key: theirs.get(key) for key in SHAPES[name, shortcut]} == SHAPES[name, shortcut]
    ours = checkpoints.parameters(models.build(name, 400, shortcut=shortcut))
    names = {name for name in theirs if not name.endswith("num_batches_tracked")}
    assert {one.name: one.shape for one in ours} == {name: theirs[name] for name in names}


@pytest.mark.parametrize(
    ("name", "shortcut", "release", "clip"),
    [
        ("r3d_18", "A", "hara", (8, (32, 40))),
        ("r3d_34", "A", "hara", (5, 33)),
        ("r3d_50", "B", "hara_2020", (7, (40, 32))),
    ],
)
def test_resnets(name, shortcut, release, clip, tmp_path, monkeypatch):
    """One or two blocks a stage, 8 filters in the first."""
    depth = int(name.removeprefix("r3d_"))
    monkeypatch.setitem(resnet3d.BLOCKS, depth, (2, 1, 1, 1))
    original = ResNet(resnet3d.BLOCKS[depth], 8, 5, deep=depth == 50, shortcut=shortcut)
    model = models.build(
        name, 5, frames=clip[0], size=clip[1], width=1 / 8, shortcut=shortcut,
        preprocessing=release, classifier_activation=None,
    )  # fmt: skip
    found = parity.check(
        model, parity.scramble(original), *RELEASES[release], tmp_path,
        first="conv1.weight", last="fc.weight",
    )  # fmt: skip
    parity.assert_same(found, f"{name} {shortcut} {clip}")
