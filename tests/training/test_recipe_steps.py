"""Each recipe's step rule against a NumPy reference written from its source."""

import keras
import numpy as np
import pytest

from harlib.training import recipes

FEATURES, CLASSES, BATCH = 5, 3, 8

pytestmark = pytest.mark.quick


def build(name, epochs=20, steps=10, **overrides):
    return recipes.build(name, steps_per_epoch=steps, epochs=epochs, **overrides)


def linear(recipe):
    """Batch norm and a softmax layer, compiled; batch norm's gamma and beta are not kernels."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((FEATURES,))
    outputs = keras.layers.Dense(CLASSES, "softmax", name="out")(inputs)
    model = keras.Model(inputs, outputs)
    recipe.compile(model)
    return model


def data(step):
    rng = np.random.default_rng(step)
    x = rng.normal(size=(BATCH, FEATURES)).astype(np.float32)
    return x, rng.integers(0, CLASSES, BATCH)


def gradients(w, b, x, targets):
    """Of the mean cross-entropy of softmax(x w + b)."""
    logits = x @ w + b
    p = np.exp(logits - logits.max(1, keepdims=True))
    d = (p / p.sum(1, keepdims=True) - targets) / len(x)
    return [x.T @ d, d.sum(0)]


class Momentum:
    """Caffe's and tf.keras' SGD: velocity = momentum · velocity - lr · gradient."""

    def __init__(self):
        self.velocities = {}

    def __call__(self, i, w, g, lr):
        self.velocities[i] = 0.9 * self.velocities.get(i, 0) - lr * g
        return w + self.velocities[i]


class Dampened:
    """PyTorch's SGD: buffer = 0.9 · buffer + (1 - dampening) · gradient, here from buffer 0."""

    def __init__(self, dampening, weight_decay):
        self.dampening, self.decay, self.buffers = dampening, weight_decay, {}

    def __call__(self, i, w, g, lr):
        g = g + (self.decay * w if i == 0 else 0)  # 0 is the kernel, 1 the bias
        self.buffers[i] = 0.9 * self.buffers.get(i, 0) + (1 - self.dampening) * g
        return w - lr * self.buffers[i]


class Adam:
    """Kingma & Ba, algorithm 1 with its section 2's epsilon; decoupled decay of the kernel."""

    def __init__(self, weight_decay=0.0):
        self.decay, self.m, self.v, self.t = weight_decay, {}, {}, {}

    def __call__(self, i, w, g, lr):
        self.t[i] = t = self.t.get(i, 0) + 1
        self.m[i] = m = 0.9 * self.m.get(i, 0) + 0.1 * g
        self.v[i] = v = 0.999 * self.v.get(i, 0) + 0.001 * g**2
        if i == 0:
            w = w - lr * self.decay * w
        rate = lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return w - rate * m / (np.sqrt(v) + 1e-7)


def clip(grads, norm):
    total = np.sqrt(sum((g**2).sum() for g in grads))
    return [g * min(1, norm / total) for g in grads]


