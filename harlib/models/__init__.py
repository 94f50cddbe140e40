"""Networks that recognise actions, and what is done with them.

`build` makes one by its name, one of `names()`; `describe`, `parameters`, `trainable` and `gmacs`
say what it is and costs; `load_weights` sets published weights or those of an earlier run;
`replace_classifier` gives it other classes. Importing this package
registers harlib's layers, so that `keras.saving.load_model` opens every network saved here.
"""

from harlib.models.layers import BatchNorm, Conv3D, GroupedConv3D
from harlib.models.registry import build, names, replace_classifier
from harlib.models.summary import describe, gmacs, parameters, stage, trainable
from harlib.models.weights.load import load_weights

__all__ = [
    "BatchNorm",
    "Conv3D",
    "GroupedConv3D",
    "arithmetic",
    "build",
    "describe",
    "export",
    "export_readme",
    "features",
    "fold_batch_norm",
    "gmacs",
    "grouped_conv3d",
    "keras_file",
    "load_weights",
    "log_scores",
    "names",
    "onnx_graph",
    "parameters",
    "replace_classifier",
    "stage",
    "trainable",
    "weights",
]
