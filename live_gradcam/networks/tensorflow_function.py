"""A TensorFlow function between two layers, as Keras 2 kept it in a model: `x / 127.5 - 1`, `x[..., ::-1]`.

It is how the preprocessing of a transferred network came into its file.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from google.protobuf import json_format  # type: ignore[import-untyped]

from live_gradcam.networks.keras2 import HARD_SIGMOID

_OPERATORS = "add getitem"
_ARRAYS = """
    broadcast_to cast clip_by_value concat constant convert_to_tensor einsum expand_dims eye fill gather gather_nd
    identity linspace meshgrid ones ones_like one_hot pad range rank repeat reshape reverse roll shape size slice split
    squeeze stack stop_gradient strided_slice tensordot tile transpose unstack where zeros zeros_like
"""
_MATH = """
    abs accumulate_n add add_n argmax argmin atan ceil cos cosh count_nonzero cumprod cumsum divide divide_no_nan equal
    erf erfc exp expm1 floor floordiv floormod greater greater_equal is_finite is_inf is_nan l2_normalize less
    less_equal log log1p log_sigmoid logical_and logical_not logical_or logical_xor maximum minimum mod multiply
    multiply_no_nan negative not_equal pow reciprocal reciprocal_no_nan reduce_all reduce_any reduce_euclidean_norm
    reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_std reduce_sum reduce_variance rint round
    rsqrt scalar_mul sigmoid sign sin sinh softmax softplus softsign sqrt square squared_difference subtract tan tanh
    top_k truediv xdivy xlogy
"""
_NN = """
    avg_pool avg_pool2d batch_normalization bias_add depth_to_space elu gelu l2_normalize leaky_relu
    local_response_normalization log_softmax max_pool max_pool2d moments relu relu6 selu sigmoid silu softmax softplus
    softsign space_to_depth swish tanh top_k
"""
_IMAGE = """
    adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation central_crop convert_image_dtype
    crop_and_resize crop_to_bounding_box extract_patches flip_left_right flip_up_down grayscale_to_rgb hsv_to_rgb
    pad_to_bounding_box per_image_standardization resize resize_with_crop_or_pad resize_with_pad rgb_to_grayscale
    rgb_to_hsv rgb_to_yiq rgb_to_yuv rot90 total_variation transpose yiq_to_rgb yuv_to_rgb
"""

#: What may be called: functions of numbers alone, none of which reads or writes anything.
_FUNCTIONS = frozenset(
    module + name
    for module, names in {
        "__operators__.": _OPERATORS,
        "": _ARRAYS,
        "math.": _MATH,
        "nn.": _NN,
        "image.": _IMAGE,
        "linalg.": "matmul l2_normalize norm normalize",
    }.items()
    for name in names.split()
)


class TFOpLambda(keras.layers.Layer):  # type: ignore[misc]
    """Keras 2's layer of that name.

    Args:
        function: the function's name in TensorFlow, one of those above, perhaps of its first version ("compat.v1.pad").
        settings: as for every layer.

    Raises:
        ValueError: a function that is not one of those.
    """

    def __init__(self, function: str, **settings: Any) -> None:
        if function.removeprefix("compat.v1.") not in _FUNCTIONS:
            raise ValueError(f"the TensorFlow function {function} between its layers is not supported")
        super().__init__(**{**settings, "autocast": False})  # numbers keep their precision, as in Keras 2
        self._function = operator.attrgetter(function)(tf)

    def call(self, x: Any, **arguments: Any) -> Any:
        """Apply the function.

        Args:
            x: its first argument: a tensor, a number, or a list of them.
            arguments: its others.
        """
        return self._function(x, **arguments)


class SlicingOpLambda(TFOpLambda):
    """Keras 2's layer of that name: `x[:, 1:-1]`, whose other argument is a list of slices and indices."""


def _hard_sigmoid(x: Any) -> Any:
    """Keras 2's hard sigmoid; that of Keras 3 is clip(x / 6 + ½)."""
    return keras.ops.clip(x * 0.2 + 0.5, 0, 1)


_NODES = """
    Abs Add AddV2 AvgPool BatchMatMulV2 BiasAdd Cast ClipByValue ConcatV2 DepthToSpace Elu Equal Exp ExpandDims Floor
    GatherV2 Greater GreaterEqual Identity LeakyRelu Less LessEqual Log Log1p LogSoftmax MatMul Max MaxPool Maximum Mean
    Min Minimum MirrorPad Mul Neg Pack Pad PadV2 Pow Prod RealDiv Relu Relu6 Reshape ResizeBicubic ResizeBilinear
    ResizeNearestNeighbor ReverseV2 Round Rsqrt SelectV2 Selu Shape Sigmoid Softmax Softplus SpaceToDepth Sqrt Square
    SquaredDifference Squeeze StridedSlice Sub Sum Tanh Tile Transpose
"""

#: The same, by their names in TensorFlow's graphs.
_OPERATIONS = frozenset(_NODES.split())


class TensorFlowOpLayer(keras.layers.Layer):  # type: ignore[misc]
    """The layer of that name of TensorFlow 2.0 to 2.3, which kept operators as nodes of a graph.

    Args:
        node_def: the node, as protocol buffers write it in JSON.
        constants: those of its inputs that are no tensors of the model, by their place.
        settings: as for every layer.

    Raises:
        ValueError: an operation that is not one of those above.
    """

    def __init__(
        self, node_def: str | Mapping[str, Any], constants: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        text = node_def if isinstance(node_def, str) else json.dumps(node_def)
        node = json_format.Parse(text, tf.compat.v1.NodeDef())
        if node.op not in _OPERATIONS:
            raise ValueError(f"the TensorFlow operation {node.op} between its layers is not supported")
        super().__init__(**{**settings, "autocast": False})
        self._constants = sorted((int(place), value) for place, value in (constants or {}).items())
        names = [f"input{place}" for place in range(len(node.input))]
        node.name, node.input[:] = "operation", names
        graph = tf.compat.v1.GraphDef(node=[node])
        graph.versions.producer = tf.version.GRAPH_DEF_VERSION

        def run(*inputs: Any) -> Any:
            given = dict(zip(names, inputs, strict=True))
            return tf.graph_util.import_graph_def(graph, input_map=given, return_elements=["operation:0"], name="")[0]

        self._run = tf.function(run, autograph=False)

    def call(self, x: Any) -> Any:
        """Run the operation.

        Args:
            x: a tensor, or a list of them.
        """
        inputs = list(x) if isinstance(x, (list, tuple)) else [x]
        for place, value in self._constants:
            inputs.insert(place, tf.constant(value))
        return self._run(*inputs)


#: What the names in a translated configuration mean, where Keras has none of that name.
CUSTOM_OBJECTS: dict[str, Any] = {
    "SlicingOpLambda": SlicingOpLambda,
    "TFOpLambda": TFOpLambda,
    "TensorFlowOpLayer": TensorFlowOpLayer,
    HARD_SIGMOID: _hard_sigmoid,
}
