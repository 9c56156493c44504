"""EfficientNet-Lite 0, 1 and 2 in Keras, and weights from PyTorch for them.

The architecture is that of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
EfficientNet without squeeze-and-excitation, with ReLU6 for swish, and with the stem, the head and the first and last
stages unscaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from live_gradcam.errors import ModelError
from live_gradcam.networks.lites import SCALINGS
from live_gradcam.networks.torch_checkpoint import read_torch_checkpoint

_BATCH_NORM_EPSILON = 1e-3
_CLASSES = 1000


@dataclass(frozen=True)
class _Stage:
    """A row of EfficientNet's table: inverted residual blocks, the first of which may shrink the map."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def build_efficientnet_lite(name: str) -> keras.Model:
    """Build a member of the family with random weights; the output is the logits (batch, 1000).

    Args:
        name: a key of `SCALINGS`.
    """
    scaling = SCALINGS[name]
    image = keras.Input((scaling.input_size, scaling.input_size, 3), name="image")
    x = _conv_norm_relu6(image, 32, kernel=3, stride=2, name="stem")
    block = 0
    for position, stage in enumerate(_STAGES):
        fixed = position in (0, len(_STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(stage.repeats * scaling.depth)
        filters = _round_filters(stage.filters * scaling.width)
        for repeat in range(repeats):
            x = _inverted_residual(x, stage, filters, stage.stride if repeat == 0 else 1, name=f"block{block}")
            block += 1
    x = _conv_norm_relu6(x, 1280, kernel=1, stride=1, name="head")
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    logits = layers.Dense(_CLASSES, name="logits")(x)
    return keras.Model(image, logits, name=name)


def _round_filters(filters: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, but never less than nine tenths of the filters."""
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * filters else rounded


def _conv_norm_relu6(x, filters: int, *, kernel: int, stride: int, name: str):  # type: ignore[no-untyped-def]
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def _inverted_residual(x, stage: _Stage, filters: int, stride: int, *, name: str):  # type: ignore[no-untyped-def]
    block_input = x
    if stage.expansion != 1:
        x = _conv_norm_relu6(x, x.shape[-1] * stage.expansion, kernel=1, stride=1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv")(x)
    x = layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_depthwise_norm")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_project_norm")(x)
    if stride == 1 and block_input.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([block_input, x])
    return x


def load_torch_weights(model: keras.Model, path: str | Path) -> None:
    """Load a PyTorch checkpoint of the same network into a model of `build_efficientnet_lite`.

    Raises:
        ModelError: the file cannot be read, or is the checkpoint of another network.
    """
    tensors = read_torch_checkpoint(path)
    for layer in model.layers:
        if not layer.weights:
            continue
        source = _torch_name(layer.name)
        try:
            layer.set_weights(_weights_from_torch(layer, source, tensors))
        except (KeyError, ValueError) as error:
            raise ModelError(f"{path} is not a checkpoint of {model.name}: {source} does not fit ({error})") from error


def _torch_name(name: str) -> str:
    """The checkpoint's name of a layer, such as `_blocks.3._bn1` for `block3_depthwise_norm`."""
    outer = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "head_conv": "_conv_head", "head_norm": "_bn1"}
    outer["logits"] = "_fc"
    if name in outer:
        return outer[name]
    block, _, part = name.partition("_")
    inner = {
        "expand_conv": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise_conv": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "project_conv": "_project_conv",
        "project_norm": "_bn2",
    }
    return f"_blocks.{block.removeprefix('block')}.{inner[part]}"


def _weights_from_torch(layer: keras.Layer, source: str, tensors: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The layer's weights in Keras' order and axes: PyTorch's kernels are (out, in, height, width)."""
    if isinstance(layer, layers.BatchNormalization):
        return [tensors[f"{source}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    weight = tensors[f"{source}.weight"]
    if isinstance(layer, layers.Dense):
        return [weight.T, tensors[f"{source}.bias"]]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [weight.transpose(2, 3, 0, 1)]
    return [weight.transpose(2, 3, 1, 0)]
