"""Clip stores: written, verified, repaired."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["look_alikes", "prepare", "properties", "repair", "source_files"],
    {"clip_store": ["ClipStore"]},
)
