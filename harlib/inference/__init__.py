"""A trained network on new videos: what is in them, and when.

`load` takes a run, an export or published weights and gives a `Predictor`, which takes a video and
gives a `Prediction`: probabilities of the whole video and of each window.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
