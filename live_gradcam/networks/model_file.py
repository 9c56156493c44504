"""Reading a model that Keras saved: `.keras`, `.h5` (Keras 2's too), and SavedModel folders, for predictions alone.

A model file can hold code (Lambda layers). None of it is run unless the user says that the file is trusted.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.keras2 import parts_of, translate_from_keras_2

if TYPE_CHECKING:
    import keras

#: What is wrong with explaining a SavedModel.
LAYERS_CANNOT_BE_SEEN = (
    "a SavedModel's layers cannot be seen, so there are predictions but no map: save the model with "
    'model.save("NAME.keras"), and give that file'
)

_UNKNOWN_CLASS = re.compile(r"(?:Could not locate|Unknown) (?:class|function|layer|object|\w+ function):? '([^']+)'")


def is_saved_model(path: Path) -> bool:
    """Whether a path is a folder in TensorFlow's SavedModel format."""
    return (path / "saved_model.pb").is_file()


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
        return _load_saved_model(path)
    config = _read_config(path)
    if not trust:
        _refuse_code(path, config)
    try:
        return _load(path, config, custom_objects=dict(custom_objects or {}), safe_mode=not trust)
    except Exception as error:  # Keras passes on whatever its layers, h5py and zipfile raise
        raise _in_a_line(path, error) from error


def read_custom_objects(path: str | Path) -> dict[str, Any]:
    """Run a Python file, and give the classes and functions that it defines, by name.

    Args:
        path: the file. What it registers with Keras (`keras.saving.register_keras_serializable`) stays registered.

    Raises:
        ModelError: there is no such file, or it raises an error.
    """
    check_custom_objects(path)
    name = f"live_gradcam_custom_objects_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"the custom objects' file {path} is not Python: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's code
        del sys.modules[name]
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"the custom objects' file {path} cannot be run: {reason}") from error
    return {
        key: value
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == name
    }


def check_custom_objects(path: str | Path) -> None:
    """Raise the error of a file of custom objects that is not there.

    Raises:
        ModelError: there is no such file.
    """
    if not Path(path).is_file():
        raise ModelError(f"there is no file of custom objects {path}")


# --- .keras and .h5 -----------------------------------------------------------------------------------------------


def _read_config(path: Path) -> Any:
    """The model's configuration as the file has it; None where it cannot be read, which loading will tell."""
    try:
        if path.suffix.lower() == ".keras":
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        import h5py

        with h5py.File(path, "r") as file:
            return json.loads(file.attrs["model_config"])
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None


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


def _holds_code(path: Path, kind: str) -> ModelError:
    return ModelError(
        f"{path} holds a {kind}, which is code that loading would run: only if you trust the file, allow it with "
        "--trust-model (in Python: load_classifier(…, trust=True))"
    )


def _load(path: Path, config: Any, *, custom_objects: dict[str, Any], safe_mode: bool) -> keras.Model:
    import keras

    settings = {"custom_objects": custom_objects, "compile": False, "safe_mode": safe_mode}
    if path.suffix.lower() == ".keras" or config is None or _keras_version(path).startswith("3."):
        return keras.saving.load_model(path, **settings)

    from live_gradcam.networks.tensorflow_function import TFOpLambda

    translate_from_keras_2(config)
    custom_objects.setdefault("TFOpLambda", TFOpLambda)
    with tempfile.TemporaryDirectory(prefix="live-gradcam-") as folder:
        translated = Path(folder) / path.name
        shutil.copyfile(path, translated)
        _write_config(translated, config)
        return keras.saving.load_model(translated, **settings)


def _write_config(path: Path, config: Any) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config).encode()


def _in_a_line(path: Path, error: Exception) -> ModelError:
    message = str(error)
    if "arbitrary code execution" in message:
        return _holds_code(path, "TFSMLayer" if "TFSMLayer" in message else "Lambda layer")
    version = _keras_version(path)
    if path.suffix.lower() == ".keras" and version.startswith("2."):
        return ModelError(
            f"{path} was saved by Keras 2, whose .keras files Keras 3 does not read: load it there, and save it with "
            'model.save("NAME.h5")'
        )
    unknown = _UNKNOWN_CLASS.search(message)
    if unknown:
        return ModelError(
            f"{path} uses {unknown[1]!r}, which is not one of Keras' own: give the Python file that defines it with "
            "--custom-objects FILE.py (in Python: load_classifier(…, custom_objects=…))"
        )
    innermost = ValueError(message.rpartition("Exception encountered: ")[2])  # Keras tells errors in errors
    saved_by = f" (it was saved by Keras {version})" if version else ""
    return ModelError(f"{path} cannot be loaded as a Keras model{saved_by}: {first_line(innermost)}")


def _keras_version(path: Path) -> str:
    """The version of Keras that saved a file; empty where it does not tell."""
    try:
        if path.suffix.lower() == ".keras":
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])
        import h5py

        with h5py.File(path, "r") as file:
            version = file.attrs["keras_version"]
            return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""


# --- SavedModel ---------------------------------------------------------------------------------------------------


def _load_saved_model(path: Path) -> keras.Model:
    """A model of one layer, which is the whole SavedModel, by its default signature."""
    import keras

    try:
        layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default", name="saved_model")
    except Exception as error:  # TensorFlow's are of many types
        raise ModelError(f"{path} cannot be loaded as a SavedModel: {first_line(error)}") from error
    images = list(layer.call_endpoint_fn.structured_input_signature[1].values())
    if len(images) != 1:
        raise ModelError(f"{path} has {len(images)} inputs: only models with one image input can be used")
    inputs = keras.Input(batch_shape=tuple(images[0].shape), dtype=images[0].dtype.name)
    outputs = layer(inputs)
    return keras.Model(inputs, list(outputs.values()) if isinstance(outputs, dict) else outputs, name=path.name)
