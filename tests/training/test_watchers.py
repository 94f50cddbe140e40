"""TensorBoard's logs and the live curves."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny_training import EPOCHS, Batches, run, tiny_model

from harlib.training import watchers


def scalars(folder):
    """{tag: {step: value}} of all event files, and the number of values."""
    import tensorflow as tf

    found, count = {}, 0
    for path in sorted(folder.glob("events*")):
        for record in tf.compat.v1.train.summary_iterator(str(path)):
            for value in record.summary.value:
                number = float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, {})[record.step] = number
                count += 1
    return found, count


def test_tensorboard_holds_the_history_of_a_resumed_run_once(tmp_path):
    class Broken(Batches):
        def __getitem__(self, i):
            if i == 12:
                raise OSError("disk gone")
            return super().__getitem__(i)

    logs = tmp_path / "logs"
    with pytest.raises(OSError):
        run(tmp_path, Broken(), watchers=[watchers.TensorBoard(logs)])
    history = run(tmp_path, model=tiny_model(5), watchers=[watchers.TensorBoard(logs)])
    found, count = scalars(logs)
    columns = [name for name in history.columns if name != "epoch"]
    assert sorted(found) == sorted(columns) and count == EPOCHS * len(columns)
    for name in columns:
        assert list(found[name]) == list(history.epoch)
        assert list(found[name].values()) == pytest.approx(list(history[name]), rel=1e-6)


@pytest.mark.quick
def test_tensorboard_is_refused_on_another_backend(monkeypatch, tmp_path):
    monkeypatch.setattr(watchers.keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="this is jax: leave tensorboard out"):
        watchers.TensorBoard(tmp_path)


@pytest.mark.quick
def test_live_curves_grow_in_one_place_and_vanish(monkeypatch):
    shown, updates = [], []

    def display(content, raw, display_id):
        shown.append(content)
        return SimpleNamespace(update=lambda content, raw: updates.append(content))

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    curves = watchers.LiveCurves(lambda history: bytes([len(history)]), epochs=4)
    for epoch in range(1, 5):
        curves(pd.DataFrame({"epoch": range(1, epoch + 1)}))
    assert [content["image/png"] for content in (*shown, *updates[:-1])] == ["Ag==", "Aw=="]
    assert updates[-1] == {"text/plain": ""}, "the notebook would keep a picture"
