"""Files of weights alone, for a network that is there: what kind one is, its contents tell, and not its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.keras_reading import HDF5_SIGNATURE, ZIP_SIGNATURE, first_bytes, named, nothing_left_out

if TYPE_CHECKING:
    import keras


def load_weights(model: keras.Model, path: Path) -> None:
    """Load weights into a model.

    Args:
        model: the network.
        path: a file that Keras wrote, by `save_weights` or by `save`.

    Raises:
        ModelError: there is no such file, it is another kind of file, or its weights are not those of the model.
    """
    require_weights_file(path)
    try:
        with named(path, _ending(path)) as readable, nothing_left_out():
            model.load_weights(readable)
    except Exception as error:  # Keras passes on whatever its layers, h5py and zipfile raise
        raise ModelError(f"the weights {path} do not fit {model.name}: {first_line(error)}") from error


def require_weights_file(path: Path) -> None:
    """Make sure that there is a file of weights.

    Raises:
        ModelError: there is none.
    """
    if not path.is_file():
        raise ModelError(f"there is no weights file {path}")


def _ending(path: Path) -> str:
    """The ending that Keras gives such a file."""
    import h5py

    start = first_bytes(path)
    if start.startswith(ZIP_SIGNATURE):
        return ".keras"
    if not start.startswith(HDF5_SIGNATURE):
        raise ValueError("it is not a file of weights that Keras saved")
    with h5py.File(path) as file:
        by_layer_names = "model_weights" in file or any(name.startswith("layer_names") for name in file.attrs)
    return ".h5" if by_layer_names else ".weights.h5"
