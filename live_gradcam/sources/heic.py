"""HEIC pictures, as phones take them, read by pillow-heif."""

from __future__ import annotations

import io

import numpy as np

from live_gradcam.errors import SourceError, first_line
from live_gradcam.sources.levels import Pixels, on_white

#: The brands of still pictures and of sequences in HEVC (ISO/IEC 23008-12). AVIF has others, and OpenCV reads it.
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


def is_heic(content: bytes) -> bool:
    """Whether a file is HEIC, by its first bytes."""
    return content[4:8] == b"ftyp" and content[8:12] in _BRANDS and b"avif" not in content[12:64]


def read_heic(content: bytes) -> Pixels:
    """Read the main picture of a HEIC file, turned as it says, transparency laid on white; 8 bits.

    Raises:
        SourceError: it cannot be read.
    """
    import pillow_heif

    try:
        image = pillow_heif.open_heif(io.BytesIO(content), bgr_mode=True)
        values = np.array(image)  # a copy: what pillow-heif gives cannot be written to
        has_alpha, is_premultiplied = image.has_alpha, image.premultiplied_alpha
    except Exception as error:  # the library names no kinds
        raise SourceError(f"it is not a HEIC picture that can be read ({first_line(error)})") from error
    if has_alpha:
        values = on_white(values, is_premultiplied=is_premultiplied)
    return Pixels(np.ascontiguousarray(values))
