"""A training that goes on for more epochs, for real: the very one that had them from the start."""

import keras
import numpy as np
from tiny_study import write_study

from harlib.run_folder import RunFolder
from harlib.study.runs import study_files
from harlib.study.steps import model_run


def test_training_that_goes_on_equals_one_of_that_length_from_the_start(
    tmp_path, monkeypatch, tiny_store, capsys
):
    """Weights, best weights, scores; by `har train`'s own function."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    text = (
        f"store: {tiny_store.root}\nsize: 16\nwidth: 0.25\n"
        "batch: 2\nrecipe: study-adam\nrecipe_options: {patience: 1, gain: 0.5}\nclips: 1\n"
        "precision: float32\npreflight: 'off'\ncheckpoint: best\n"
    )
    folder = write_study(tmp_path, "tiny", {"02_frame_cnn": text, "02_frame_cnn.whole": text})
    for name, epochs in (("02_frame_cnn", 1), ("02_frame_cnn", 2), ("02_frame_cnn.whole", 2)):
        keras.utils.clear_session()
        model_run.run(study_files.load_run([folder / f"{name}.yaml"], {"epochs": epochs}).params)
    said = capsys.readouterr().out
    assert "02_frame_cnn goes on after epoch 1 (epochs: 1 then, 2 now)" in said
    assert "resuming at step 3 of 6" in said
    parts, whole = (RunFolder(tmp_path / "runs" / "tiny" / name) for name in
                    ("02_frame_cnn", "02_frame_cnn.whole"))  # fmt: skip
    for file in ("model.keras", "checkpoints/best.keras"):
        for one, other in zip(*(keras.saving.load_model(run / file).get_weights()
                                for run in (parts, whole)), strict=True):  # fmt: skip
            np.testing.assert_array_equal(one, other)
    ends = [sorted((run / "checkpoints").glob("step-*.npz"))[-1] for run in (parts, whole)]
    assert ends[0].name.split("-")[1] == ends[1].name.split("-")[1] == "000000006"
    with np.load(ends[0]) as one, np.load(ends[1]) as other:
        arrays = [name for name in one.files if name != "state"]
        assert arrays and all(np.array_equal(one[name], other[name]) for name in arrays)
    with np.load(parts.scores) as one, np.load(whole.scores) as other:
        assert all(np.array_equal(one[name], other[name]) for name in one.files)
    kept = RunFolder(tmp_path / "runs" / "tiny" / "before" / "02_frame_cnn")
    assert kept.read_state()["status"] == "complete" and kept.model.is_file()
    assert len(kept.history.read_text().splitlines()) == 2
