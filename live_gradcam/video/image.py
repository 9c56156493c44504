"""Still pictures: any image file in, 8-bit BGR out; PNG out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from live_gradcam.errors import OutputError, SourceError

#: What counts as a picture, by its ending.
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"})


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture: grey ones become three channels, transparency is laid on white, 16 bits become 8.

    The camera's orientation (EXIF) is applied.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        SourceError: there is no such file, or it is not a picture.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    as_stored = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    if as_stored is None:
        raise SourceError(f"{path} is not a picture that can be read")
    if as_stored.ndim == 3 and as_stored.shape[2] == 4:
        return _on_white(_eight_bits(as_stored))
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return (image // 257).astype(np.uint8) if image.dtype == np.uint16 else image


def _on_white(image: np.ndarray) -> np.ndarray:
    opacity = image[:, :, 3:].astype(np.float32) / 255
    return np.rint(image[:, :, :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture, uint8 (height, width, 3) BGR, in the format of the path's ending.

    Raises:
        OutputError: the format is unknown or the file cannot be written.
    """
    path = Path(path)
    try:
        encoded = cv2.imencode(path.suffix, image)[1]
    except cv2.error as error:
        raise OutputError(f"cannot write a picture as {path.name!r}: give it an ending such as .png") from error
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
