"""Models in files that Keras saved: what `.keras` and `.h5` files have in common, those of Keras 2 too.

What a file is, its first bytes tell, and not its name. A model file can hold code (Lambda layers). None of it is run
unless the user says that the file is trusted.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from live_gradcam.errors import ModelError, first_line
from live_gradcam.files import fingerprint
from live_gradcam.networks.card import read_card
from live_gradcam.networks.custom_objects import read_custom_objects
from live_gradcam.networks.keras2 import parts_of, translate_from_keras_2
from live_gradcam.networks.keras_reading import first_bytes, keras_reason, named, nothing_left_out
from live_gradcam.networks.labels import given_labels, labels_beside, labels_for, numbered_labels
from live_gradcam.networks.layer_names import KnownLayers
from live_gradcam.networks.model_config import KERAS_PACKAGES, head_in_config, layers_in_config, names_other_code
from live_gradcam.networks.model_source import LoadedModel, ModelOptions, ModelSource
from live_gradcam.networks.outputs import entries_of
from live_gradcam.networks.weights_file import load_weights, require_weights_file

if TYPE_CHECKING:
    import keras

_UNKNOWN_CLASS = re.compile(r"(?:Could not locate|Unknown) (?:class|function|layer|object|\w+ function):? '([^']+)'")


class ModelFile(Protocol):
    """An open file of a model. Opening one raises ModelError where it is damaged, or is no model.

    Attributes:
        ending: that Keras knows such a file by.
        path: the file.
        config: the model's configuration, as it is in the file.
        keras_version: the version of Keras that saved it.
    """

    ending: str
    path: Path
    config: dict[str, Any]
    keras_version: str

    def load_keras_2_weights(self, model: keras.Model) -> None:
        """Assign the weights that Keras 2 saved to a model, which was built from the configuration."""
        ...


class ModelFiles(ModelSource):
    """A kind of file as a source of models.

    Args:
        opener: opens a file of this kind.
        signature: the first bytes of such a file.
    """

    def __init__(self, opener: Callable[[Path], ModelFile], signature: bytes) -> None:
        self._opened = lru_cache(maxsize=1)(lambda path, state: opener(path))
        self._signature = signature

    def _open(self, path: Path) -> ModelFile:
        """The open file. It is read again only when it has changed: a start asks for it many times."""
        with suppress(OSError):  # what is wrong with a file is said by what opens it
            found = path.stat()
            return self._opened(path, (found.st_ino, found.st_mtime_ns, found.st_size))
        return self._opened(path, None)

    def matches(self, model: str | Path | keras.Model) -> bool:
        """Whether it is a path of a file that begins as such files do."""
        return isinstance(model, (str, Path)) and first_bytes(Path(model)).startswith(self._signature)

    def check(self, model: str | Path | keras.Model, options: ModelOptions) -> None:
        """Refuse a file that is damaged, has no network, or holds code and is not trusted; and weights not there."""
        if options.weights_file is not None:
            require_weights_file(options.weights_file)
        file = self._open(Path(model))
        if not options.trust:
            _refuse_code(file.path, file.config)

    def load(self, model: str | Path | keras.Model, options: ModelOptions) -> LoadedModel:
        """Load the model, with other weights where the user gives some.

        Raises:
            ModelError: the file holds code and is not trusted, needs a class that is not known, or cannot be read.
        """
        self.check(model, options)
        path, custom_objects = Path(model), options.custom_objects or {}
        if not isinstance(custom_objects, Mapping):
            custom_objects = read_custom_objects(custom_objects)
        loaded = _load(self._open(path), custom_objects, trust=options.trust)
        if options.weights_file is not None:
            load_weights(loaded, options.weights_file)
        return LoadedModel(path.name, loaded, file=path, card=read_card(path, options.say))

    def identity(self, model: str | Path | keras.Model, options: ModelOptions) -> str:
        """The file's content."""
        return fingerprint(Path(model))

    def runs_other_code(self, model: str | Path | keras.Model, options: ModelOptions) -> bool:
        """Whether the file's configuration names custom objects."""
        return names_other_code(self._open(Path(model)).config)

    def layers(self, model: str | Path | keras.Model, options: ModelOptions) -> KnownLayers | None:
        """From the file's configuration; None where other classes than Keras' own may be in it, or inputs are held.

        Inputs that are held put the model into another one.
        """
        config = self._open(Path(model)).config
        may_have_others = options.custom_objects is not None and "module" not in config
        return None if options.feed or may_have_others else layers_in_config(config)

    def labels(self, model: str | Path | keras.Model, options: ModelOptions) -> tuple[str, ...] | None:
        """The user's, those of the card or beside the file, or numbers; None where nothing says how many there are."""
        path = Path(model)
        card = read_card(path, _say_nothing) if options.labels is None else None
        output = options.output or (card.task if card else None)
        head = None if options.head else head_in_config(self._open(path).config, output)
        if head is None:
            return _labels_alone(options)
        if card and len(card.classes) == entries_of(head[1], head[0]):
            return card.classes
        beside = None if options.labels is not None else labels_beside(path, entries_of(head[1], head[0]))
        return labels_for(options.labels, *head) or (beside[0] if beside else numbered_labels(*head))


