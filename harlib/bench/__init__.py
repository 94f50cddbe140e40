"""Measured beside peers: reading clips, training networks, batch sizes. Ratios within one run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["commands", "data", "figures"])
