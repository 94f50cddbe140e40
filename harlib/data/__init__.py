"""From video files to batches of clips: a table of videos, a clip store, a loader.

`Catalog` lists videos with category, split and group; `prepare` makes a `ClipStore` of them (HDF5,
one file per category per split), `verify` and `repair` keep it sound; `training_batches` and
`evaluation_batches` give clips, which `iterate` reads ahead. `demo` draws the embedded videos.
"""

import logging

import lazy_loader

# Grain warns at import that JAX, which it does not need, is not installed.
logging.getLogger("absl").addFilter(lambda record: "jax profiler" not in record.getMessage())

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
