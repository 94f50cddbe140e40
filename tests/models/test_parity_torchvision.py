"""torchvision's video networks: the same weights give the same numbers here."""

import parity
import pytest

from harlib import models
from harlib.models import mvit

# torchvision's transforms
KINETICS = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
TRANSFORMERS = 0.45, 0.225
RESNETS = {"r3d_18": {"stem": "tran"}, "mc3_18": {}, "r2plus1d_18": {}}


@pytest.fixture(scope="module")
def video():
    return parity.import_torchvision()


def logits(name, **options):
    return models.build(name, 5, classifier_activation=None, **options)


@pytest.mark.parametrize("clip", [(7, (32, 40))])
@pytest.mark.parametrize("name", RESNETS)
def test_resnets(name, clip, video, tmp_path):
    """Full width: the originals have no other. Small clips instead."""
    original = parity.scramble(getattr(video, name)(num_classes=5))
    model = logits(name, frames=clip[0], size=clip[1], **RESNETS[name])
    found = parity.check(
        model, original, *KINETICS, tmp_path, first="stem.0.weight", last="fc.weight"
    )
    parity.assert_same(found, f"{name} {clip}")


@pytest.mark.parametrize("clip", [(14, (224, 256))])
def test_s3d(clip, video, tmp_path):
    original = parity.scramble(video.s3d(num_classes=5, dropout=0.0))
    model = logits("s3d", frames=clip[0], size=clip[1])
    found = parity.check(
        model, original, *KINETICS, tmp_path,
        first="features.0.0.0.weight", last="classifier.1.weight",
    )  # fmt: skip
    parity.assert_same(found, f"s3d {clip}")


@pytest.mark.parametrize("clip", [(4, (32, 48)), (8, 32)])
def test_mvit(clip, video, tmp_path, monkeypatch):
    """One block a stage, 8 channels a head."""
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
    parity.assert_same(found, f"mvit_v2_s {clip}")
