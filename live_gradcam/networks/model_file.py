"""Reading a model that Keras saved: `.keras` and `.h5`, Keras 2's too, and SavedModel folders, for predictions alone.

What a file is, its first bytes tell, and not its name. A model file can hold code (Lambda layers). None of it is run
unless the user says that the file is trusted.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks import h5_file, keras_file
from live_gradcam.networks.h5_file import H5File
from live_gradcam.networks.keras2 import parts_of, translate_from_keras_2
from live_gradcam.networks.keras_file import KerasFile
from live_gradcam.networks.keras_reading import named, nothing_left_out
from live_gradcam.networks.saved_model import is_saved_model, load_saved_model

if TYPE_CHECKING:
    import keras

_KERAS_PACKAGES = ("keras_cv", "keras_hub", "keras_nlp")

_UNKNOWN_CLASS = re.compile(r"(?:Could not locate|Unknown) (?:class|function|layer|object|\w+ function):? '([^']+)'")


def check_model_file(path: Path) -> None:
    """Raise the error of a file that is no model by its first bytes.

    Raises:
        ModelError: it is neither a `.keras` nor an `.h5` file, or cannot be read.
    """
    _kind_of(path)


def load_model_file(path: Path, *, custom_objects: Mapping[str, Any] | None = None, trust: bool = False) -> keras.Model:
    """Load a model.

    Args:
        path: a `.keras` or `.h5` file, or a SavedModel folder.
        custom_objects: name to class or function, for those that are not Keras' and not registered with it.
        trust: run the code that the file holds.

    Raises:
        ModelError: the file holds code and is not trusted, needs a class that is not known, or cannot be read.
    """
    if is_saved_model(path):
        return load_saved_model(path)
    file = _kind_of(path)(path)
    if not trust:
        _refuse_code(path, file.config)
    _require_packages(path, file.config)
    load = _load_keras_3 if file.keras_version.startswith("3.") else _load_keras_2
    try:
        with nothing_left_out():
            return load(file, {**_tensorflows_activations(), **(custom_objects or {})}, safe_mode=not trust)
    except Exception as error:  # Keras passes on whatever its layers, h5py and zipfile raise
        raise _in_a_line(file, error) from error


def _tensorflows_activations() -> dict[str, Any]:
    """What a file of `Dense(3, activation=tf.nn.softmax)` calls by another name than Keras."""
    import keras

    return {"softmax_v2": keras.activations.softmax}


def _kind_of(path: Path) -> type[H5File | KerasFile]:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error.strerror}") from error
    if start.startswith(h5_file.SIGNATURE):
        return H5File
    if start.startswith(keras_file.SIGNATURE):
        return KerasFile
    raise ModelError(f"{path} is not a model file: give a .keras or .h5 file that Keras saved")


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
        if package in _KERAS_PACKAGES:
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
        f"{path} holds a {kind}, which is code that loading would run: only if you trust the file, allow it with "
        "--trust-model (in Python: load_classifier(…, trust=True))"
    )


def _load_keras_3(file: H5File | KerasFile, custom_objects: dict[str, Any], *, safe_mode: bool) -> keras.Model:
    import keras

    with named(file.path, file.ending) as path:
        return keras.saving.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=safe_mode)


def _load_keras_2(file: H5File | KerasFile, custom_objects: dict[str, Any], *, safe_mode: bool) -> keras.Model:
    import keras

    from live_gradcam.networks import tensorflow_function

    translated = translate_from_keras_2(file.config, custom_objects)
    known = tensorflow_function.CUSTOM_OBJECTS | custom_objects
    model = keras.saving.deserialize_keras_object(translated, custom_objects=known, safe_mode=safe_mode)
    file.load_keras_2_weights(model)
    return model


def _in_a_line(file: H5File | KerasFile, error: Exception) -> ModelError:
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
    innermost = ValueError(message.rpartition("Exception encountered: ")[2])  # Keras tells errors in errors
    reason = f"(it was saved by Keras {file.keras_version}): {first_line(innermost)}"
    return ModelError(f"{path} cannot be loaded as a Keras model {reason}")
