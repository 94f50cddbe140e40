"""Clips and batches out of a clip store."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["augment", "batches", "clip_input", "sampling"]
)
