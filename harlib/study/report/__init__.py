"""Runs -> pages that explain themselves."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        "bundle",
        "downloads",
        "index",
        "index_answer",
        "model_card",
        "published_results",
        "run_page",
        "video_copies",
        "videos_page",
    ],
)
