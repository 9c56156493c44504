"""Still pictures: any image file in, 8-bit BGR out."""

from __future__ import annotations

import importlib.util
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from live_gradcam.errors import SourceError
from live_gradcam.files import reading
from live_gradcam.sources.dicom import is_dicom, read_dicom
from live_gradcam.sources.dimensions import size_of
from live_gradcam.sources.heic import is_heic, read_heic
from live_gradcam.sources.levels import Extent, Levels, Pixels
from live_gradcam.sources.stored import read_stored

_log = logging.getLogger(__name__)

#: How JPEG, GIF and BMP begin, which OpenCV reads as 8 bits.
_OF_8_BITS = (b"\xff\xd8", b"GIF8", b"BM")
_MOST_PIXELS = 1 << 30  # that OpenCV takes
_BEGINNING = 132  # DICOM's mark is the last four of these


def read_image(path: str | Path, levels: Levels | None = None) -> np.ndarray:
    """Read a picture: grey ones become three channels, transparency is laid on white, other values become 8 bits.

    The camera's orientation (EXIF) is applied. What 8 bits are made of where the file does not say it, such as 12 bits
    in 16, is said in the log.

    Args:
        path: any format that OpenCV reads, and DICOM and HEIC.
        levels: which values are black and white; None for what the file says, or else what its values are like.

    Returns:
        uint8 (height, width, 3), BGR.

    Raises:
        SourceError: there is no such file, it is not a picture, or a package is missing that reads it.
    """
    pixels = read_pixels(path)
    if pixels.note:
        _log.warning("%s %s", path, pixels.note)
    if said := pixels.too_light(levels):
        _log.warning("%s %s", path, said)
    levels = pixels.taken(levels)
    if levels is None and pixels.need_levels:
        extent = Extent.of(pixels.values)
        if not extent.is_plain:
            _log.warning("%s has %s", path, extent)
        levels = extent.levels
    return pixels.shown(levels)


def read_pixels(path: str | Path) -> Pixels:
    """Read a picture's values as its file has them; transparency is laid on white.

    Raises:
        SourceError: as `read_image`.
    """
    content = _content(path)
    kind = _kind_of(content)
    if kind is not None:
        kind.check(path)
    try:
        if kind is not None:
            pixels: Pixels | None = kind.read(content)
        else:
            stored = read_stored(content)
            pixels = None if stored is None else stored.pixels
    except SourceError as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    if pixels is None:
        height, width = size_of(io.BytesIO(content)) or (1, 1)
        if height * width > _MOST_PIXELS:
            most = _MOST_PIXELS // 1_000_000
            raise SourceError(
                f"cannot read {path}: {width}×{height} pixels are too many: at most {most} million are read"
            )
        raise SourceError(f"{path} is not a picture that can be read")
    return _with_what_is_no_number(pixels, path)


def _with_what_is_no_number(pixels: Pixels, path: str | Path) -> Pixels:
    """The same, with a note where values are NaN or infinite.

    Raises:
        SourceError: all are.
    """
    if pixels.own_shades is not None or not np.issubdtype(pixels.values.dtype, np.floating):
        return pixels
    count = np.count_nonzero(~np.isfinite(pixels.values))
    if count == pixels.values.size:
        raise SourceError(f"{path} has no values that are numbers: all are NaN or infinite")
    if count == 0 or pixels.note is not None:
        return pixels
    return replace(pixels, note=f"has values that are no numbers (NaN or infinite), {count} of {pixels.values.size}")


def read_opacity(path: str | Path) -> np.ndarray | None:
    """How opaque a picture is, place by place, where its file says so.

    Args:
        path: of a picture that `read_image` reads.

    Returns:
        uint8 (height, width), 0 for what is seen through and 255 for what is not, of the size that `read_image` gives;
        None of a picture that is opaque everywhere, or of a format without transparency.

    Raises:
        SourceError: the file cannot be read.
    """
    content = _content(path)
    if _kind_of(content) is not None or content.startswith(b"\xff\xd8"):  # JPEG has no transparency
        return None
    try:
        stored = read_stored(content)
    except SourceError as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    opacity = None if stored is None else stored.opacity
    return None if opacity is None or opacity.min() == 255 else opacity


def _content(path: str | Path) -> bytes:
    with reading(path):
        return Path(path).read_bytes()


def may_need_levels(path: Path) -> bool:
    """Whether a picture may have values that are not 8 bits, as far as a file's first bytes tell it.

    What is no file, such as a pipe, can be read once only, and so is not read to know it.
    """
    begin = beginning_of(path)
    if begin.startswith(b"\x89PNG\r\n\x1a\n"):
        return begin[24:25] == b"\x10"  # the bits of a channel
    return bool(begin) and not (begin.startswith(_OF_8_BITS) or begin[8:12] == b"WEBP" or is_heic(begin))


def check_picture(path: Path) -> None:
    """Make sure, from a file's first bytes alone, that what reads it is installed.

    Raises:
        SourceError: a package is missing.
    """
    kind = _kind_of(beginning_of(path))
    if kind is not None:
        kind.check(path)


def beginning_of(path: Path) -> bytes:
    """The bytes of a file that tell its format; none of what is no file, or cannot be read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            return file.read(_BEGINNING)
    except OSError:
        return b""


@dataclass(frozen=True)
class _Kind:
    """A format that a package of its own reads, which not everybody needs.

    Attributes:
        called: its name.
        package: what reads it.
        extra: of this program, that brings the package.
        is_one: whether a file is of this format, by its first bytes.
        read: its pixels; raises SourceError.
    """

    called: str
    package: str
    extra: str
    is_one: Callable[[bytes], bool]
    read: Callable[[bytes], Pixels]

    def check(self, path: str | Path) -> None:
        """Raise a SourceError if the package is missing."""
        if importlib.util.find_spec(self.package) is None:
            raise SourceError(f"{path} is a {self.called} picture: pip install 'live-gradcam[{self.extra}]' to read it")


_KINDS = (
    _Kind("DICOM", "pydicom", "dicom", is_dicom, read_dicom),
    _Kind("HEIC", "pillow_heif", "heic", is_heic, read_heic),
)


def _kind_of(content: bytes) -> _Kind | None:
    return next((kind for kind in _KINDS if kind.is_one(content)), None)


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


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