def _say_nothing(line: str) -> None:
    """For what is said when the model is loaded."""


def _labels_alone(options: ModelOptions) -> tuple[str, ...] | None:
    """The user's labels, of a model of which it is not known how many it has; a single one may name two sides."""
    if options.labels is None:
        return None
    labels = given_labels(options.labels)
    return labels if len(labels) > 1 else None


def _load(file: ModelFile, custom_objects: Mapping[str, Any], *, trust: bool) -> keras.Model:
    _require_packages(file.path, file.config)
    load = _load_keras_3 if file.keras_version.startswith("3.") else _load_keras_2
    try:
        with nothing_left_out():
            return load(file, {**_tensorflows_activations(), **custom_objects}, safe_mode=not trust)
    except Exception as error:  # Keras passes on whatever its layers, h5py and zipfile raise
        raise _in_a_line(file, error) from error


def _tensorflows_activations() -> dict[str, Any]:
    """What a file of `Dense(3, activation=tf.nn.softmax)` calls by another name than Keras."""
    import keras

    return {"softmax_v2": keras.activations.softmax}


def _refuse_code(path: Path, config: Any) -> None:
    """Refuse marshalled functions and SavedModels inside a file.

    Keras' safe mode does so too, but did not do it for `.h5` before version 3.11.3 (CVE-2025-9905).
    """
    for part in parts_of(config):
        kind, settings = part.get("class_name"), part.get("config")
        function = settings.get("function") if isinstance(settings, dict) else None
        if kind == "__lambda__" or (kind == "Lambda" and isinstance(function, list)):
            raise _holds_code(path, "Lambda layer")
        if kind == "TFSMLayer":
            raise _holds_code(path, "TFSMLayer")


def _require_packages(path: Path, config: Any) -> None:
    """Import the packages of the Keras team whose classes a file names, which registers them."""
    names = {str(part.get("registered_name") or part.get("class_name")) for part in parts_of(config)}
    packages = {re.split("[.>]", name)[0]: name for name in sorted(names) if ">" in name}
    for package, name in packages.items():
        if package in KERAS_PACKAGES:
            try:
                importlib.import_module(package)
            except ImportError as error:
                kind, distribution = name.rpartition(">")[2], package.replace("_", "-")
                raise ModelError(
                    f"{path} uses {kind!r} of {distribution}, which cannot be imported: pip install {distribution} "
                    f"({first_line(error)})"
                ) from error


def _holds_code(path: Path, kind: str) -> ModelError:
    return ModelError(
        f"{path} holds a {kind}, which is code that loading runs. If you trust the file, allow this with "
        "--trust-model (in Python: load_classifier(…, trust=True))"
    )


def _load_keras_3(file: ModelFile, custom_objects: dict[str, Any], *, safe_mode: bool) -> keras.Model:
    import keras

    with named(file.path, file.ending) as path:
        return keras.saving.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=safe_mode)


def _load_keras_2(file: ModelFile, custom_objects: dict[str, Any], *, safe_mode: bool) -> keras.Model:
    import keras

    from live_gradcam.networks import tensorflow_function

    translated = translate_from_keras_2(file.config, custom_objects)
    known = tensorflow_function.CUSTOM_OBJECTS | custom_objects
    model = keras.saving.deserialize_keras_object(translated, custom_objects=known, safe_mode=safe_mode)
    file.load_keras_2_weights(model)
    return model


def _in_a_line(file: ModelFile, error: Exception) -> ModelError:
    path, message = file.path, str(error)
    if isinstance(error, ModelError):
        return error
    if "arbitrary code execution" in message:
        return _holds_code(path, "TFSMLayer" if "TFSMLayer" in message else "Lambda layer")
    unknown = _UNKNOWN_CLASS.search(message)
    if unknown:
        return ModelError(
            f"{path} uses {unknown[1]!r}, which is not one of Keras' own: give the Python file that defines it with "
            "--custom-objects FILE.py (in Python: load_classifier(…, custom_objects=…))"
        )
    reason = f"(it was saved by Keras {file.keras_version}): {keras_reason(error)}"
    return ModelError(f"{path} cannot be loaded as a Keras model {reason}")
