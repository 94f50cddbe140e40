"""A video file <-> frames, by libav."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["images", "tar_shards"],
    {"files": ["decode", "encode"], "reader": ["VIDEO_SUFFIXES", "VideoReader", "fit_size"]},
)
