"""The folder of a run: which of its files holds what. Nobody else knows their names.

It can be moved or copied to another machine and still be reported, scored again and exported.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harlib.files import read_json, write_json


@dataclass(frozen=True)
class RunFolder:
    """What one run leaves: a notebook with its parameters, or one training of `har train`.

    `path` is the folder, there or yet to come. The attributes are paths; a run has those files that
    its notebook makes. `read_params`, `read_state` and `write_state` know what is in two of them.
    """

    path: str | os.PathLike

    def __truediv__(self, name: str) -> Path:
        return Path(self.path) / name

    @property
    def params(self) -> Path:
        """The resolved parameters (YAML)."""
        return self / "params.yaml"

    @property
    def state(self) -> Path:
        """Fingerprint, status (started, complete or failed) and times (JSON)."""
        return self / "run.json"

    @property
    def environment(self) -> Path:
        """Versions, hardware and commit (JSON)."""
        return self / "environment.json"

    @property
    def progress(self) -> Path:
        """How far it is, while it works (JSON); see `harlib.progress`."""
        return self / "progress.json"

    @property
    def history(self) -> Path:
        """A training's epochs (CSV, a row each)."""
        return self / "history.csv"

    @property
    def probe(self) -> Path:
        """Of a linear probe, the strengths of the penalty that were tried (CSV, a row each)."""
        return self / "probe.csv"

    @property
    def features(self) -> Path:
        """Of a linear probe, what its network said of the training clips (NumPy's npz)."""
        return self / "features.npz"

    @property
    def checkpoints(self) -> Path:
        """The folder of what an interrupted training resumes from."""
        return self / "checkpoints"

    @property
    def model(self) -> Path:
        """The trained network after its last step (Keras)."""
        return self / "model.keras"

    @property
    def best_model(self) -> Path:
        """The network of the epoch that was best on the validation videos (Keras)."""
        return self.checkpoints / "best.keras"

    def weights(self, checkpoint: str) -> Path:
        """The network by the parameter `checkpoint`: "last" or "best"."""
        return {"last": self.model, "best": self.best_model}[checkpoint]

    @property
    def scores(self) -> Path:
        """Scores of whole videos; see `harlib.evaluation.scoring`."""
        return self / "scores.npz"

    @property
    def views(self) -> Path:
        """Scores of single views."""
        return self / "views.npz"

    @property
    def scoring(self) -> Path:
        """The folder of what an interrupted scoring resumes from."""
        return self / "scoring.part"

    @property
    def describing(self) -> Path:
        """The folder of what an interrupted computation of features resumes from."""
        return self / "features.part"

    @property
    def metrics(self) -> Path:
        """Accuracies, the protocol and the network's size (JSON)."""
        return self / "metrics.json"

    @property
    def data(self) -> Path:
        """What notebook 01 says of its clip store (JSON)."""
        return self / "data.json"

    @property
    def corrections(self) -> Path:
        """The corrected labels that notebook 01 has read (CSV), where there were any."""
        return self / "corrections.csv"

    @property
    def measured(self) -> Path:
        """The rows of `har bench` that notebook 06 shows (JSON)."""
        return self / "measured.json"

    @property
    def ablations(self) -> Path:
        """The trainings of notebook 07 (CSV, a row each)."""
        return self / "ablations.csv"

    @property
    def logs(self) -> Path:
        """The folder of what those trainings say."""
        return self / "logs"

    @property
    def kernel_log(self) -> Path:
        """What the notebook's kernel wrote to the terminal."""
        return self / "kernel.log"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's logs."""
        return self / "tensorboard"

    @property
    def stills(self) -> Path:
        """The folder of notebook 02's training on stills, a run of its own."""
        return self / "stills"

    @property
    def exported(self) -> Path:
        """The folder of what `har export` makes where no other is named."""
        return self / "export"

    @property
    def segments(self) -> Path:
        """The folder of what `har segments` found, a folder per split and table."""
        return self / "segments"

    @property
    def notebook(self) -> Path | None:
        """The executed notebook; None where there is none.

        It is named after the run, and keeps that name in a folder that was renamed.
        """
        own = self / f"{Path(self.path).name}.ipynb"
        if own.is_file():
            return own
        return next(iter(sorted(Path(self.path).glob("[0-9][0-9]_*.ipynb"))), None)

    def read_params(self) -> dict[str, Any]:
        """The parameters as plain values; empty without the file."""
        import yaml

        return yaml.safe_load(self.params.read_text()) or {} if self.params.is_file() else {}

    def read_state(self) -> dict[str, Any]:
        """What `state` holds; empty without the file."""
        return read_json(self.state) if self.state.is_file() else {}

    def write_state(self, **changes: Any) -> None:
        """Changes `state`, whole or not at all."""
        write_json(self.state, self.read_state() | changes)
