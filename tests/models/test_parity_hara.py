"""The 3D ResNets and ResNeXt of Hara et al. beside a small implementation of them in PyTorch.

There is no package of the original (kenshohara/3D-ResNets-PyTorch); that this is the same network
is told by the names and shapes of the arrays in its files.
"""

import parity
import pytest

from harlib import models
from harlib.models import resnet3d, resnext3d
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
    ("resnext3d_101", "B"): {
        "layer1.0.conv1.weight": (128, 64, 1, 1, 1),
        "layer1.0.conv2.weight": (128, 4, 3, 3, 3),
        "layer1.0.conv3.weight": (256, 128, 1, 1, 1),
        "layer3.22.bn2.running_mean": (512,),
        "layer4.0.downsample.0.weight": (2048, 1024, 1, 1, 1),
        "fc.weight": (400, 2048),
    },
}


class Block(nn.Module):
    """Two 3x3x3 convolutions, or 1x1x1, 3x3x3 in groups, 1x1x1, beside a shortcut."""

    def __init__(self, channels, filters, out, stride, shortcut, groups):
        super().__init__()
        kernels = (1, 3, 1) if out > filters else (3, 3)
        steps = (1, stride, 1) if out > filters else (stride, 1)
        widths = (channels, *[filters] * (len(kernels) - 1), out)
        self.depth, self.pad, self.stride = len(kernels), None, stride
        for n, (kernel, step) in enumerate(zip(kernels, steps, strict=True), 1):
            convolution = nn.Conv3d(
                widths[n - 1], widths[n], kernel, step, kernel // 2, bias=False,
                groups=groups if kernel == 3 else 1,
            )  # fmt: skip
            self.add_module(f"conv{n}", convolution)
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
    def __init__(self, blocks, width, classes, *, expansion, shortcut, groups=1):
        super().__init__()
        channels = width
        self.conv1 = nn.Conv3d(3, width, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        for stage, count in enumerate(blocks, 1):
            filters, row = width * 2 ** (stage - (groups == 1)), []
            for number in range(count):
                stride = 2 if stage > 1 and number == 0 else 1
                out = expansion * filters
                row.append(Block(channels, filters, out, stride, shortcut, groups))
                channels = out
            self.add_module(f"layer{stage}", nn.Sequential(*row))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = nn.functional.max_pool3d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))


# Blocks by depth, and what the original's constructor takes.
KINDS = {
    "r3d_18": (resnet3d.BLOCKS, {"expansion": 1}),
    "r3d_34": (resnet3d.BLOCKS, {"expansion": 1}),
    "r3d_50": (resnet3d.BLOCKS, {"expansion": 4}),
    "resnext3d_101": (resnext3d.BLOCKS, {"expansion": 2, "groups": 32}),
}


@pytest.mark.parametrize("name, shortcut", SHAPES)
def test_the_implementation_has_the_arrays_of_the_files(name, shortcut):
    blocks, options = KINDS[name]
    with torch.device("meta"):
        original = ResNet(blocks[depth(name)], 64, 400, shortcut=shortcut, **options)
    theirs = {k: tuple(v.shape) for k, v in original.state_dict().items()}
    assert {key: theirs.get(key) for key in SHAPES[name, shortcut]} == SHAPES[name, shortcut]
    ours = checkpoints.parameters(models.build(name, 400, **ours_of(shortcut)))
    names = {name for name in theirs if not name.endswith("num_batches_tracked")}
    assert {one.name: one.shape for one in ours} == {name: theirs[name] for name in names}


def depth(name):
    return int(name.split("_")[1])


def ours_of(shortcut):
    """Our options; the ResNeXt has shortcut B alone, which is the ResNets' default."""
    return {"shortcut": "A"} if shortcut == "A" else {}


NETWORKS = [
    ("r3d_18", "A", "hara", (8, (32, 40))),
    ("r3d_34", "A", "hara", (5, 33)),
    ("r3d_50", "B", "hara_2020", (7, (40, 32))),
    ("resnext3d_101", "B", "hara", (8, (40, 32))),
]


@pytest.mark.parametrize(("name", "shortcut", "release", "clip"), NETWORKS)
def test_resnets(name, shortcut, release, clip, same, tmp_path, monkeypatch):
    """One or two blocks a stage, 8 filters in the first, or 16 in 4 groups."""
    blocks, options = KINDS[name]
    monkeypatch.setitem(blocks, depth(name), (2, 1, 1, 1))
    groups = {"groups": 4} if "groups" in options else {}
    original = ResNet((2, 1, 1, 1), 8, 5, shortcut=shortcut, **options | groups)
    cardinality = {"cardinality": 4} if groups else {}
    check(name, shortcut, release, clip, original, same, tmp_path, width=1 / 8, **cardinality)


@pytest.mark.soak
@pytest.mark.parametrize(("name", "shortcut", "release", "_"), NETWORKS)
def test_resnets_at_full_size(name, shortcut, release, _, same, tmp_path):
    blocks, options = KINDS[name]
    original = ResNet(blocks[depth(name)], 64, 5, shortcut=shortcut, **options)
    check(name, shortcut, release, (16, 112), original, same, tmp_path)


def check(name, shortcut, release, clip, original, same, tmp_path, **options):
    model = models.build(
        name, 5, frames=clip[0], size=clip[1], preprocessing=release, classifier_activation=None,
        **ours_of(shortcut), **options,
    )  # fmt: skip
    found = parity.check(
        model, parity.scramble(original), *RELEASES[release], tmp_path,
        first="conv1.weight", last="fc.weight",
    )  # fmt: skip
    same("r3d_18, shortcut A" if name == "r3d_18" else name, found)
