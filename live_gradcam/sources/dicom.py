"""DICOM pictures, as X-ray, CT and MR machines write them, read by pydicom."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.errors import SourceError, first_line
from live_gradcam.sources.levels import Levels, Pixels

if TYPE_CHECKING:
    from pydicom import Dataset

_MARK, _MARK_AT = b"DICM", 128
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FAR = 1e30  # beyond any window
#: Where a file with several pictures keeps what one of a single picture says at once.
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_IN_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def is_dicom(content: bytes) -> bool:
    """Whether a file is DICOM, by its first 132 bytes."""
    return content[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK


def read_dicom(content: bytes) -> Pixels:
    """Read the first picture of a DICOM file.

    Its values are rescaled as the file says, to Hounsfield units for instance; its own window or table says how they
    are shown. Colours become BGR.

    Raises:
        SourceError: it has no picture, cannot be read, or is compressed in a way that needs another package.
    """
    import pydicom

    try:
        data = pydicom.dcmread(io.BytesIO(content))
        if not any(name in data for name in _PIXELS):
            raise SourceError("this DICOM file has no picture in it")
        return _pixels(data, _stored(data))
    except SourceError:
        raise
    except Exception as error:  # a damaged file makes the library fail in many ways
        raise SourceError(f"it is not a DICOM picture that can be read ({first_line(error)})") from error


def _stored(data: Dataset) -> np.ndarray:
    """The values of the first picture as they are stored; colours as RGB."""
    from pydicom.pixels import apply_color_lut, pixel_array

    syntax = data.file_meta.TransferSyntaxUID
    try:
        stored = pixel_array(data, index=0)
    except (RuntimeError, NotImplementedError) as error:  # of these that read compressed pixels, none does
        if not syntax.is_compressed:
            raise
        raise SourceError(
            f"it is compressed as {syntax.name}, which what is installed does not read: "
            "pip install python-gdcm, or else pylibjpeg pylibjpeg-libjpeg"
        ) from error
    is_palette = data.PhotometricInterpretation == "PALETTE COLOR"
    return np.asarray(apply_color_lut(stored, data) if is_palette else stored)


def _pixels(data: Dataset, stored: np.ndarray) -> Pixels:
    from pydicom.pixels import apply_modality_lut

    count = int(data.get("NumberOfFrames") or 1)
    note = f"holds {count} pictures: only the first one is read" if count > 1 else None
    if stored.ndim == 3:
        return Pixels(np.ascontiguousarray(stored[..., ::-1]), note=note)
    _lift_groups(data)
    values = apply_modality_lut(stored, data)
    shades = _own_shades(values, data)
    if shades is None and "PixelPaddingValue" in data:
        values = np.where(stored == data.PixelPaddingValue, np.nan, values)
    is_inverted = data.PhotometricInterpretation == "MONOCHROME1"
    return Pixels(values, is_inverted=is_inverted, own_shades=shades, note=note)


def _lift_groups(data: Dataset) -> None:
    """Put the first picture's rescaling and window where a file of a single picture has them."""
    for group in _GROUPS:
        for name in _IN_GROUPS:
            for shared in data.get(group, [])[:1]:
                for item in shared.get(name, [])[:1]:
                    data.update(item)


def _own_shades(values: np.ndarray, data: Dataset) -> np.ndarray | None:
    """What the file's table, window or fewer than 8 bits make of the values, uint8; None if it has none of them.

    DICOM PS3.3, C.11.2.1. The window's output has no fixed range: what is far below and far above it shows that.
    """
    from pydicom.pixels import apply_voi, apply_windowing

    if data.get("VOILUTSequence"):
        bits = int(data.VOILUTSequence[0].LUTDescriptor[2])
        return Levels(0, 2**bits - 1).shades(apply_voi(np.rint(values).astype(np.int64), data))
    if data.get("WindowCenter") is None or data.get("WindowWidth") is None:
        is_mask = values.dtype == np.uint8 and data.BitsStored < 8
        return Levels(0, 2**data.BitsStored - 1).shades(values) if is_mask else None
    with np.errstate(over="ignore"):
        black, white = apply_windowing(np.array([-_FAR, _FAR]), data)
        return Levels(black, white).shades(apply_windowing(values, data).astype(np.float64))
