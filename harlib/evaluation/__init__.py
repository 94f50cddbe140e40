"""From a trained network to scores, and from scores to accuracies with intervals.

`score` gives `Scores` of every view and video; `metrics` says how good they are, `comparison`
whether runs differ, `calibration` whether a network knows how sure it may be, `intervals` how sure
all of that is; `gradcam` shows where a network looked.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
