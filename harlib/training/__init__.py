"""Training a network by a recipe, resumed exactly after any interruption.

`fit` trains; `Recipe` says how, `recipes` knows the published ones; `preflight` looks before
the hours are spent; `precision` sets the arithmetic; `distributed` has several devices or processes
train one network.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
