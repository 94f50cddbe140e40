"""Runs on disk: a study's files, a run's identity, lock and state."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "best",
        "cleaning",
        "environment",
        "fingerprint",
        "listing",
        "named",
        "open_notebook",
        "results_version",
        "scored_store",
        "scored_videos",
        "seeds",
        "session",
        "settings_apart",
        "study_files",
    ],
)
