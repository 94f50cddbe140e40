"""Scores of a real, tiny network over a real, tiny clip store."""

import numpy as np
import pandas as pd
import pytest

from harlib.data import sampling
from harlib.data.catalog import Catalog
from harlib.data.prepare import prepare
from harlib.data.store import ClipStore
from harlib.data.video import encode
from harlib.evaluation import metrics
from harlib.evaluation.score import Scores, score


@pytest.fixture(scope="module")
def listed_and_store(tmp_path_factory):
    """Nine videos of two categories, dark and bright; one of them is no video."""
    root = tmp_path_factory.mktemp("store")
    rows = []
    for number in range(9):
        category = ("bright", "dark")[number % 2]
        path = root / f"v{number}.mp4"
        level = 200 if category == "bright" else 40
        clip = np.full((6 + number, 32, 48, 3), level + number, np.uint8)
        if number == 8:
            path.write_bytes(b"no video")
        else:
            encode(path, clip, 10.0)
        rows.append((f"v{number}", str(path), category, "val", f"g{number}", np.nan, np.nan))
    columns = ["video_id", "path", "category", "split", "group", "start_s", "end_s"]
    catalog = Catalog(pd.DataFrame(rows, columns=columns), "tiny")
    prepare(catalog, root / "store", codec="raw", size=32, workers=1, progress=False)
    return catalog, ClipStore(root / "store")


def test_views_of_a_store(listed_and_store, tmp_path):
    import keras

    catalog, store = listed_and_store
    clips = keras.Input((4, 16, 16, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(clips)
    x = keras.layers.GlobalAveragePooling3D()(x)
    outputs = keras.layers.Dense(2, activation="softmax", use_bias=False)(x)
    model = keras.Model(clips, outputs)
    model.set_weights([np.array([[1.0, -1.0]] * 3)])  # bright pixels for the first category
    options = dict(split="val", frames=4, size=16, clips=3, crops=3, progress=False)
    scores = score(model, store, batch=5, listed=catalog.frame, run_dir=tmp_path, **options)
    assert scores.view_scores.shape == (8, 9, 2)
    assert scores.categories.tolist() == ["bright", "dark"]
    assert scores.missing_id.tolist() == ["v8"]
    assert metrics.top_k(scores) == 8 / 9  # eight are easy, the ninth could not be read
    assert metrics.summary(scores)["clip"]["n"] == 72
    expected = scores.view_scores.astype(np.float32).mean(axis=1)
    np.testing.assert_allclose(scores.video_scores, expected, atol=1e-3)
    again = score(model, store, batch=72, **options)
    np.testing.assert_allclose(again.video_scores, scores.video_scores, atol=1e-5)
    np.testing.assert_array_equal(Scores.load(tmp_path).video_scores, scores.video_scores)


def test_windows_give_longer_videos_more_views(listed_and_store):
    class Uniform:
        def predict_on_batch(self, clips):
            return np.full((len(clips), 2), 0.5)

    _, store = listed_and_store
    scores = score(
        Uniform(), store, split="val", frames=4, size=16, clips="windows", batch=4, progress=False
    )
    views = (~np.isnan(scores.view_scores[..., 0])).sum(axis=1)
    lengths = store.videos["frames"].to_numpy()
    assert views.tolist() == [len(sampling.windows(length, 4, 1)) for length in lengths]
    assert len(set(views)) > 1
