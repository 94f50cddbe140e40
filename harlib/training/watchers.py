"""Watching a training from elsewhere: TensorBoard's logs, and curves that grow in JupyterLab.

A watcher is called after every epoch with the history so far (the table that `fit.fit` returns).
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from harlib.training.stopping import Stopping


class TensorBoard:
    """Writes every epoch's row as scalars into `folder`, which ``tensorboard --logdir`` shows.

    A resumed run continues after the epochs that it had written; an epoch that is trained again has
    the same values again.

    Raises:
        ValueError: on another backend than TensorFlow, whose writer this is.
    """

    def __init__(self, folder: Path) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "TensorBoard's logs need the TensorFlow backend, this is "
                f"{keras.backend.backend()}: leave tensorboard out, or set KERAS_BACKEND=tensorflow"
            )
        self.folder = Path(folder)
        self._written: int | None = None
        self._writer: Any = None

    def __call__(self, history: pd.DataFrame) -> None:
        """Writes the epochs that are new in the history."""
        import tensorflow as tf

        if self._writer is None:
            # Epochs that an earlier process wrote are in its own file.
            new = history["epoch"].iloc[:-1] if any(self.folder.glob("*")) else []
            self._written = int(max(new, default=0))
            self._writer = tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default():
            # tf.summary.scalar would need the package tensorboard merely to write.
            kind = tf.compat.v1.SummaryMetadata(data_class=1)
            kind.plugin_data.plugin_name = "scalars"
            for row in history[history["epoch"] > self._written].to_dict("records"):
                step = int(row.pop("epoch"))
                for name, value in row.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step, kind)
        self._writer.flush()
        self._written = int(history["epoch"].iloc[-1])


class LiveCurves:
    """Draws the curves anew below the cell after every epoch, and removes them at the last.

    `draw(history)` returns a picture as PNG bytes. The finished notebook keeps no trace: the
    next cell draws the whole run. `patience` is that of `fit`.
    """

    def __init__(
        self, draw: Callable[[pd.DataFrame], bytes], epochs: int, patience: int = 0
    ) -> None:
        self.draw, self.epochs = draw, epochs
        self.stopping = Stopping(patience=patience)
        self._handle = None

    def __call__(self, history: pd.DataFrame) -> None:
        """Draws the history anew."""
        from IPython.display import display

        last = history["epoch"].iloc[-1] == self.epochs
        last = last or self.stopping.is_over(history.to_dict("records"))
        if len(history) < 2 or (last and self._handle is None):
            return  # one epoch is a point, and nothing is shown that would be removed at once
        content = {"text/plain": ""}
        if not last:
            content["image/png"] = base64.b64encode(self.draw(history)).decode()
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
