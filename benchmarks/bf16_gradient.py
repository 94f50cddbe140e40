"""The wrong bfloat16 kernel gradient of TensorFlow 2.21 with oneDNN, and that harlib avoids it.

    python benchmarks/bf16_gradient.py [CALLS]

Compares the kernel gradient of a 3x3x3 convolution in bfloat16 with the float32 one, over many
calls, as the errors differ from call to call: with Keras' `padding="same"`, and with
`harlib.models.layers.Conv3D`. An error of a few thousandths is bfloat16's rounding; with "same" and
2 <= frames < kernel frames it is of the order of 1, or NaN. Where it is not (another version of
TensorFlow, another CPU), the last line says so.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from harlib.models.layers import Conv3D  # noqa: E402

# frames, height, width, channels; the last two are conv5 of C3D and stage 3 of ResNeXt-101.
SHAPES = [(4, 7, 7, 64), (3, 7, 7, 64), (2, 14, 14, 32), (2, 7, 7, 128), (2, 7, 7, 512)]
# bfloat16 keeps 8 bits; sums over many positions stay well below this.
WRONG = 0.05


def stock(filters, **options):
    return keras.layers.Conv3D(filters, 3, padding="same", use_bias=False, **options)


def padded(filters, **options):
    return Conv3D(filters, 3, **options)


def kernel_gradient(layer, clips, upstream):
    """A function that computes the gradient once more."""
    clips = tf.cast(clips, layer.compute_dtype)

    @tf.function(autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            scores = tf.cast(layer(clips), "float32")
        return tape.gradient(scores, layer.kernel.value, output_gradients=upstream)

    return lambda: tf.cast(gradient(), "float32").numpy()


def errors(make, shape, calls):
    """Relative errors of `calls` bfloat16 gradients of a batch of two; infinity for NaN."""
    rng = np.random.default_rng(0)
    clips = rng.standard_normal((2, *shape)).astype("float32")
    upstream = rng.standard_normal((2, *shape)).astype("float32")
    exact, half = make(shape[-1]), make(shape[-1], dtype="mixed_bfloat16")
    for layer in (exact, half):
        layer.build(clips.shape)
    half.kernel.assign(exact.kernel)
    wanted = kernel_gradient(exact, clips, upstream)()
    again = kernel_gradient(half, clips, upstream)
    found = [np.linalg.norm(again() - wanted) / np.linalg.norm(wanted) for _ in range(calls)]
    return np.nan_to_num(found, nan=np.inf)


def main(calls):
    """Print the table; returns whether stock Keras went wrong and harlib did not."""
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {calls} calls a line")
    print(f"{'frames x height x width x channels':<36} {'layer':<20} {'worst':>8} {'wrong':>6}")
    wrong = {"keras same": 0, "harlib Conv3D": 0}
    for shape in SHAPES:
        for name, make in (("keras same", stock), ("harlib Conv3D", padded)):
            found = errors(make, shape, calls)
            wrong[name] += int((found > WRONG).sum())
            text = " x ".join(map(str, shape))
            print(f"{text:<36} {name:<20} {found.max():>8.3g} {(found > WRONG).sum():>6}")
    if not wrong["keras same"]:
        print('not reproduced: Keras\' padding="same" is right with these versions on this CPU')
    print(f"wrong gradients: {wrong}")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if sys.argv[1:] else 12)["harlib Conv3D"]))
