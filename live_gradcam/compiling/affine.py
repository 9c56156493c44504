"""Convolutions and dense layers as numbers: what is known of a layer without Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.networks.graph import Shape

Kind = Literal["convolution", "depthwise", "dense"]
#: The linear part of an affine layer: what its input is multiplied with.
Product = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution or dense layer as numbers. It stands in `Operation.layer` for the Keras layer that it replaces.

    Attributes:
        kind: which product it is.
        kernel: float32, in Keras' axes; of a depthwise convolution (height, width, channels, multiplier).
        bias: float32 (outputs,).
        activation: what follows.
        strides: (vertical, horizontal), of a convolution, as are the next two.
        padding: "same" or "valid".
        dilation: (vertical, horizontal).
        form: how it is computed: the name of one of `products.FORMS`.
        bf16: whether its matrix products are of bfloat16 numbers, summed in float32.
    """

    kind: Kind
    kernel: np.ndarray
    bias: np.ndarray
    activation: Callable[[tf.Tensor], tf.Tensor]
    strides: tuple[int, int] = (1, 1)
    padding: str = "valid"
    dilation: tuple[int, int] = (1, 1)
    form: str = "as it is"
    bf16: bool = False

    def scaled(self, factor: np.ndarray, offset: np.ndarray) -> Affine:
        """The layer whose output is this one's times `factor` plus `offset`, both (outputs,)."""
        along = factor.reshape(self.kernel.shape[2:]) if self.kind == "depthwise" else factor
        return replace(self, kernel=self.kernel * along, bias=self.bias * factor + offset)


@dataclass(frozen=True, eq=False)
class AffineCall:
    """activation(product(x) + bias): what is run for an affine layer."""

    product: Product
    bias: tf.Tensor
    activation: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, tensors: list[Any]) -> list[Any]:
        """Apply the layer to its one input. As Keras does, what comes from a layer of half precision is cast."""
        return [self.activation(self.product(tf.cast(tensors[0], tf.float32)) + self.bias)]

    def without_activation(self) -> AffineCall:
        """The same up to the activation, with the same tensors."""
        return replace(self, activation=keras.activations.linear)


_KERAS_LAYERS: dict[Kind, type] = {
    "convolution": keras.layers.Conv2D,
    "depthwise": keras.layers.DepthwiseConv2D,
    "dense": keras.layers.Dense,
}


def kind_of(layer: Any) -> Kind | None:
    """Which product a layer is; None where it is not one that is known exactly."""
    if isinstance(layer, Affine):
        return layer.kind
    return next((kind for kind, keras_layer in _KERAS_LAYERS.items() if is_plain(layer, keras_layer)), None)


def affine_of(layer: Any) -> Affine | None:
    """The layer as numbers, or None where it has no kind. Takes a copy of its weights: ask for the kind first."""
    kind = kind_of(layer)
    if isinstance(layer, Affine) or kind is None:
        return layer if isinstance(layer, Affine) else None
    kernel = np.asarray(layer.kernel)
    outputs = kernel.shape[2] * kernel.shape[3] if kind == "depthwise" else kernel.shape[-1]
    affine = Affine(kind, kernel, bias_of(layer, outputs), layer.activation)
    if kind == "dense":
        return affine
    dilation = tuple(layer.dilation_rate)
    return replace(affine, strides=tuple(layer.strides), padding=layer.padding, dilation=dilation)


def is_plain(layer: Any, *kinds: type) -> bool:
    """Whether a layer computes what its class says, from its weights as they are: in float32, NHWC, and nothing added.

    Not so where `is_of` says no, or where a layer is quantized (its kernel is of another scale) or has a LoRA update:
    these are run by their own call.
    """
    if not is_of(layer, *kinds):
        return False
    plain_numbers = layer.dtype_policy.name == "float32" and getattr(layer, "quantization_mode", None) is None
    return plain_numbers and not getattr(layer, "lora_enabled", False)


def is_of(layer: Any, *kinds: type) -> bool:
    """Whether a layer does what one of these Keras classes says, of NHWC: no subclass, and no `call` of its own."""
    is_kind = type(layer) in kinds and "call" not in vars(layer)
    return is_kind and getattr(layer, "data_format", None) != "channels_first"


def bias_of(layer: Any, outputs: int) -> np.ndarray:
    """A Keras layer's bias, float32 (outputs,); zeros where it has none."""
    return np.asarray(layer.bias) if layer.use_bias else np.zeros(outputs, np.float32)


def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) along one axis."""
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def reach_of(affine: Affine) -> tuple[int, int]:
    """How many rows and columns of the input one output depends on."""
    rows, columns = affine.kernel.shape[:2]
    return (rows - 1) * affine.dilation[0] + 1, (columns - 1) * affine.dilation[1] + 1


def is_grouped(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a convolution whose kernel sees a part of the channels."""
    return affine.kind == "convolution" and affine.kernel.shape[2] != input_shape[-1]


def is_full(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a convolution over all channels."""
    return affine.kind == "convolution" and not is_grouped(affine, input_shape)


def is_pointwise(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a 1 × 1 convolution over all channels."""
    return is_full(affine, input_shape) and affine.kernel.shape[:2] == (1, 1)


def smaller_side(shape: Shape) -> int:
    """The smaller of a map's height and width."""
    return min(shape[0] or 0, shape[1] or 0)
