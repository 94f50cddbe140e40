"""Weights that others published, and what they reached with them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["checkpoints", "load", "published"])
