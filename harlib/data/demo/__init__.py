"""The embedded videos: people drawn while they act."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["dataset", "untrimmed"])
