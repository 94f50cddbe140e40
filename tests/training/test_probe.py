"""The linear probe: scikit-learn's answer, in a network's own classifier, chosen by groups."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harlib.training import probe

pytestmark = pytest.mark.quick


def blobs(classes, *, groups=6, views=4, features=5, noise=1.0, seed=0):
    """Views of `groups` groups a class, whose features are around the class's own point."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, features)) * 2
    labels = np.repeat(np.arange(classes), groups * views)
    names = np.array([f"g{number}" for number in np.arange(len(labels)) // views])
    return centres[labels] + noise * rng.normal(size=(len(labels), features)), labels, names


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_it_is_scikit_learns_classifier_on_standardised_features(classes, balanced):
    features, labels, groups = blobs(classes)
    features = features * [1, 10, 0.1, 1, 1] + 3  # of different sizes
    found = probe.fit(features, labels, groups, classes, balanced=balanced)
    whole = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=found.strength, max_iter=1000, class_weight="balanced" if balanced else None
        ),
    ).fit(features, labels)
    wanted = whole.predict_proba(features)
    got = softmax(features @ found.kernel.astype(float) + found.bias)
    np.testing.assert_allclose(got, wanted, atol=2e-3)
    assert found.kernel.dtype == found.bias.dtype == np.float32


def test_the_strength_is_that_of_the_least_cross_entropy_on_held_out_groups():
    # forty features, hardly apart: a strong penalty is better than none
    features, labels, groups = blobs(2, groups=12, views=1, features=40, noise=8.0)
    found = probe.fit(features, labels, groups, 2)
    best = found.tried["cross_entropy"].idxmin()
    assert found.tried["chosen"].tolist() == [row == best for row in range(len(found.tried))]
    assert found.strength == found.tried["C"][best] < 1.0
    assert found.tried["cross_entropy"].iloc[-1] > 1.2 * found.tried["cross_entropy"].min()


def test_views_of_a_group_are_never_on_both_sides():
    # each group has a mark of its own, and labels are random: who had seen it would know the label
    rng = np.random.default_rng(0)
    groups, views = 24, 6
    labels = np.repeat(np.arange(groups) % 2, views)
    marks = np.repeat(rng.normal(size=(groups, 200)), views, axis=0)
    found = probe.fit(marks, labels, np.repeat(np.arange(groups), views), 2)
    assert found.tried["accuracy"].max() < 0.75
    leaking = probe.fit(marks, labels, np.arange(len(labels)), 2)
    assert leaking.tried["accuracy"].max() > 0.95


def test_a_feature_that_never_changes_and_two_groups_are_enough():
    features, labels, groups = blobs(3, groups=2)
    features[:, 1] = 7.0
    found = probe.fit(features, labels, groups, 3)
    assert np.isfinite(found.kernel).all() and not found.kernel[1].any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f, y, g: (f * np.nan, y, g), "not finite"),
        (lambda f, y, g: (f, y, np.zeros(len(y), int)), "category 0 has training videos of one"),
        (lambda f, y, g: (f, np.zeros_like(y), g), "labels are 0 to 1, each at least once"),
        (lambda f, y, g: (f, y[:-1], g), "a label and a group per view"),
    ],
)
def test_what_cannot_be_probed_is_said(change, said):
    with pytest.raises(ValueError, match=said):
        probe.fit(*change(*blobs(2)), 2)
