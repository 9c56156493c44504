"""The weights of a file that Keras 2 saved, into the model that Keras 3 built from its configuration.

Every weight of the model has to come from the file: one that kept its random numbers would give wrong answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from live_gradcam.networks.keras2 import layer_name, with_layers_named

if TYPE_CHECKING:
    import h5py
    import keras

#: A layer, and what Keras 2 wrote about it, where that is known.
_Pair = tuple["keras.layers.Layer", Mapping[str, Any] | None]

#: Where a model's layers are, in the weights of a `.keras` file: since Keras 2.14, and before.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")

#: Weights of equal shapes, so that only their names tell whether they are in order.
_TOLD_APART_BY_NAME = {"beta", "bias", "gamma", "kernel", "mean", "moving_mean", "moving_variance", "variance"}


def load_h5_weights(group: h5py.Group, model: keras.Model, config: Mapping[str, Any]) -> None:
    """Assign the weights of an `.h5` file.

    Args:
        group: the group of the weights, with the layers' names.
        model: what was built from the configuration.
        config: the configuration as Keras 2 wrote it.

    Raises:
        ValueError: the weights are not those of the model.
    """
    saved = {layer_name(name): _saved_weights(group[name]) for name in _names(group, "layer_names")}
    for layer, part in _children(model, with_layers_named(config)):
        _assign(layer.name, _distinct(_trainable(layer, part) + _frozen(layer, part)), saved.pop(layer.name, []))
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # a Normalization layer works out what it computes with
            layer.finalize_state()
    leftover = [name for name, weights in saved.items() if weights]
    if leftover:
        raise ValueError(f"it has weights for a layer {leftover[0]}, which is not in its configuration")


def load_keras_weights(group: h5py.Group, model: keras.Model, config: Mapping[str, Any]) -> None:
    """Assign the weights of a `.keras` file.

    Args:
        group: the whole file of weights inside it.
        model: as for `load_h5_weights`.
        config: as for `load_h5_weights`.

    Raises:
        ValueError: the weights are not those of the model.
    """
    loaded: set[int] = set()
    _load_from_group(group, model, with_layers_named(config), loaded)
    for layer in model._flatten_layers():
        if _own(layer) and id(layer) not in loaded:
            raise ValueError(f"it has no weights for the layer {layer.name}")


# --- .h5 ----------------------------------------------------------------------------------------------------------


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names, which HDF5 may have had to cut into several attributes."""
    attributes = group.attrs
    parts = [attribute] if attribute in attributes else []
    while f"{attribute}{len(parts)}" in attributes and attribute not in attributes:
        parts.append(f"{attribute}{len(parts)}")
    names = [name for part in parts for name in attributes[part]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _saved_weights(group: h5py.Group) -> list[tuple[str, Any]]:
    """(its name, its values) of each weight, but for the state of random generators."""
    weights = [(re.sub(r"(_\d+)?(:0)?$", "", name), group[name]) for name in _names(group, "weight_names")]
    return [(name.rpartition("/")[2], values) for name, values in weights if not name.endswith("StateVar")]


def _assign(layer: str, weights: list[Any], saved: list[tuple[str, Any]]) -> None:
    if len(weights) != len(saved):
        raise ValueError(f"it has {len(saved)} weights for the layer {layer}, which has {len(weights)}")
    for weight, (name, values) in zip(weights, saved, strict=True):
        mixed_up = weight.name != name and {weight.name, name} <= _TOLD_APART_BY_NAME
        if mixed_up or tuple(weight.shape) != tuple(values.shape):
            raise ValueError(f"the weights of the layer {layer} are not in the expected order")
        weight.assign(values[()])


def _trainable(layer: Any, part: Mapping[str, Any] | None) -> list[Any]:
    """Keras 2's `trainable_weights`: those that were trained when the model was saved."""
    if not _is_trainable(layer, part):
        return []
    own = list(layer._trainable_variables)
    return own + [weight for child in _children(layer, part) for weight in _trainable(*child)]


def _frozen(layer: Any, part: Mapping[str, Any] | None) -> list[Any]:
    """Keras 2's `non_trainable_weights`, in its order: a frozen model's begin with those that its layers train."""
    children = list(_children(layer, part))
    frozen = [weight for child in children for weight in _frozen(*child)]
    if _is_trainable(layer, part):
        return list(layer._non_trainable_variables) + frozen
    trained = [weight for child in children for weight in _trainable(*child)]
    if part is not None and "layers" in part["config"]:
        return trained + frozen + _own(layer)
    return _own(layer) + [weight for child in children for weight in _trainable(*child) + _frozen(*child)]


def _is_trainable(layer: Any, part: Mapping[str, Any] | None) -> bool:
    return bool(layer.trainable if part is None else part["config"].get("trainable", True))


def _own(layer: Any) -> list[Any]:
    return list(layer._trainable_variables) + list(layer._non_trainable_variables)


def _distinct(weights: list[Any]) -> list[Any]:
    return list({id(weight): weight for weight in weights}.values())


def _children(layer: Any, part: Mapping[str, Any] | None) -> Iterator[_Pair]:
    """The layers inside a layer or model, in Keras 2's order."""
    settings = part["config"] if part is not None else {}
    if "layers" in settings:
        yield from _layers_of(layer, settings)
    else:
        for child in layer._layers:
            wrapped = settings.get("layer") if child is getattr(layer, "layer", None) else None
            yield child, with_layers_named(wrapped) if wrapped else None


def _layers_of(model: Any, settings: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    by_name = {child.name: child for child in model.layers}
    for part in map(with_layers_named, settings["layers"]):
        if part["class_name"] != "InputLayer":
            yield by_name[layer_name(part.get("name") or part["config"]["name"])], part


# --- .keras -------------------------------------------------------------------------------------------------------


def _load_from_group(group: h5py.Group, layer: Any, part: Mapping[str, Any] | None, loaded: set[int]) -> None:
    if id(layer) in loaded:
        return
    if "vars" in group:
        layer.load_own_variables(group["vars"])
        loaded.add(id(layer))
    if part is not None and "layers" in part["config"]:
        _load_layers(group, layer, part, loaded)
        return
    for name in group:
        child = getattr(layer, name, None)
        if child in layer._layers:
            wrapped = part["config"].get("layer") if part is not None and name == "layer" else None
            _load_from_group(group[name], child, with_layers_named(wrapped) if wrapped else None, loaded)


def _load_layers(group: h5py.Group, model: Any, part: Mapping[str, Any], loaded: set[int]) -> None:
    """A model's layers are numbered for each class, in the model's order; before 2.14 some numbers are left out."""
    container: Mapping[str, h5py.Group] = next((group[name] for name in _CONTAINERS if name in group), {})
    groups: dict[str, Iterator[str]] = {}
    for child, inner in _layers_of(model, part["config"]):
        kind = _snake_case(inner["class_name"])
        group_of_child = next(groups.setdefault(kind, iter(_numbered(container, kind))), None)
        if group_of_child is None:
            raise ValueError(f"it has no weights for the layer {child.name}")
        _load_from_group(container[group_of_child], child, inner, loaded)


def _numbered(container: Mapping[str, Any], name: str) -> list[str]:
    """The groups called `conv2d`, `conv2d_1`, …, in this order."""
    matches = filter(None, (re.fullmatch(rf"{name}(?:_(\d+))?", group) for group in container))
    return [match[0] for match in sorted(matches, key=lambda match: int(match[1] or 0))]


def _snake_case(kind: str) -> str:
    """As Keras 2 makes a name of a class, which may be registered for a package."""
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind.rpartition(">")[2])
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
