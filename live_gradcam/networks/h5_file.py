"""Models in HDF5 files: `.h5` and `.hdf5`, as Keras 2 saved them by default, and any other ending."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.keras2 import with_layers_named
from live_gradcam.networks.keras_reading import HDF5_SIGNATURE
from live_gradcam.networks.model_file import ModelFiles

if TYPE_CHECKING:
    import h5py
    import keras

#: What names the layers in a file of weights alone: before Keras 2.12, in its 2.12 and 2.13, and since.
_SIGNS_OF_WEIGHTS = ("layer_names", "layer_names0", "_layer_checkpoint_dependencies", "layers")


class H5File:
    """An HDF5 file that Keras saved.

    Args:
        path: the file.

    Attributes:
        config: the model's configuration, as it is in the file.
        keras_version: the version of Keras that saved it.

    Raises:
        ModelError: it is damaged, has weights alone, or is no model at all.
    """

    ending = ".h5"

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            if "model_config" not in file.attrs:
                raise _without_model(path, file)
            self._backend = _text(file.attrs.get("backend", "tensorflow"))
            self.keras_version = _text(file.attrs.get("keras_version", "1"))  # before 2.0 Keras did not tell
            try:
                self.config = with_layers_named(json.loads(_text(file.attrs["model_config"])))
            except (ValueError, KeyError, TypeError) as error:
                raise ModelError(f"{path} is damaged: its description of the layers cannot be read") from error

    def load_keras_2_weights(self, model: keras.Model) -> None:
        """Assign the weights that Keras 2 saved to a model, which was built from the configuration."""
        from live_gradcam.networks.keras2_weights import load_h5_weights

        if self._backend != "tensorflow":
            raise ValueError(f"its weights were trained with {self._backend}, whose convolutions may differ")
        with self._open() as file:
            load_h5_weights(file["model_weights"], model, self.config)

    def _open(self) -> h5py.File:
        import h5py

        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise ModelError(f"{self.path} is damaged, or not all of it is there: {first_line(error)}") from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _without_model(path: Path, file: h5py.File) -> ModelError:
    if any(sign in file.attrs or sign in file for sign in _SIGNS_OF_WEIGHTS):
        return ModelError(
            f"{path} holds weights alone, without their network: save the whole model with "
            'model.save("NAME.keras"), or give the network\'s name with -m and this file with --weights'
        )
    return ModelError(f"{path} is an HDF5 file, but not a model that Keras saved")


SOURCE = ModelFiles(H5File, HDF5_SIGNATURE)