# name: (reference rule, its own rate at a step of 10 an epoch, 20 epochs, label smoothing, clip)
REFERENCES = {
    "study-adam": (Adam(), lambda t: 1e-4, 0, None),
    "study-sgd": (Momentum(), lambda t: 0.1 / (1 + 0.001 * t), 0, None),
    # The paper's own words: lr 0.1, dampening 0.9, weight decay 1e-3 on the kernel.
    "hara-sgd": (Dampened(0.9, 1e-3), lambda t: 0.1, 0, None),
    "tran-sgd": (Momentum(), lambda t: 0.003 * 0.1 ** (t // 50), 0, None),
    "modern": (
        Adam(weight_decay=0.05),
        lambda t: 1e-3 * ((t + 1) / 20 if t < 20 else (1 + np.cos(np.pi * (t - 20) / 180)) / 2),
        0.1,
        0.1,  # a tenth of the recipe's, so that these gradients are clipped
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_steps_equal_the_numpy_reference(name):
    rule, rate, smoothing, norm = REFERENCES[name]
    recipe = build(name, **({"clip_norm": norm} if norm else {}))
    model = linear(recipe)
    w, b = (np.float64(x) for x in model.get_weights())
    for step in (*range(12), 60, 61, 120, 199):
        x, labels = data(step)
        model.optimizer.learning_rate = recipe.lr_at(step)
        model.train_on_batch(x, recipe.targets(labels, CLASSES))
        hard = np.eye(CLASSES)[labels]
        grads = gradients(w, b, x, hard * (1 - smoothing) + smoothing / CLASSES)
        if norm:
            assert np.sqrt(sum((g**2).sum() for g in grads)) > norm
            grads = clip(grads, norm)
        w, b = (
            rule(i, v, g, rate(step)) for i, (v, g) in enumerate(zip((w, b), grads, strict=True))
        )
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-4, atol=2e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("name", REFERENCES)
def test_rates_equal_the_reference(name):
    _, rate, _, _ = REFERENCES[name]
    factor = 0.1 if name == "hara-sgd" else 1  # dampening's equivalent
    recipe = build(name)
    rates = [recipe.lr_at(t) for t in range(200)]
    np.testing.assert_allclose(rates, [factor * rate(t) for t in range(200)], rtol=1e-12)


def test_published_rates_of_the_study_sgd():
    # 350,000 clips in batches of 80: 0.0186 after one epoch, 0.0005 after 48.
    recipe = build("study-sgd", epochs=60, steps=350_000 // 80, drop_epochs=[50])
    assert recipe.lr_at(4375) == pytest.approx(0.0186, abs=5e-5)
    assert recipe.lr_at(48 * 4375) == pytest.approx(0.0005, abs=5e-5)
    before, after = recipe.lr_at(50 * 4375 - 1), recipe.lr_at(50 * 4375)
    assert after == pytest.approx(0.1 * before, rel=1e-4)


def test_hara_feels_a_lower_rate_at_once_as_pytorch_does():
    rule = Dampened(0.9, 1e-3)
    recipe = build("hara-sgd")
    model, state, before = linear(recipe), recipe.start(), None
    w, b = (np.float64(x) for x in model.get_weights())
    for step in range(9):
        if step in (4, 7):  # the plateau rule's doing, after an epoch
            state["level"] += 1
        x, labels = data(step)
        lr = recipe.lr_at(step, state)
        recipe.set_rate(model.optimizer, lr, before)
        before = lr
        model.train_on_batch(x, recipe.targets(labels, CLASSES))
        grads = gradients(w, b, x, np.eye(CLASSES)[labels])
        rate = 0.1 * 0.1 ** state["level"]
        last = w
        w, b = (rule(i, v, g, rate) for i, (v, g) in enumerate(zip((w, b), grads, strict=True)))
        moved = np.abs(w - last).max()
        np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-5, atol=1e-3 * moved)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=2e-4, atol=2e-6)


def levels(recipe, values):
    """The level after each epoch."""
    state, taken = recipe.start(), []
    for value in values:
        state = recipe.after_epoch(state, {recipe.monitor: value})
        taken.append(state["level"])
    return taken


def test_study_adam_lowers_when_3_epochs_gained_under_1_percent():
    recipe = build("study-adam")
    # 2.0 -> 1.98 in three epochs is exactly 1 %: enough. 1.98 -> 1.97 is not; then the window
    # starts again, so the next level needs three more epochs. The last level stays.
    values = [2.0, 1.999, 1.998, 1.98, 1.5, 1.4, 1.4, 1.4, 1.39, 1.39, 1.39, 1.39, 1.39, 1.39, 1.39]
    expected = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert levels(recipe, values) == expected
    rates = [recipe.lr_at(0, {"level": x}) for x in range(3)]
    np.testing.assert_allclose(rates, [1e-4, 5e-5, 1e-5])


def test_hara_lowers_as_pytorch_does():
    recipe = build("hara-sgd", epochs=60, patience=3)
    rng = np.random.default_rng(0)
    values = np.concatenate([np.linspace(3, 2, 8), 2 + 0.1 * rng.random(40), [1.0], np.ones(11)])
    best, bad, level, expected = np.inf, 0, 0, []
    for value in values:  # torch.optim.lr_scheduler.ReduceLROnPlateau, threshold 1e-4 relative
        if value < best * (1 - 1e-4):
            best, bad = value, 0
        else:
            bad += 1
        if bad > 3:
            level, bad = level + 1, 0
        expected.append(min(level, 7))
    assert levels(recipe, values) == expected
    assert max(expected) == 7
    assert recipe.lr_at(0, {"level": 2}) == pytest.approx(1e-4)
    assert build("hara-sgd").patience == 10


def test_kernels_alone_are_decayed_and_penalised():
    inputs = keras.Input((4, FEATURES))
    x = keras.layers.Conv1D(6, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(x))
    build("hara-sgd").compile(model)
    kernels = [v for v in model.trainable_variables if v.regularizer is not None]
    assert [tuple(v.shape) for v in kernels] == [(3, FEATURES, 6), (6, CLASSES)]
    x, labels = np.zeros((2, 4, FEATURES), np.float32), np.eye(CLASSES)[:2]
    penalty = 5e-4 * sum((v.numpy() ** 2).sum() for v in kernels)
    logs = model.train_on_batch(x, labels, return_dict=True)
    assert logs["loss"] - logs["cross_entropy"] == pytest.approx(penalty, rel=1e-3)

    build("modern").compile(model)  # the second stage of a fine-tuning: no penalty is left over
    assert not model.losses
    before = {v.path: v.numpy() for v in model.trainable_variables}
    model.optimizer.learning_rate = 1.0
    zeros = [np.zeros(v.shape, np.float32) for v in model.trainable_variables]
    model.optimizer.apply([keras.ops.convert_to_tensor(z) for z in zeros])
    for v in model.trainable_variables:
        share = 0.95 if "kernel" in v.path else 1.0
        np.testing.assert_allclose(v.numpy(), share * before[v.path], rtol=1e-6, err_msg=v.path)


def test_accumulated_batches_equal_one_large_batch():
    options = {"lr": 0.1, "decay": 0.0}
    small, large = (
        linear(build("study-sgd", accumulate=2, **options)),
        linear(build("study-sgd", **options)),
    )
    recipe = build("study-sgd")
    for step in range(3):
        (x1, y1), (x2, y2) = data(2 * step), data(2 * step + 1)
        small.train_on_batch(x1, recipe.targets(y1, CLASSES))
        small.train_on_batch(x2, recipe.targets(y2, CLASSES))
        large.train_on_batch(
            np.concatenate([x1, x2]), recipe.targets(np.concatenate([y1, y2]), CLASSES)
        )
    for a, b in zip(small.get_weights(), large.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    # The time decay counts updates, as tf.keras' `iterations` did.
    assert build("study-sgd", accumulate=2).lr_at(7) == build("study-sgd").lr_at(3)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_average_of_the_weights(accumulate):
    recipe = build("study-sgd", ema=0.8, accumulate=accumulate)
    model = linear(recipe)
    average = None
    for step in range(8):
        x, labels = data(step)
        model.train_on_batch(x, recipe.targets(labels, CLASSES))
        kernel = model.get_weights()[0]
        # Each batch counts, whether it ends an update or not; the first update begins it.
        average = kernel if step < accumulate else 0.8 * average + 0.2 * kernel
    model.optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_allclose(model.get_weights()[0], average, rtol=1e-5)
