"""Numbers, sentences and tables, as notebooks and pages write them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, ["folded", "properties", "sentences", "tables"]
)
