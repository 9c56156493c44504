"""A subclassed model as a graph: its `call` is followed with a symbol in the place of pictures."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.graph import graph_of
from live_gradcam.networks.pixel_scale import two_photographs
from live_gradcam.networks.single import check_takes_pictures
from live_gradcam.networks.tensorflow_calls import symbols_in_tensorflow

#: The largest difference of a model's numbers to those of its layers in a graph that passes for rounding, relative to
#: the largest.
_TOLERANCE = 1e-3
#: Pixels: a side of a picture for a model that takes any size.
_USUAL_SIDE = 224


def with_graph(name: str, model: keras.Model) -> keras.Model:
    """The model as a graph of its layers: itself, or of a subclassed one what its `call` does with a picture.

    Args:
        name: of the model, for messages.
        model: its layers and weights are those of the graph.

    Raises:
        ModelError: a subclassed model whose input nobody knows, or whose `call` cannot be followed.
    """
    inputs = getattr(model, "inputs", None) or []
    if graph_of(model) is not None or type(model).call is keras.Sequential.call or len(inputs) > 1:
        return model
    shape = inputs[0].shape if inputs else (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise ModelError(
            f"{name} is a subclassed model ({type(model).__name__}), and does not say how large its pictures are: "
            "call it with one before it is saved, or build it as keras.Model(inputs, outputs)"
        )
    check_takes_pictures(name, shape)
    _, height, width, channels = shape
    images = two_photographs(height or _USUAL_SIDE, width or _USUAL_SIDE, channels)
    return graph_of_call(name, model, tuple(shape[1:]), images)


def graph_of_call(name: str, model: keras.Model, shape: tuple[int | None, ...], images: np.ndarray) -> keras.Model:
    """What the `call` of a subclassed model does, as a graph with the model's own layers.

    Args:
        name: of the model, for messages.
        model: a built model.
        shape: of its input, without the batch.
        images: (n, height, width, channels), on which both are compared.

    Raises:
        ModelError: its `call` cannot be followed, or the graph gives other numbers.
    """
    kind = f"{name} is a subclassed model ({type(model).__name__})"
    settings = {"training": False} if getattr(model, "_call_has_training_arg", False) else {}
    try:
        image = keras.Input(shape, name="image")
        call = getattr(model.call, "python_function", model.call)  # what a tf.function is made of
        with symbols_in_tensorflow():
            answer = call(image, **settings)
        graph = keras.Model(image, answer, name=model.name)
    except Exception as error:  # whatever a user's own code says to a symbol
        raise ModelError(
            f"{kind}, and its layers cannot be seen: {first_line(error).partition('. ')[0]}. "
            "Use keras.ops in its call, or build it as keras.Model(inputs, outputs)"
        ) from error
    pairs = zip(*(_numbers(one(tf.constant(images), training=False)) for one in (model, graph)), strict=True)
    if any(np.abs(its - ours).max() > _TOLERANCE * max(1.0, np.abs(its).max()) for its, ours in pairs):
        raise ModelError(
            f"{kind}, and its layers in a graph give other numbers than it. Build it as keras.Model(inputs, outputs)"
        )
    return graph


def _numbers(answer: Any) -> list[np.ndarray]:
    """Each of a model's outputs."""
    return [np.asarray(tf.cast(one, tf.float32)) for one in keras.tree.flatten(answer)]
