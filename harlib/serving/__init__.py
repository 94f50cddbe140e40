"""A trained network behind a page and a small JSON interface, on this machine (`har serve`)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
