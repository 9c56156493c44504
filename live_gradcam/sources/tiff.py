"""What a TIFF file says of itself that OpenCV does not pass on. TIFF 6.0, section 2."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY = 12
#: A list of pages that is longer than this leads in a circle.
_MOST_PAGES = 1 << 16


def is_tiff(content: bytes) -> bool:
    """Whether a file is a TIFF, by its first bytes; not one of those for more than 4 GiB."""
    return content[:4] in _ORDERS


def pages(content: bytes) -> int:
    """How many pictures a TIFF holds."""
    return sum(1 for _ in _directories(content))


def is_white_at_zero(content: bytes) -> bool:
    """Whether the first picture of a TIFF has its lowest value as white."""
    order = _ORDERS[content[:4]]
    for at, count in _directories(content):
        for entry in range(at, at + count * _ENTRY, _ENTRY):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", content, entry)
            if tag == _PHOTOMETRIC:
                return bool(value == _WHITE_IS_ZERO)
        break
    return False


def _directories(content: bytes) -> Iterator[tuple[int, int]]:
    """Of each picture where its tags begin, and how many they are, as far as the file is whole."""
    order = _ORDERS[content[:4]]
    (at,) = struct.unpack_from(f"{order}I", content, 4)
    for _ in range(_MOST_PAGES):
        if not 8 <= at <= len(content) - 2:
            return
        (count,) = struct.unpack_from(f"{order}H", content, at)
        after = at + 2 + count * _ENTRY
        if after > len(content) - 4:
            return
        yield at + 2, count
        (at,) = struct.unpack_from(f"{order}I", content, after)
