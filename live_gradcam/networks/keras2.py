"""What Keras 2 wrote into a model's configuration, translated for Keras 3.

Keras 3 reads some of it itself. Here everything becomes what Keras 3 writes, so that one way of reading will do: layers
by their module, and calls by their arguments. The translated configuration is the same for `.h5` and `.keras` files.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: What Keras 2 wrote about layers, and Keras 3 does not know. It means nothing where it is one of these; None: ever.
_GONE: dict[str, tuple[Any, ...] | None] = {
    "groups": (1,),
    "implementation": (0, 1, 2),
    "key_shape": None,
    "noise_shape": (None,),
    "query_shape": None,
    "rng_type": None,
    "softmax_robust_masking": (False, None),
    "time_major": (False,),
    "unroll": (False,),
    "value_shape": None,
}

#: Layers that Keras 3 has under another name. Those of random sizes change nothing but in training.
_RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "RandomHeight": "Identity",
    "RandomWidth": "Identity",
    "SyncBatchNormalization": "BatchNormalization",
}

#: Layers of Keras' own networks, which are not among `keras.layers`.
_OF_APPLICATIONS = {
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "LayerScale": "keras.src.applications.convnext",
    "StochasticDepth": "keras.src.applications.convnext",
}

#: The classes of Keras' own models, by the names that they have had.
MODELS = ("Functional", "Model", "Network", "Sequential")

#: What Keras 3 has no class for, and `tensorflow_function` has.
FUNCTION_LAYERS = ("SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer")

#: Of these, those that tell a list of one tensor from a tensor, and whose arguments mean something where they are None.
_LITERAL_CALLS = ("SlicingOpLambda", "TFOpLambda")

#: The name of a function of `tensorflow_function`, in translated configurations.
HARD_SIGMOID = "hard_sigmoid_of_keras_2"

#: Functions and operations that are activations, by Keras' names for these.
_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "math.sigmoid": "sigmoid",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.sigmoid": "sigmoid",
    "nn.softmax": "softmax",
}

_ABOUT_FUNCTIONS = ("function_type", "module", "output_shape_module", "output_shape_type")
_ONLY_FOR_TRAINING = ("_constraint", "_initializer", "_regularizer")
_POLICIES = ("Policy", "PolicyV1")
_NUMBERS = ("__numpy__", "__tensor__")
_CONSTANT = "_CONSTANT_VALUE"


def translate_from_keras_2(model: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A model's configuration as Keras 3 would have written it.

    Args:
        model: as Keras 2 wrote it: the class's name and its settings, which hold the layers'. It is not changed.
        custom_objects: the user's classes, which go before Keras' own of the same name.
    """
    return _Translation(custom_objects or {}).of_object(with_layers_named(model))


def parts_of(config: Any) -> Iterator[dict[str, Any]]:
    """Every object in a configuration, from the outermost inwards."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from parts_of(part)


def with_layers_named(part: Mapping[str, Any]) -> dict[str, Any]:
    """A model as Keras wrote it since 2.2.3, which gave a Sequential model a name and its layers one."""
    if isinstance(part["config"], list):
        return {**part, "config": {"name": part.get("name", "sequential"), "layers": part["config"]}}
    return dict(part)


def layer_name(name: str) -> str:
    """A layer's name in Keras 3, which allows no slash."""
    return name.replace("/", "_")


