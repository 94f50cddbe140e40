"""3D ResNeXt-101 and C3D in PyTorch, as peers to measure against: written from the papers.

Layers, names and counts are the published ones (48,340,816 parameters at 400 classes and
79,991,015 at 487), so that weights of the originals load with `load_state_dict`.
`python benchmarks/torch_reference.py` prints the counts; `har bench train` measures.
"""

import sys
import types

import torch
from torch import nn
from torch.nn import functional

MEAN = (114.7748, 107.7354, 99.4750)
BLOCKS = (3, 4, 23, 3)
PYTORCHVIDEO = (
    "x3d_xs", "x3d_s", "x3d_m", "slow_r50", "c2d_r50", "i3d_r50", "slowfast_r50"
)  # fmt: skip
TORCHVISION = ("mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t")


class Bottleneck(nn.Module):
    """1x1x1, grouped 3x3x3 with the stride, 1x1x1 to twice the middle; shortcut B."""

    def __init__(self, channels, middle, stride, cardinality):
        super().__init__()
        out = 2 * middle
        self.conv1 = nn.Conv3d(channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(middle)
        self.conv2 = nn.Conv3d(middle, middle, 3, stride, padding=1, groups=cardinality, bias=False)
        self.bn2 = nn.BatchNorm3d(middle)
        self.conv3 = nn.Conv3d(middle, out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv3d(channels, out, 1, stride, bias=False), nn.BatchNorm3d(out)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNeXt3D(nn.Module):
    """`(batch, 3, frames, height, width)` to logits. Reference: Hara et al., CVPR 2018."""

    def __init__(self, classes=400, cardinality=32):
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 7, (1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, 2, padding=1)
        channels = 64
        for stage, blocks in enumerate(BLOCKS, 1):
            middle = 64 * 2**stage
            layer = []
            for block in range(blocks):
                stride = 2 if block == 0 and stage > 1 else 1
                layer.append(Bottleneck(channels, middle, stride, cardinality))
                channels = 2 * middle
            setattr(self, f"layer{stage}", nn.Sequential(*layer))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class C3D(nn.Module):
    """`(batch, 3, 16, 112, 112)` to logits. Reference: Tran et al., ICCV 2015."""

    def __init__(self, classes=487, dropout=0.5, size=(16, 112, 112)):
        super().__init__()
        channels, features = 3, []
        for stage, filters in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512)), 1):
            for number, count in enumerate(filters):
                name = f"conv{stage}" + ("ab"[number] if stage > 2 else "")
                setattr(self, name, nn.Conv3d(channels, count, 3, padding=1))
                features.append(name)
                channels = count
            window = (1, 2, 2) if stage == 1 else (2, 2, 2)
            # Rounding up is Caffe's; where the size is even it changes nothing.
            setattr(self, f"pool{stage}", nn.MaxPool3d(window, window, ceil_mode=True))
            features.append(f"pool{stage}")
            size = tuple(-(-n // k) for n, k in zip(size, window, strict=True))
        self.features = features
        self.fc6 = nn.Linear(channels * size[0] * size[1] * size[2], 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout(dropout)

    def forward(self, x):
        for name in self.features:
            x = getattr(self, name)(x)
            if name.startswith("conv"):
                x = self.relu(x)
        x = self.dropout(self.relu(self.fc6(x.flatten(1))))
        return self.fc8(self.dropout(self.relu(self.fc7(x))))


def build(name, classes, frames=16, size=112):
    """The network of that name in harlib, or None where there is none here.

    PyTorchVideo's networks are its own, where it is installed; all but X3D fit clips of the
    published size alone. So are torchvision's, of which the transformers fit those alone.
    """
    if name in PYTORCHVIDEO:
        return _pytorchvideo(name, classes, frames, size)
    if name in TORCHVISION:
        return _torchvision(name, classes)
    if name == "resnext3d_101":
        return ResNeXt3D(classes)
    return C3D(classes, size=(frames, size, size)) if name == "c3d" else None


def _torchvision(name, classes):
    try:
        import torchvision
    except ModuleNotFoundError:
        return None
    except RuntimeError:
        # built for CUDA, beside a PyTorch without: its compiled operators are missing, whose names
        # it asks for; these networks use none
        names = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool",
                         "deform_conv2d"):  # fmt: skip
            for full in (operator, f"_{operator}_backward"):
                names.define(f"{full}(Tensor x) -> Tensor")
        _torchvision.names = names  # they last as long as this object
        import torchvision
    return getattr(torchvision.models.video, name)(weights=None, num_classes=classes)


def _pytorchvideo(name, classes, frames, size):
    # It imports one layer of torchvision, for detection, and these networks use none.
    stubs = {"torchvision": types.ModuleType("torchvision")}
    stubs["torchvision.ops"] = types.SimpleNamespace(RoIAlign=None)
    missing = {key: stub for key, stub in stubs.items() if key not in sys.modules}
    sys.modules.update(missing)
    try:
        from pytorchvideo.models import hub, x3d
    except ModuleNotFoundError:
        return None
    finally:
        for key in missing:
            del sys.modules[key]
    if not name.startswith("x3d"):
        network = getattr(hub, name)(model_num_class=classes)
        return BothPathways(network) if name == "slowfast_r50" else network
    network = x3d.create_x3d(
        input_clip_length=frames,
        input_crop_size=size,
        model_num_class=classes,
        head_activation=None,
    )
    for module in network.modules():
        if type(module).__name__ == "Swish":
            # the same; the original's gradient asks for what PyTorch no longer has
            module.forward = functional.silu
    return network


class BothPathways(nn.Module):
    """SlowFast on one clip: every 4th frame for the slow pathway."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        frames = x.shape[2]
        taken = torch.linspace(0, frames - 1, frames // 4).long().to(x.device)
        return self.network([x.index_select(2, taken), x])


if __name__ == "__main__":
    for network in (ResNeXt3D(400), C3D(487)):
        print(type(network).__name__, sum(p.numel() for p in network.parameters()))
