"""A model of half precision, computed in float32: some formats have no products of 16 bits."""

from __future__ import annotations

import logging
from typing import Any

import keras

from live_gradcam.errors import first_line

_HALF = ("float16", "bfloat16")

_log = logging.getLogger(__name__)


def in_float32(model: keras.Model) -> keras.Model:
    """A copy that computes in float32, with the same weights; the model itself where no layer is of half precision.

    A layer that cannot be made again, because its class is not registered with Keras, leaves the model as it is.

    Args:
        model: it is not changed.
    """
    layers = model._flatten_layers(include_self=False)
    if not any(getattr(layer, "compute_dtype", None) in _HALF for layer in layers):
        return model
    try:
        config = _with_float32(keras.saving.serialize_keras_object(model))
        copy = keras.saving.deserialize_keras_object(config, safe_mode=False)  # its code is here already
        copy.set_weights([weight.astype("float32") for weight in model.get_weights()])
    except Exception as error:  # whatever a layer of somebody else's raises
        _log.info("%s is exported in half precision: %s", model.name, first_line(error))
        return model
    return copy


def _with_float32(part: Any) -> Any:
    """A configuration in which every type of half precision, or policy of one, is float32."""
    if isinstance(part, dict):
        if part.get("class_name") == "DTypePolicy" and any(half in str(part["config"].get("name")) for half in _HALF):
            return "float32"
        return {name: _with_float32(value) for name, value in part.items()}
    if isinstance(part, (list, tuple)):
        return type(part)(_with_float32(value) for value in part)
    return "float32" if part in (*_HALF, *(f"mixed_{half}" for half in _HALF)) else part
