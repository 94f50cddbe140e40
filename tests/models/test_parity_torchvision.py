"""torchvision's video networks: the same weights give the same numbers here."""

import parity
import pytest

from harlib import models
from harlib.models import mvit, resnet3d, s3d, swin3d

# torchvision's transforms
KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
TRANSFORMERS = 0.45, 0.225
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# our options; makers of the originals' convolutions by stage, and their stem
RESNETS = {
    "r3d_18": ({"stem": "tran"}, ["Conv3DSimple"] * 4, "BasicStem"),
    "mc3_18": ({}, ["Conv3DSimple"] + ["Conv3DNoTemporal"] * 3, "BasicStem"),
    "r2plus1d_18": ({}, ["Conv2Plus1D"] * 4, "R2Plus1dStem"),
}


@pytest.fixture(scope="module")
def video():
    return parity.import_torchvision()


def logits(name, **options):
    return models.build(name, 5, classifier_activation=None, **options)


def check_resnet(name, original, clip, tmp_path, same):
    model = logits(name, frames=clip[0], size=clip[1], **RESNETS[name][0])
    found = parity.check(
        model, parity.scramble(original), *KINETICS, tmp_path,
        first="stem.0.weight", last="fc.weight",
    )  # fmt: skip
    same(name, found)


@pytest.mark.parametrize("clip", [(5, (24, 32))])
@pytest.mark.parametrize(
    "name", [pytest.param("r3d_18", marks=pytest.mark.soak), "mc3_18", "r2plus1d_18"]
)
def test_resnets(name, clip, video, tmp_path, monkeypatch, same):
    """One block a stage; the originals have one width alone, which is slow: r3d_18 is MC3's."""
    monkeypatch.setitem(resnet3d.BLOCKS, 18, (1, 1, 1, 1))
    _, makers, stem = RESNETS[name]
    parts = video.resnet
    original = parts.VideoResNet(
        parts.BasicBlock, [getattr(parts, maker) for maker in makers], [1] * 4,
        getattr(parts, stem), num_classes=5,
    )  # fmt: skip
    check_resnet(name, original, clip, tmp_path, same)


@pytest.mark.soak
@pytest.mark.parametrize("clip", [(16, 112), (9, (64, 80))])
@pytest.mark.parametrize("name", RESNETS)
def test_resnets_at_full_size(name, clip, video, tmp_path, same):
    check_resnet(name, getattr(video, name)(num_classes=5), clip, tmp_path, same)


def check_s3d(original, clip, tmp_path, same):
    model = logits("s3d", frames=clip[0], size=clip[1])
    found = parity.check(
        model, parity.scramble(original), *KINETICS, tmp_path,
        first="features.0.0.0.weight", last="classifier.1.weight",
    )  # fmt: skip
    same("s3d", found)


def test_s3d(video, tmp_path, monkeypatch, same):
    """A smaller window of the head, so that a small clip has two."""
    original = video.s3d(num_classes=5, dropout=0.0)
    original.avgpool.kernel_size = (1, 2, 2)
    monkeypatch.setattr(s3d, "HEAD_POOL", (1, 2, 2))
    check_s3d(original, (8, (64, 96)), tmp_path, same)


@pytest.mark.soak
@pytest.mark.parametrize("clip", [(16, 224), (30, (224, 256))])
def test_s3d_at_full_size(clip, video, tmp_path, same):
    check_s3d(video.s3d(num_classes=5, dropout=0.0), clip, tmp_path, same)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "frames", "first", "last", "transform", "options"),
    [
        ("mvit_v2_s", 16, "conv_proj.weight", "head.1.weight", TRANSFORMERS, {"dropout": 0.0}),
        ("swin3d_t", 32, "patch_embed.proj.weight", "head.weight", IMAGENET, {}),
    ],
)
def test_transformers_at_full_size(
    name, frames, first, last, transform, options, video, tmp_path, same
):
    original = getattr(video, name)(num_classes=5, **options)
    for part in original.modules():  # not every maker takes the probability
        if type(part).__name__ == "StochasticDepth":
            part.p = 0.0
    found = parity.check(
        logits(name, frames=frames, size=224), parity.scramble(original), *transform, tmp_path,
        first=first, last=last,
        trains=frames < 32,  # Swin's take more than 22 GB; `test_swin` has a narrow one's
    )  # fmt: skip
    same(name, found)


@pytest.mark.parametrize("clip", [(4, (32, 48)), (8, 32)])
def test_mvit(clip, video, tmp_path, monkeypatch, same):
    """One block per stage, 8 channels per head."""
    monkeypatch.setattr(mvit, "BLOCKS", (1, 1, 1, 1))
    frames, size = clip
    setting = [
        video.mvit.MSBlockConfig(
            num_heads=2**i, input_channels=max(8, 8 * 2 ** (i - 1)), output_channels=8 * 2**i,
            kernel_q=[3] * 3, kernel_kv=[3] * 3,
            stride_q=[1, 2, 2] if i else [1, 1, 1], stride_kv=[1, 8 // 2**i, 8 // 2**i],
        )
        for i in range(4)
    ]  # fmt: skip
    spatial = (size, size) if isinstance(size, int) else size
    original = video.mvit.MViT(
        spatial_size=spatial, temporal_size=frames, block_setting=setting,
        residual_pool=True, residual_with_cls_embed=False, rel_pos_embed=True,
        proj_after_attn=True, dropout=0.0, num_classes=5,
    )  # fmt: skip
    model = logits("mvit_v2_s", frames=frames, size=size, width=1 / 12)
    found = parity.check(
        model, parity.scramble(original), *TRANSFORMERS, tmp_path,
        first="conv_proj.weight", last="head.1.weight",
    )  # fmt: skip
    same("mvit_v2_s", found)


@pytest.mark.parametrize("clip", [(6, (32, 72)), (5, 33), (16, (64, 32))])
def test_swin(clip, video, tmp_path, monkeypatch, same):
    """Two blocks in two stages, 24 channels in 3 heads; windows that shift, and ones that do not.

    The windows are smaller, so that small clips have several.
    """
    monkeypatch.setattr(swin3d, "BLOCKS", (2, 2))
    monkeypatch.setattr(swin3d, "HEADS", (3, 6))
    monkeypatch.setattr(swin3d, "WINDOW", (2, 4, 4))
    original = video.swin_transformer.SwinTransformer3d(
        patch_size=[2, 4, 4], embed_dim=24, depths=[2, 2], num_heads=[3, 6],
        window_size=[2, 4, 4], stochastic_depth_prob=0.0, num_classes=5,
    )  # fmt: skip
    model = logits("swin3d_t", frames=clip[0], size=clip[1], width=1 / 4)
    found = parity.check(
        model, parity.scramble(original), *IMAGENET, tmp_path,
        first="patch_embed.proj.weight", last="head.weight",
    )  # fmt: skip
    same("swin3d_t", found)
