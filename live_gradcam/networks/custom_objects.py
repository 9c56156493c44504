"""The classes and functions that a model file needs besides Keras' own: a Python file of the user's, which is run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from live_gradcam.errors import ModelError, first_line


def read_custom_objects(path: str | Path) -> dict[str, Any]:
    """Run a Python file, and give the classes and functions that it defines or imports, by name.

    Args:
        path: the file, which may import modules beside it. What it registers with Keras
            (`keras.saving.register_keras_serializable`) stays registered.

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
    folder = str(Path(path).resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's code
        del sys.modules[name]
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"the custom objects' file {path} cannot be run: {reason}") from error
    finally:
        sys.path.remove(folder)
    return {key: value for key, value in vars(module).items() if callable(value)}


def check_custom_objects(path: str | Path) -> None:
    """Raise the error of a file of custom objects that is not there.

    Raises:
        ModelError: there is no such file.
    """
    if not Path(path).is_file():
        raise ModelError(f"there is no file of custom objects {path}")
