"""What a JPEG says of itself, read before anything decodes it: a small file can become a very large picture."""

from __future__ import annotations

import struct

from live_gradcam.serving.messages import MessageError

_START = b"\xff\xd8\xff"
_SCAN = b"\xff\xda"
#: The marker of a scan, after which the size cannot come any more; of those without a length; of frame headers that
#: are decoded here: baseline, extended and progressive.
_SCAN_MARKER, _STANDALONE, _FRAMES = 0xDA, frozenset((0x01, *range(0xD0, 0xDA))), frozenset((0xC0, 0xC1, 0xC2))
#: Other frame headers: without loss, hierarchical, arithmetic. C4, C8 and CC are none.
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: The decoder goes over the whole picture for each scan, of which a byte or two make one. Encoders write 12 at most.
_MOST_SCANS = 24
#: Height and width in a frame header: after marker, length and precision.
_SIZE, _SIZE_AT = struct.Struct(">HH"), 5
_LENGTH = struct.Struct(">H")
_SIZE_ENDS = _SIZE_AT + _SIZE.size


def check_jpeg(jpeg: bytes, most_pixels: int) -> tuple[int, int]:
    """Make sure that a JPEG may be decoded.

    Args:
        jpeg: what somebody sent.
        most_pixels: how many pixels it may have.

    Returns:
        (height, width) in pixels, as its header says.

    Raises:
        MessageError: it is no JPEG of a kind that is decoded, has too many pixels or scans, or ends before its size.
    """
    if not jpeg.startswith(_START):
        raise MessageError("the picture is no JPEG")
    height, width = _size(jpeg)
    if not (height and width):
        raise MessageError("the JPEG does not say how large it is")
    if height * width > most_pixels:
        raise MessageError(f"the picture has {width}x{height} pixels: at most {most_pixels} are taken")
    if jpeg.count(_SCAN) > _MOST_SCANS:
        raise MessageError("the JPEG has too many scans")
    return height, width


def _size(jpeg: bytes) -> tuple[int, int]:
    """(height, width), from the first frame header (ITU-T T.81, B.2.2)."""
    place = 2
    while place + 4 <= len(jpeg):
        if jpeg[place] != 0xFF:
            raise MessageError("the JPEG is damaged")
        marker = jpeg[place + 1]
        if marker == 0xFF:  # any number of these may stand before a marker
            place += 1
        elif marker in _STANDALONE:
            place += 2
        elif marker in _FRAMES:
            if place + _SIZE_ENDS > len(jpeg):
                break
            height, width = _SIZE.unpack_from(jpeg, place + _SIZE_AT)
            return height, width
        elif marker in _OTHER_FRAMES:
            raise MessageError("the JPEG is of a kind that browsers do not show")
        elif marker == _SCAN_MARKER:
            break
        else:
            (length,) = _LENGTH.unpack_from(jpeg, place + 2)
            if length < _LENGTH.size:  # it counts itself
                raise MessageError("the JPEG is damaged")
            place += 2 + length
    raise MessageError("the JPEG is cut off")
