"""Weights that others published: what there is, what each expects, its file on this machine.

`names` and `find` read the table, `fetch` brings a file into the cache. No framework is imported;
`harlib.models.load_weights` sets them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
