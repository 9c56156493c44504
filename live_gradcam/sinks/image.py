"""Still pictures out: 8-bit BGR as a file of the format that its name asks for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from live_gradcam.errors import OutputError
from live_gradcam.files import write_whole
from live_gradcam.sources.silence import silence_opencv


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture, uint8 (height, width, 3) BGR, in the format of the path's ending: all of it or nothing.

    Raises:
        OutputError: the format is unknown or has no colours, or the file cannot be written.
    """
    path = Path(path)
    write_whole(path, encode_image(path, image))


def check_image_name(path: Path) -> None:
    """Make sure that a path's ending is one of a picture.

    Raises:
        OutputError: the format is unknown or has no colours.
    """
    encode_image(path, np.zeros((1, 1, 3), np.uint8))


def encode_image(path: Path, image: np.ndarray) -> bytes:
    """A picture, uint8 (height, width, 3) BGR, as a file of a name holds it.

    Raises:
        OutputError: the format is unknown or has no colours.
    """
    silence_opencv()
    try:
        done, encoded = cv2.imencode(path.suffix, image)
        if done:
            return encoded.tobytes()
    except cv2.error:
        pass
    raise OutputError(f"cannot write a picture as {path.name!r}: give it an ending such as .png")
