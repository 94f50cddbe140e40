"""An upgrade restarts no finished run: a parameter that comes later leaves settings the same."""

import hashlib
import json

import pytest

from harlib.study.params.notebooks import NOTEBOOKS, validate
from harlib.study.runs import fingerprint
from harlib.study.runs.study_files import defaults

pytestmark = pytest.mark.quick

# Of each notebook's defaults. One that changes restarts every finished run of its notebook: name a
# new parameter in `fingerprint._LATER`, and change a number here only where runs must start anew.
SETTINGS = {
    "01_data_prep": "4e5f0f143dc5",
    "02_frame_cnn": "1cd99a1c79ed",
    "03_c3d": "17397bcb2d8f",
    "04_resnext101": "d2c4c921a9d2",
    "05_evaluation": "6d42320428f5",
    "06_performance": "d76fdfd1f66e",
    "07_ablations": "5591ddbc201e",
    "08_from_scratch": "81073280fd2f",
    "09_pretrained": "907a1a5fad86",
}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_settings_of_a_run_are_those_of_before(notebook):
    params = validate(notebook, defaults(notebook) | {"study": "a", "run": notebook})
    text = json.dumps(fingerprint.settings(params), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == SETTINGS[notebook]
