"""What the notebooks call: a module a notebook, and what they share."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "ablations",
        "begin",
        "checks",
        "comparing",
        "data_page",
        "data_prep",
        "drawn",
        "example_videos",
        "from_scratch",
        "inputs",
        "lesson",
        "model_run",
        "performance",
        "rescoring",
        "results",
        "side_by_side",
        "transfer",
        "video_features",
    ],
)
