"""A kind of model: how to build one, how to ask it, and what is to be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import tensorflow as tf
from keras import layers

#: What the model's numbers are.
Ends = Literal["softmax", "sigmoid", "logits", "values"]


def _numbers(model: keras.Model, images: tf.Tensor) -> Any:
    return model(images, training=False)


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        name: what it is called.
        group: what it is one of.
        build: makes the model, with Keras' first weights.
        size: (height, width) in pixels.
        ends: what its numbers are.
        layer: the target layer to name; None for the default one.
        preprocessing: of the pictures; None for what live-gradcam finds out.
        options: what `load_classifier` is told besides.
        numbers: asks the model about images: (model, images) to numbers (1, units).
        finish: what is done to the model once its weights are random (quantize it).
        few_digits: whether it computes in half precision or in integers.
        extent: (top, bottom, left, right) of the input, in pixels, that the target layer's map covers; None for all.
        refused: a part of the message that it is refused with, where it is.
    """

    name: str
    group: str
    build: Callable[[], keras.Model]
    size: tuple[int, int] = (32, 32)
    ends: Ends = "softmax"
    layer: str | None = None
    preprocessing: str | None = "unit"
    options: dict[str, Any] = field(default_factory=dict)
    numbers: Callable[[keras.Model, tf.Tensor], Any] = _numbers
    finish: Callable[[keras.Model], Any] | None = None
    few_digits: bool = False
    extent: tuple[float, float, float, float] | None = None
    refused: str | None = None


#: All of them, by name.
KINDS: dict[str, Kind] = {}


def kind(name: str, group: str, **facts: Any) -> Callable[[Callable[[], keras.Model]], Callable[[], keras.Model]]:
    """List the function below as one that builds a model of this kind."""

    def listed(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
        assert name not in KINDS
        KINDS[name] = Kind(name, group, build, **facts)
        return build

    return listed


# --- what many of them begin and end with -------------------------------------------------------------------------


def picture(side: int = 32, channels: int = 3) -> keras.KerasTensor:
    """The input."""
    return keras.Input((side, side, channels), name="picture")


def stem(x: keras.KerasTensor, filters: int = 8) -> keras.KerasTensor:
    """Half as many rows and columns of features."""
    x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def features(x: keras.KerasTensor, filters: int = 12) -> keras.KerasTensor:
    """The last feature maps of a small network."""
    return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)


def classes(x: keras.KerasTensor, units: int = 5, activation: str | None = "softmax") -> keras.KerasTensor:
    """The usual end: what all places have in common, and a dense layer."""
    return layers.Dense(units, activation=activation)(layers.GlobalAveragePooling2D()(x))
