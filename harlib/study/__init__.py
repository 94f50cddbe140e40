"""From parameter files to runs and reports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "commands",
        "completion",
        "dry_run",
        "new_study",
        "params",
        "report",
        "run_processes",
        "run_study",
        "runs",
        "steps",
        "widgets",
        "wording",
    ],
)
