"""Models in `.keras` files: a zip archive of a configuration and weights."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.errors import ModelError, first_line
from live_gradcam.networks.keras_reading import ZIP_SIGNATURE
from live_gradcam.networks.model_file import ModelFiles

if TYPE_CHECKING:
    import keras


class KerasFile:
    """A zip archive that Keras saved.

    Args:
        path: the file.

    Attributes:
        config: the model's configuration, as it is in the file.
        keras_version: the version of Keras that saved it.

    Raises:
        ModelError: it is damaged, or another kind of archive.
    """

    ending = ".keras"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.config: dict[str, Any] = json.loads(archive.read("config.json"))
                metadata = json.loads(archive.read("metadata.json"))
                self.keras_version = str(metadata["keras_version"])
        except (OSError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is damaged, or not all of it is there: {first_line(error)}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is a zip archive, but not a model that Keras saved") from error

    def load_keras_2_weights(self, model: keras.Model) -> None:
        """Assign the weights that Keras 2 saved to a model, which was built from the configuration."""
        import h5py

        from live_gradcam.networks.keras2_weights import load_keras_weights

        with zipfile.ZipFile(self.path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            load_keras_weights(weights, model, self.config)


class _KerasFiles(ModelFiles):
    def matches(self, model: str | Path | keras.Model) -> bool:
        """Whether it is the path of such a file; other archives are left to other sources."""
        return super().matches(model) and not _is_another_archive(Path(model))


def _is_another_archive(path: Path) -> bool:
    """Whether an archive is whole, and has nothing that Keras puts into one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return not {"config.json", "metadata.json", "model.weights.h5"}.intersection(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


SOURCE = _KerasFiles(KerasFile, ZIP_SIGNATURE)
