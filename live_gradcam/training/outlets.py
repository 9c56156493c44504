"""Where the maps of a model in training go: TensorBoard, a folder, a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from live_gradcam.files import write_whole, writing
from live_gradcam.training.maps import PictureMaps, TrainingMaps

#: The run in TensorBoard, beside Keras' "train" and "validation".
_RUN = "gradcam"


class Outlet(Protocol):
    """Takes maps whenever there are some."""

    def take(self, maps: TrainingMaps) -> None:
        """Show or keep the maps.

        Raises:
            OutputError: they cannot be written.
        """

    def close(self) -> None:
        """The training ended."""


class ToFunction:
    """Calls a function with the maps.

    Args:
        function: what to call. What it raises ends the training.
    """

    def __init__(self, function: Callable[[TrainingMaps], Any]) -> None:
        self._function = function

    def take(self, maps: TrainingMaps) -> None:
        """See `Outlet`."""
        self._function(maps)

    def close(self) -> None:
        """See `Outlet`."""


class ToFolder:
    """Writes `FOLDER/picture-01/epoch-001.png` and so on. Files of these names are replaced.

    Args:
        folder: the folder, which is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, maps: TrainingMaps) -> None:
        """See `Outlet`."""
        name = f"epoch-{maps.epoch + 1:03}" + ("" if maps.batch is None else f"-batch-{maps.batch:05}") + ".png"
        for one in maps.pictures:
            path = self._folder / name_of(one) / name
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, one.png)

    def close(self) -> None:
        """See `Outlet`."""


class ToTensorBoard:
    """Writes pictures, and faithfulness as scalars, into the run "gradcam" of a log folder.

    What is written is what `tf.summary.image` and `tf.summary.scalar` write. They need the package of TensorBoard,
    which TensorFlow does not bring any more and which may be on another machine, and take longer to make a PNG.

    Args:
        folder: the log folder, as Keras' `TensorBoard` callback takes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _RUN
        self._writer: Any = None

    def take(self, maps: TrainingMaps) -> None:
        """See `Outlet`."""
        import tensorflow as tf

        with writing(self._folder, tf.errors.OpError):
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._folder))
            with self._writer.as_default(step=maps.step):
                for one in maps.pictures:
                    height, width = one.sheet_size
                    image = tf.constant([str(width), str(height), one.png])
                    tf.summary.write(name_of(one), image, metadata=_metadata("images"))
                if maps.faithfulness is not None:
                    for name, area in asdict(maps.faithfulness).items():
                        tf.summary.write(name, tf.constant(area, tf.float32), metadata=_metadata("scalars"))
            self._writer.flush()

    def close(self) -> None:
        """See `Outlet`. A training that goes on later opens another file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _metadata(kind: str) -> Any:
    """What says which part of TensorBoard shows something: images or scalars."""
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = kind
    return metadata


def name_of(one: PictureMaps) -> str:
    """The name of a picture's folder and chart."""
    return f"picture-{one.number:02}"
