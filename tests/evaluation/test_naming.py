"""What stands beside a run's name wherever a number does."""

import json

import pytest
import yaml
from hand_made import six

from harlib import figures
from harlib.evaluation import metrics, naming

pytestmark = pytest.mark.quick
PROTOCOL = {"split": "val", "clips": 2, "crops": 1, "frames": 16, "stride": 1, "size": 48}
MODEL = {"name": "resnext3d_26", "parameters": 9, "gmacs": 1.0}
FULL = "04_resnext101 (resnext3d_26, width 0.25, residual frames, 16 × 48 × 48)"


def test_network_width_and_input_stand_beside_the_name(tmp_path):
    run = tmp_path / "04_resnext101"
    metrics.write(run, six(), PROTOCOL, MODEL | {"width": 0.25, "pixels": "residual"}, 1)
    assert naming.named("04_resnext101", naming.read(run)) == FULL
    assert metrics.table([run])["network"].tolist() == [FULL.split(" (")[1][:-1]]


@pytest.mark.parametrize(
    ("model", "size", "said"),
    [
        ({"name": "c3d", "width": 1.0, "pixels": "rgb"}, [112, 96],
         "c3d, width 1, RGB frames, 16 × 112 × 96"),
        ({"name": "frame_cnn (resnet50)", "pixels": "rgb"}, 224,
         "frame_cnn resnet50, RGB frames, 16 × 224 × 224"),
        ({"name": "c3d_bn"}, 48, "c3d_bn, 16 × 48 × 48"),
    ],
)  # fmt: skip
def test_what_is_known_is_said(model, size, said):
    assert naming.network({"model": model, "protocol": PROTOCOL | {"size": size}}) == said


def test_a_run_of_an_earlier_version_is_named_by_its_parameters(tmp_path):
    run = tmp_path / "04_resnext101"
    metrics.write(run, six(), PROTOCOL, MODEL, 1)
    assert naming.network(naming.read(run)) == "resnext3d_26, 16 × 48 × 48"
    params = {"model": "resnext3d_26", "width": 0.25, "pixels": "residual"}
    (run / "params.yaml").write_text(yaml.safe_dump(params))
    assert naming.named(run.name, naming.read(run)) == FULL
    written = json.loads((run / "metrics.json").read_text())
    assert "width" not in written["model"]  # reading changes no file
    application = {"model": "frame_cnn", "backbone": "resnet50", "width": 0.5}
    assert naming.options(application) == {"pixels": "rgb"}
    assert naming.options(application | {"backbone": "small"})["width"] == 0.5


def test_figures_show_the_whole_name(tmp_path):
    run = tmp_path / "04_resnext101"
    metrics.write(run, six(), PROTOCOL, MODEL | {"width": 0.25, "pixels": "residual"}, 1)
    table = metrics.table({FULL: run})
    ax = figures.accuracy_bars(table)
    (label,) = [text.get_text() for text in ax.get_yticklabels()]
    assert label == FULL.replace(" (", "\n(")
    legend = figures.accuracy_compute(table).get_legend().get_texts()[0].get_text()
    assert legend == label


def test_a_clip_is_named_by_its_stride_or_its_rate():
    assert naming.clip({"frames": 16, "stride": 2}) == "16 frames × stride 2"
    assert naming.clip({"frames": 1, "stride": 1, "clip_fps": None}) == "1 frame × stride 1"
    assert (
        naming.clip({"frames": 13, "stride": 1, "clip_fps": 7.5}) == "13 frames at 7.5 per second"
    )
