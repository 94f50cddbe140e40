"""A network as an ONNX graph, by tf2onnx."""

from functools import partial
from typing import Any

import keras
import numpy as np

from harlib.models import conv3d_ops
from harlib.models.layers import Conv3D

# Older ONNX Runtimes than 1.12 (2022) do not read more.
_OPSET = 17
# Numbers from which a weight is kept out of the conversion, which copies a graph tens of times:
# C3D's took 17.8 GB.
_LARGE = 1 << 16
_WEIGHT = "weight_"


def build(network: keras.Model, batch: int | None = None) -> Any:
    """The ONNX graph of `network`, a copy made for it: its convolutions trace as such from now on.

    uint8 `clips` to float32 `scores`. Every 3D convolution, grouped or not, is one `Conv`, which is
    the form that the engines made for inference compute fastest.

    Args:
        batch: clips, where the graph is for one number of them alone.
    Raises:
        ModuleNotFoundError: without the packages of ONNX.
    """
    import tensorflow as tf

    _, tf2onnx, _ = packages()
    for layer in network._flatten_layers():
        if isinstance(layer, Conv3D):
            layer.convolution_op = partial(  # type: ignore[method-assign]  # of this copy alone
                _one_convolution, layer
            )
    large = [one for one in network.variables if np.prod(one.shape) >= _LARGE]
    signature = [tf.TensorSpec((batch, *network.input_shape[1:]), tf.uint8, name="clips")] + [
        tf.TensorSpec(one.shape, one.dtype, name=f"{_WEIGHT}{number}")
        for number, one in enumerate(large)
    ]

    def scores(clips: Any, *weights: Any) -> dict[str, Any]:
        with keras.StatelessScope(state_mapping=list(zip(large, weights, strict=True))):
            return {"scores": network(clips, training=False)}

    content, _ = tf2onnx.convert.from_function(
        tf.function(scores, input_signature=signature, autograph=False),
        signature,
        opset=_OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    _put_in(content.graph, {f"{_WEIGHT}{number}": one for number, one in enumerate(large)})
    _set_groups(content)
    return content


def _put_in(graph: Any, weights: dict[str, keras.Variable]) -> None:
    """Makes constants of the inputs that stood for weights, turned as the graph turns them."""
    onnx, *_ = packages()
    for source in [value for value in graph.input if value.name in weights]:
        graph.input.remove(source)
        users = [node for node in graph.node if source.name in node.input]
        turns = [node for node in users if node.op_type == "Transpose"]
        array = np.asarray(weights[source.name])
        for node in turns:
            (order,) = (a.ints for a in node.attribute if a.name == "perm")
            turned = np.ascontiguousarray(array.transpose(order))
            graph.initializer.append(onnx.numpy_helper.from_array(turned, node.output[0]))
            graph.node.remove(node)
        if len(turns) < len(users):
            graph.initializer.append(onnx.numpy_helper.from_array(array, source.name))


def _erfc(graph: Any, node: Any, name: str, args: Any) -> None:
    """1 less the error function: part of TensorFlow's GELU, and unknown to tf2onnx."""
    one = graph.make_const(f"{name}_one", np.ones(1, np.float32)).output[0]
    shapes, dtypes = [graph.get_shape(node.output[0])], [graph.get_dtype(node.output[0])]
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes).output[0]
    graph.remove_node(name)
    graph.make_node("Sub", [one, erf], name=name, outputs=node.output, shapes=shapes, dtypes=dtypes)


def _set_groups(content: Any) -> None:
    """tf2onnx writes no groups in three dimensions: a kernel of fewer channels than its input."""
    onnx, *_ = packages()
    known = onnx.shape_inference.infer_shapes(content, data_prop=True).graph
    channels = {
        value.name: value.type.tensor_type.shape.dim[1].dim_value
        for value in known.value_info
        if len(value.type.tensor_type.shape.dim) > 1
    }
    channels |= {
        kernel.name: kernel.dims[1] for kernel in known.initializer if len(kernel.dims) > 1
    }
    for node in content.graph.node:
        if node.op_type == "Conv":
            source, kernel, *_ = node.input
            (group,) = (a for a in node.attribute if a.name == "group")
            if group.i == 1:
                group.i = channels[source] // channels[kernel]


def _one_convolution(layer: Conv3D, inputs: Any, kernel: Any) -> Any:
    """`layer`'s convolution as one operation, which TensorFlow may trace but not compute."""
    import tensorflow as tf

    same = max(layer.strides) == 1 and all(k % 2 for k in layer.kernel_size)
    return tf.nn.conv3d(
        inputs if same else conv3d_ops.pad(inputs, layer.kernel_size),
        kernel,
        (1, *layer.strides, 1),
        "SAME" if same else "VALID",
    )


def packages() -> tuple[Any, Any, Any]:
    """(onnx, tf2onnx, onnxruntime).

    Raises:
        ModuleNotFoundError: where one is missing, with the command that installs it.
    """
    try:
        import onnx
        import onnxruntime
        import tf2onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"ONNX needs {error.name}, which is not installed: pip install 'harlib[export]'."
        ) from error
    return onnx, tf2onnx, onnxruntime
