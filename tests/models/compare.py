"""A layer's results and gradients, and how far two of them lie apart (TensorFlow)."""

import numpy as np
import tensorflow as tf


def error(got, wanted):
    got, wanted = np.asarray(got, "float64"), np.asarray(wanted, "float64")
    return np.abs(got - wanted).max() / np.abs(wanted).max()


def gradients(layer, x, seed=1):
    """Output and gradients to input and kernel, of a weighted sum of the output."""
    x = tf.cast(x, layer.compute_dtype)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(x, training=True), "float32")
        weights = np.random.default_rng(seed).standard_normal(y.shape).astype("float32")
        return y, *tape.gradient(y, [x, layer.trainable_variables[0]], output_gradients=weights)

    return step
