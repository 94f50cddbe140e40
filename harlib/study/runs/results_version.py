"""What each stage computes, as a number: raised by those who change its results, and only then.

A run starts anew when the number of a stage that it went through has changed. A comment, a better
figure, a renamed module or a faster way to the same result changes none of them; code that is
another is said as a warning, by `fingerprint.code`.
"""

from harlib.study.params.notebooks import NOTEBOOKS

RESULTS_VERSION = {
    "store": 1,  # videos -> catalog, splits and clip store
    "clips": 1,  # clip store -> batches: sampling, augmentation, views
    "models": 1,  # clips -> probabilities
    "training": 1,  # batches -> weights
    "scoring": 1,  # weights -> scores and metrics
    "evaluation": 1,  # runs -> what notebook 05 measures
    "bench": 1,  # what notebook 06 measures
}


def versions(notebook: str) -> dict[str, int]:
    """The numbers of the stages that a run of this notebook goes through itself."""
    return {stage: RESULTS_VERSION[stage] for stage in NOTEBOOKS[notebook].stages}
