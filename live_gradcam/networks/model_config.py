"""What the configuration in a model's file tells without Keras: the names of its layers, and what its numbers are.

It tells nothing where classes besides Keras' own may change what it means, or where it is not written as expected: then
the loaded model tells it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from live_gradcam.choices import Output
from live_gradcam.networks.keras2 import MODELS, layer_name, parts_of
from live_gradcam.networks.layer_names import KnownLayers
from live_gradcam.networks.outputs import ACTIVATIONS, Activation, output_of

#: The packages of the Keras team, besides Keras itself, whose classes a file may name.
KERAS_PACKAGES = ("keras_cv", "keras_hub", "keras_nlp")

_NOT_AS_EXPECTED = (KeyError, TypeError, IndexError, AttributeError, ValueError)


class _CannotTellError(Exception):
    """The configuration alone does not say it."""


def layers_in_config(config: Mapping[str, Any]) -> KnownLayers | None:
    """The layers of a model with their full names, and the models that are nested in it; None where it cannot be known.

    Args:
        config: the model's configuration.
    """
    try:
        names = tuple(dict.fromkeys(_names(config, "")))
    except (_CannotTellError, *_NOT_AS_EXPECTED):
        return None
    return KnownLayers(names, names)


def _names(model: Mapping[str, Any], prefix: str) -> Iterator[str]:
    _check_that_it_is_kerass(model)
    for layer in model["config"]["layers"]:
        name = prefix + layer_name(layer.get("name") or layer["config"]["name"])
        if _is_model(layer):
            yield from _names(layer, f"{name}/")
        _check_that_it_is_kerass(layer)
        if layer["class_name"] != "InputLayer":
            yield name  # of a model too: one that is called with other inputs than its own is not opened


def _is_model(part: Mapping[str, Any]) -> bool:
    return part["class_name"] in MODELS and isinstance(part["config"].get("layers"), list)


def _check_that_it_is_kerass(part: Mapping[str, Any]) -> None:
    """Stop at what may be a model of somebody else's, whose layers are not in the file, or are other ones."""
    kind, module = part["class_name"], part.get("module")
    if module is None:  # in `.h5` files, and as Keras wrote it before 2.12
        is_kerass = ">" not in kind and (_is_model(part) or "layers" not in part["config"])
    else:
        is_kerass = module == "keras" or module.startswith("keras.")
    if not is_kerass:
        raise _CannotTellError


def head_in_config(config: Mapping[str, Any], output: Output | None) -> tuple[int, Output] | None:
    """How many numbers a model gives, and what they are; None where it cannot be known.

    Args:
        config: the model's configuration.
        output: what they are, where the user says so.
    """
    try:
        units, activation = _head(config)
    except (_CannotTellError, *_NOT_AS_EXPECTED):
        return None
    if not isinstance(units, int) or activation not in ACTIVATIONS:
        return None
    known: Activation = activation
    return units, output or output_of(known, units)


def _head(model: Mapping[str, Any]) -> tuple[Any, Any]:
    """The units of the dense layer that gives a model's one output, and its activation, perhaps a layer of its own."""
    _check_that_it_is_kerass(model)
    is_sequence, all_layers = model["class_name"] == "Sequential", model["config"]["layers"]
    last = all_layers[-1] if is_sequence else _named(all_layers, _only(model["config"]["output_layers"]))
    if _is_model(last):
        return _head(last)
    _check_that_it_is_kerass(last)
    activation = _activation_of(last)
    if activation is not None:
        last = all_layers[-2] if is_sequence else _named(all_layers, _name_before(last))
        _check_that_it_is_kerass(last)
    if last["class_name"] != "Dense":
        raise _CannotTellError
    before = last["config"]["activation"]
    return last["config"]["units"], before if activation in (None, "linear") else activation


def _activation_of(layer: Mapping[str, Any]) -> Any:
    """The activation that a layer is; None of a layer that is something else."""
    if layer["class_name"] == "Softmax" and layer["config"].get("axis", -1) == -1:
        return "softmax"
    return layer["config"]["activation"] if layer["class_name"] == "Activation" else None


def _name_before(layer: Mapping[str, Any]) -> str:
    """The name of the only layer whose output a layer takes."""
    (call,) = layer["inbound_nodes"]
    if isinstance(call, list):  # as Keras 2 writes it: [[name, call, index, arguments]]
        ((name, *_),) = call
        return name
    (tensor,) = call["args"]
    return tensor["config"]["keras_history"][0]


def _only(outputs: Any) -> str:
    """The name of the layer of the only output: [[name, call, index]], or since Keras 3 also [name, call, index]."""
    (reference,) = [outputs] if isinstance(outputs[0], str) else outputs
    return reference[0]


def _named(layers: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(layer for layer in layers if (layer.get("name") or layer["config"]["name"]) == name)


def names_other_code(config: Mapping[str, Any]) -> bool:
    """Whether a model may run code besides that of Keras and its team's packages: classes and functions of the user's.

    `.keras` files say which module a class is from. Elsewhere a name is somebody's where it is registered with Keras.

    Args:
        config: the model's configuration.
    """
    return any(_is_anothers(part) for part in parts_of(config)) or any(map(_is_registered, _texts(config)))


def _is_anothers(part: Mapping[str, Any]) -> bool:
    if "class_name" not in part:
        return False
    module = part.get("module", "keras")  # `.h5` files name none
    names = [part["class_name"], part.get("registered_name")]
    if part["class_name"] == "function":  # by its name, which Keras may know
        module, names = "keras", [part.get("config")]
    packages = [module, *(re.split("[.>]", name)[0] for name in names if isinstance(name, str) and ">" in name)]
    return not all(isinstance(package, str) and is_of_keras_team(package) for package in packages)


def is_of_keras_team(module: str) -> bool:
    """Whether a module is Keras' own, or of a package of its team."""
    return module.partition(".")[0] in ("keras", *KERAS_PACKAGES)


def _is_registered(name: str) -> bool:
    """Whether a program has registered a class or a function of its own by this name."""
    keras = sys.modules.get("keras")
    found = None if keras is None else keras.saving.get_registered_object(name)
    return found is not None and not is_of_keras_team(str(getattr(found, "__module__", None)))


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, (Mapping, list)):
        for one in part.values() if isinstance(part, Mapping) else part:
            yield from _texts(one)
