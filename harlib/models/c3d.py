"""C3D: eight 3x3x3 convolutions and three dense layers; plain, and with batch norm."""

import keras
from keras import layers as kl

from harlib.models.blocks import clips_input, scaled
from harlib.models.layers import BatchNorm, Conv3D, classifier

# Filters of the convolutions of the five stages. Reference: Tran et al., figure 3.
STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def c3d(
    classes: int,
    *,
    frames: int = 16,
    size: int | tuple[int, int] = 112,
    classifier_activation: str | None = "softmax",
    width: float = 1.0,
    dense: int = 4096,
    dropout: float = 0.5,
    batch_norm: bool = False,
    preprocessing: str = "scaled",
    name: str = "c3d",
) -> keras.Model:
    """C3D on uint8 clips `(batch, frames, height, width, 3)`; scores `(batch, classes)`.

    Args:
        size: pixels, or `(height, width)`.
        width: factor on the convolutions' filters, rounded to a multiple of 8.
        dense: units of fc6 and fc7.
        batch_norm: VMZ's variant: batch norm instead of biases, and pools round down; the plain
            network's pools round up at the end, as Caffe's, in which it was trained.
        preprocessing: "scaled" from scratch, or "residual" (what changes from frame to frame);
            "c3d_port" for the published PyTorch weights.

    Reference:
        Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015;
        with batch norm: github.com/facebookresearch/VMZ.
    """
    clips, x = clips_input(frames, size, preprocessing)
    for stage, filters in enumerate(STAGES, 1):
        for number, count in enumerate(filters, 1):
            x = _convolution(x, scaled(count, width), batch_norm, f"stage{stage}", number)
        x = _pool(x, (1, 2, 2) if stage == 1 else (2, 2, 2), batch_norm, f"stage{stage}_pool")
    x = kl.Flatten(name="head_flatten")(x)
    for fc in ("fc6", "fc7"):
        x = kl.Dense(dense, kernel_initializer="he_normal", name=f"head_{fc}")(x)
        x = kl.ReLU(name=f"head_{fc}_relu")(x)
        x = kl.Dropout(dropout, name=f"head_{fc}_dropout")(x)
    scores = classifier(
        classes, classifier_activation, kernel_initializer=keras.initializers.RandomNormal(0, 0.01)
    )(x)
    return keras.Model(clips, scores, name=name)


def _convolution(
    x: keras.KerasTensor, filters: int, batch_norm: bool, stage: str, number: int
) -> keras.KerasTensor:
    x = Conv3D(
        filters,
        3,
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        name=f"{stage}_conv{number}",
    )(x)
    if batch_norm:
        x = BatchNorm(epsilon=1e-3, name=f"{stage}_bn{number}")(x)
    return kl.ReLU(name=f"{stage}_relu{number}")(x)


def _pool(
    x: keras.KerasTensor, window: tuple[int, int, int], round_down: bool, name: str
) -> keras.KerasTensor:
    # "same" pads only at the end here (window = stride), which is Caffe's rounding up.
    padding = "same"
    if round_down:
        window = tuple(min(k, n) for k, n in zip(window, x.shape[1:4], strict=True))
        padding = "valid"
    return kl.MaxPooling3D(window, window, padding=padding, name=name)(x)
