"""What a network says of a clip before it decides: the input of its classifier, or any layer's."""

import keras

from harlib import HarlibError
from harlib.models.layers import MeanOverFrames
from harlib.models.log_scores import behind


def extractor(model: keras.Model, layer: str = "") -> keras.Model:
    """The network up to a layer, sharing its weights: clips to float32 `(batch, features)`.

    Maps over frames, rows and columns are averaged; of a frame CNN the frames' features are.

    Args:
        model: of `models.build`.
        layer: its name; "" for what the classifier reads.

    Raises:
        HarlibError: no such layer, with the last ones there are.
    """
    if layer:
        found = [one for one in model.layers if one.name == layer]
        if not found:
            last = ", ".join(one.name for one in model.layers[-6:])
            raise HarlibError(f"{model.name} has no layer {layer!r}; its last ones are {last}")
        x, reduced = found[0].output, found[0]
    else:
        reduced = model.get_layer("classifier")
        x = reduced.input
    if len(x.shape) > 2:
        x = keras.ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))
    frames = [one for one in behind(model, reduced.name) if isinstance(one, MeanOverFrames)]
    if frames:
        x = MeanOverFrames(frames[0].frames, dtype="float32", name="features_frames")(x)
    x = keras.layers.Activation("linear", dtype="float32", name="features")(x)
    return keras.Model(model.inputs, x, name=f"{model.name}_features")
