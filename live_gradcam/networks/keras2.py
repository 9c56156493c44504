"""What Keras 2 wrote into a model's configuration, translated for Keras 3."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

_log = logging.getLogger(__name__)

#: What Keras 2 wrote about layers, without a meaning for what they compute, and Keras 3 refuses.
_GONE = {
    "Conv2DTranspose": {"groups"},
    "DepthwiseConv2D": {"groups"},
    "SeparableConv2D": {"groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"},
    "SpatialDropout2D": {"trainable", "noise_shape"},
}


def translate_from_keras_2(config: Any) -> None:
    """Change a configuration in place where Keras 2 wrote what Keras 3 does not read.

    Keras 3 translates the outermost model's layers itself, but not those of models inside, nor arguments that are gone.
    Where it computes something else, that is said in a warning.

    Args:
        config: of an `.h5` file, parsed.
    """
    for part in parts_of(config):
        kind, settings = part.get("class_name"), part.get("config")
        if not isinstance(kind, str) or not isinstance(settings, dict):
            continue
        for gone in _GONE.get(kind, set()).intersection(settings):
            del settings[gone]
        if settings.get("activation") == "hard_sigmoid":
            difference = "hard_sigmoid is clip(x / 5 + ½) in Keras 2, clip(x / 6 + ½) in Keras 3"
            _log.warning("the layer %s: %s", settings.get("name"), difference)
        if "batch_input_shape" in settings:
            shape = settings.pop("batch_input_shape")
            settings |= {"batch_shape": shape} if kind == "InputLayer" else {"input_shape": shape[1:]}
        for listed in ("axis", "input_layers", "output_layers"):  # Keras 3 makes lists of tensors of lists of one
            if isinstance(settings.get(listed), list) and len(settings[listed]) == 1:
                (settings[listed],) = settings[listed]
        if kind == "TFOpLambda":  # see `tensorflow_function`; a call by its arguments, not by lists of them
            part["inbound_nodes"] = [[call] for call in part.get("inbound_nodes", [])]
        if kind == "Functional" and "module" in part:
            part |= {"module": "keras", "class_name": "Model", "registered_name": None}


def parts_of(config: Any) -> Iterator[dict[str, Any]]:
    """Every object in a configuration, from the outermost inwards."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from parts_of(part)
