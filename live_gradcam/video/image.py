"""Still pictures: any image file in, 8-bit BGR out; PNG out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from live_gradcam.errors import OutputError, SourceError
from live_gradcam.video.output import writing
from live_gradcam.video.silence import silence_opencv


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture: grey ones become three channels, transparency is laid on white, 16 bits become 8.

    The camera's orientation (EXIF) is applied to pictures without transparency.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        SourceError: there is no such file, or it is not a picture.
    """
    silence_opencv()
    try:
        encoded = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    image = _decode(encoded, cv2.IMREAD_UNCHANGED)
    if image is not None and image.ndim == 3 and image.shape[2] == 4 and image.dtype in (np.uint8, np.uint16):
        return on_white(_eight_bits(image))
    image = _decode(encoded, cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f"{path} is not a picture that can be read")
    return image


def _decode(encoded: np.ndarray, flags: int) -> np.ndarray | None:
    """The picture; None if it is none, or one of more pixels than OpenCV takes."""
    try:
        return cv2.imdecode(encoded, flags) if encoded.size else None
    except cv2.error:
        return None


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def on_white(image: np.ndarray) -> np.ndarray:
    """A picture with transparency, uint8 (height, width, 4), laid on white: uint8 (height, width, 3)."""
    opacity = image[:, :, 3:].astype(np.float32) / 255
    return np.rint(image[:, :, :3] * opacity + 255 * (1 - opacity)).astype(np.uint8)


def as_bgr(image: np.ndarray | None) -> np.ndarray | None:
    """Whatever a camera gives as uint8 (height, width, 3) BGR: grey, with transparency, of 16 bits.

    Returns:
        The picture; None if it is empty or none of these.
    """
    if image is None or image.size == 0 or image.dtype not in (np.uint8, np.uint16):
        return None
    image = _eight_bits(image)
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels == 3:
        return image
    if channels not in (1, 4):
        return None
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if channels == 1 else cv2.COLOR_BGRA2BGR)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture, uint8 (height, width, 3) BGR, in the format of the path's ending.

    Raises:
        OutputError: the format is unknown or has no colours, or the file cannot be written.
    """
    path = Path(path)
    encoded = encode_image(path, image)
    with writing(path):
        path.write_bytes(encoded)


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
