"""Which recipes depend on how long a run is, and the numbers by which that is known."""

import subprocess
import sys

import pytest

from harlib.training import recipe_numbers, recipes

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("study-adam", {}, ""),
        ("study-sgd", {}, ""),
        ("hara-sgd", {}, ""),
        ("tran-sgd", {}, "its learning rate falls after each quarter of the run"),
        ("tran-sgd", {"drop_epochs": [3]}, ""),
        ("modern", {}, "its learning rate follows a cosine to the last epoch"),
        ("modern", {"cosine": False}, "its warmup_epochs and ema follow from the number of epochs"),
        ("modern", {"cosine": False, "ema": 0.9, "warmup_epochs": 1}, ""),
        ("study-sgd", {"decay": 0.0, "cosine": True},
         "its learning rate follows a cosine to the last epoch"),
        ("finetune-head", {}, "its learning rate follows a cosine to the last epoch"),
        ("finetune-gradual", {"cosine": False}, "its stages begin to learn at shares of the run"),
    ],
)  # fmt: skip
def test_what_depends_on_the_number_of_epochs(name, options, reason):
    """As the recipes themselves say, by what checkpoints of them must have alike."""
    assert recipe_numbers.length_in(name, options) == reason
    short, long = (
        recipes.build(name, steps_per_epoch=10, epochs=epochs, **options).config()
        for epochs in (8, 16)
    )
    assert (short == long) == (reason == "")


def test_no_framework_is_loaded_for_them():
    code = "import sys\nfrom harlib.training import recipe_numbers\n"
    code += "recipe_numbers.names(); print({'keras', 'tensorflow', 'numpy'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