class _Translation:
    """Of one file.

    Args:
        custom_objects: the user's classes by name.
    """

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        self._custom_objects = custom_objects

    def of_object(self, part: Mapping[str, Any]) -> Any:
        """A layer, a model or another object: its class's name and its settings."""
        part = with_layers_named(part)
        kind, settings = part["class_name"], part["config"]
        if not isinstance(settings, dict):  # a function, by its name
            return part
        if kind in _POLICIES:
            return settings["name"]
        if kind in _NUMBERS:
            return settings["value"]
        if "layers" in settings and "input_layers" in settings:
            return self._model(part, _graph(settings, self))
        if kind == "Sequential":
            return self._model(part, self._layers_in_a_row(settings))
        return self._layer(part)

    def of_value(self, value: Any) -> Any:
        """A setting, with the objects in it."""
        if isinstance(value, list):
            return [self.of_value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("class_name"), str) and "config" in value:
            return self.of_object(value)
        return {key: self.of_value(item) for key, item in value.items()}

    def _model(self, part: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        settings = {**settings, "name": layer_name(settings.get("name") or part["class_name"].lower())}
        if part["class_name"] in MODELS:
            kind = "Sequential" if part["class_name"] == "Sequential" else "Model"
            return {"module": "keras", "class_name": kind, "config": settings, "registered_name": None}
        return self._of_the_users(part, settings)

    def _layers_in_a_row(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        layers = [with_layers_named(layer) for layer in settings["layers"]]
        first = layers[0]["config"] if layers else {}
        translated = [self.of_object(layer) for layer in layers]
        if layers and layers[0]["class_name"] != "InputLayer" and "batch_input_shape" in first:
            entry = {"batch_input_shape": first["batch_input_shape"], "name": "image"}
            translated.insert(0, self.of_object({"class_name": "InputLayer", "config": entry}))
        kept = {key: settings[key] for key in ("name", "trainable", "build_input_shape") if key in settings}
        return {**kept, "layers": translated}

    def _layer(self, part: Mapping[str, Any]) -> dict[str, Any]:
        import keras

        kind = _RENAMED.get(part["class_name"], part["class_name"])
        if kind.removeprefix("Custom>") in _OF_APPLICATIONS:  # Keras registered some of them as a user's
            kind = kind.removeprefix("Custom>")
        settings = {key: self.of_value(value) for key, value in part["config"].items()}
        if "name" in settings and isinstance(settings["name"], str):
            settings["name"] = layer_name(settings["name"])
        own = getattr(keras.layers, kind, None)
        module = "keras.layers" if own is not None else _OF_APPLICATIONS.get(kind)
        if module is None or self._custom_objects.get(kind, own) is not own:
            return self._of_the_users(part, settings)
        if kind == "Identity":
            settings = {key: settings[key] for key in ("name", "dtype") if key in settings}
        if kind == "RandomCrop":  # but for training, Keras 2 resizes; Keras 3 leaves the picture as it is
            kind = "Resizing"
            settings = {key: settings[key] for key in ("name", "dtype", "height", "width") if key in settings}
            settings["crop_to_aspect_ratio"] = True
        return {
            "module": module,
            "class_name": kind,
            "config": _settings_of_keras_3(kind, settings),
            "registered_name": None,
        }

    def _of_the_users(self, part: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        """An object of a class that is not Keras': it is looked for by name, and its modules are imported by no one."""
        import keras

        kind, module = part["class_name"], part.get("module")
        if module and module.startswith(("keras.", "tf_keras.")) and kind not in FUNCTION_LAYERS:
            module = module if hasattr(keras, module.split(".")[1]) else None
        if hasattr(keras.initializers, kind):
            module = "keras.initializers"
            settings.pop("dtype", None)
        elif kind in FUNCTION_LAYERS:
            module = None
        name = part.get("registered_name") or kind
        short_name = name.rpartition(">")[2]  # a class may have been registered for a package, and be no longer
        if name not in self._custom_objects and short_name in self._custom_objects:
            name = short_name
        return {"module": module, "class_name": kind, "config": settings, "registered_name": name}


def _settings_of_keras_3(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of one of Keras' layers, without those that only matter in training or not at all."""
    settings = {
        key: value
        for key, value in settings.items()
        if not key.endswith(_ONLY_FOR_TRAINING) and not _is_gone(kind, key, value)
    }
    if kind == "Lambda":
        settings = {key: value for key, value in settings.items() if key not in _ABOUT_FUNCTIONS}
        settings["function"] = _function(settings["function"])
    shape = settings.pop("batch_input_shape", None)
    if kind == "InputLayer" and shape is not None:
        settings["batch_shape"] = shape
    if kind == "LeakyReLU" and "alpha" in settings:
        settings["negative_slope"] = settings.pop("alpha")
    if kind.startswith("SpatialDropout"):
        settings.pop("trainable", None)
    for role in ("activation", "recurrent_activation"):
        if settings.get(role) == "hard_sigmoid":  # the function of that name in Keras 3 is another
            settings[role] = {"class_name": "function", "config": HARD_SIGMOID, "registered_name": HARD_SIGMOID}
    axis = settings.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        settings["axis"] = axis[0]
    return settings


def _function(function: Any) -> Any:
    """A Lambda layer's function: marshalled code in the words of Keras 3, or another as it is."""
    if isinstance(function, dict) and function.get("class_name") == "__lambda__":
        function = function["config"]["value"]
    if not isinstance(function, list):
        return function
    return {"class_name": "__lambda__", "config": dict(zip(("code", "defaults", "closure"), function, strict=True))}


def _is_gone(kind: str, key: str, value: Any) -> bool:
    if key not in _GONE or _takes(kind, key):
        return False
    harmless = _GONE[key]
    return harmless is None or value in harmless


def _takes(kind: str, key: str) -> bool:
    import keras

    return key in inspect.signature(getattr(keras.layers, kind).__init__).parameters


# --- the calls of layers ------------------------------------------------------------------------------------------


def _graph(settings: Mapping[str, Any], translation: _Translation) -> dict[str, Any]:
    """A functional model's settings, with each call of a layer as Keras 3 writes it."""
    layers = [_as_activation(with_layers_named(layer)) for layer in settings["layers"]]
    calls = _Calls(settings, layers)
    translated = []
    for layer in layers:
        nodes = [calls.translated(node, layer["class_name"]) for node in layer.get("inbound_nodes", [])]
        named = {"name": layer_name(layer["name"]), "inbound_nodes": nodes}
        settings_of_layer = translation.of_object(layer)
        settings_of_layer["config"]["name"] = named["name"]
        translated.append({**settings_of_layer, **named})
    kept = {key: settings[key] for key in ("name", "trainable") if key in settings}
    return {
        **kept,
        "layers": translated,
        "input_layers": calls.ends(settings["input_layers"]),
        "output_layers": calls.ends(settings["output_layers"]),
    }


def _as_activation(layer: dict[str, Any]) -> dict[str, Any]:
    """An activation that was called as a function, as a layer: so one sees that a network ends in a softmax."""
    settings = layer["config"]
    if layer["class_name"] == "TFOpLambda":
        activation = _ACTIVATIONS.get(settings["function"])
        others = [leaf[3] for node in layer["inbound_nodes"] for leaf in (node, *node) if _has_arguments(leaf)]
    elif layer["class_name"] == "TensorFlowOpLayer" and isinstance(settings["node_def"], dict):
        activation, others = _ACTIVATIONS.get(settings["node_def"]["op"]), []
    else:
        return layer
    plain = all(value is None or (key, value) == ("axis", -1) for other in others for key, value in other.items())
    if activation is None or not plain or settings.get("dtype") != "float32":
        return layer
    kept = {"name": settings["name"], "dtype": "float32", "activation": activation}
    return {**layer, "module": "keras.layers", "class_name": "Activation", "config": kept, "registered_name": None}


def _has_arguments(leaf: Any) -> bool:
    return isinstance(leaf, list) and len(leaf) == 4 and isinstance(leaf[3], dict)


class _Calls:
    """The calls of a functional model's layers.

    Keras 2 names a call by the layer and a count. For a model inside, the count begins at one, or at zero in some
    versions; here it begins at zero, as in Keras 3.

    Args:
        settings: the functional model's.
        layers: its layers.
    """

    def __init__(self, settings: Mapping[str, Any], layers: list[dict[str, Any]]) -> None:
        self._models = {layer["name"] for layer in layers if _is_functional(layer)}
        self._first: dict[str, int] = {}
        self._names = {layer["name"] for layer in layers}
        ends = [settings["input_layers"], settings["output_layers"]]
        self._visit([layer.get("inbound_nodes", []) for layer in layers] + ends, self._note)

    def translated(self, node: Any, kind: str) -> dict[str, Any]:
        """One call: its arguments, by place and by name."""
        literal = kind in _LITERAL_CALLS
        if isinstance(node, list) and len(node) == 1 and not literal:
            (node,) = node
        leaves = list(self._leaves(node))
        arguments = leaves[0][3] if len(leaves[0]) == 4 else {}
        first = self._first_argument(node)
        named = {key: self._value(value) for key, value in arguments.items() if value is not None or literal}
        if any(leaf[0] == _CONSTANT for leaf in leaves):  # Keras 3 takes tensors alone by their place
            return {"args": [], "kwargs": {"x": first, **named}}
        return {"args": [first], "kwargs": named}

    def ends(self, references: Any) -> Any:
        """The model's inputs or outputs: one alone is no list."""
        if self._is_reference(references):
            name, call, output = references[:3]
            # Keras 3 counts from one here, for a functional model.
            return [layer_name(name), call - self._first[name] + (name in self._models), output]
        if len(references) == 1:
            return self.ends(next(iter(references.values())) if isinstance(references, dict) else references[0])
        if isinstance(references, dict):
            return {key: self.ends(value) for key, value in references.items()}
        return [self.ends(value) for value in references]

    def _is_reference(self, value: Any) -> bool:
        """Whether a list stands for the output of a call: the layer, which call, which output, and perhaps settings."""
        if not (isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)):
            return False
        return value[0] == _CONSTANT or (value[0] in self._names and isinstance(value[1], int))

    def _leaves(self, node: Any) -> Iterator[list[Any]]:
        if self._is_reference(node):
            yield node
        else:
            for item in node.values() if isinstance(node, dict) else node:
                yield from self._leaves(item)

    def _visit(self, value: Any, visit: Callable[[list[Any]], None]) -> None:
        if self._is_reference(value):
            visit(value)
            value = value[3:]
        if isinstance(value, dict):
            value = list(value.values())
        for item in value if isinstance(value, list) else []:
            self._visit(item, visit)

    def _note(self, reference: list[Any]) -> None:
        name, call = reference[:2]
        self._first[name] = min(call, self._first.get(name, call))

    def _first_argument(self, node: Any) -> Any:
        if self._is_reference(node):
            return node[2] if node[0] == _CONSTANT else self._tensor(node)
        if isinstance(node, dict):
            return {key: self._first_argument(value) for key, value in node.items()}
        return [self._first_argument(item) for item in node]

    def _value(self, value: Any) -> Any:
        """Another argument: tensors, ranges of indices and constants."""
        if self._is_reference(value):
            return self._tensor(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("class_name") == "__ellipsis__":
            return {"class_name": "__ellipsis__", "config": {}}
        items = {key: self._value(item) for key, item in value.items()}
        return {"class_name": "__slice__", "config": items} if set(value) == {"start", "stop", "step"} else items

    def _tensor(self, reference: list[Any]) -> dict[str, Any]:
        name, call, output = reference[:3]
        history = [layer_name(name), call - self._first[name], output]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [], "dtype": "float32", "keras_history": history},
        }


def _is_functional(layer: Mapping[str, Any]) -> bool:
    return isinstance(layer["config"], dict) and "input_layers" in layer["config"]
