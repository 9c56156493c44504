"""Whether a PNG or WebP file holds more than one picture, which OpenCV does not say. A GIF is read as a video."""

from __future__ import annotations

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_AROUND = 12  # of a chunk of a PNG: its length, its name, and its sum
_FLAGS = 20  # where those of a WebP's extended header are
_ANIMATION = 0x02


def is_animated(content: bytes) -> bool:
    """Whether a file is an animated PNG (PNG, third edition, 11.3.6) or an animated WebP (RFC 9649, 2.7)."""
    if content.startswith(_PNG):
        return _has_control_of_animation(content)
    if content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8X":
        return len(content) > _FLAGS and bool(content[_FLAGS] & _ANIMATION)
    return False


def _has_control_of_animation(content: bytes) -> bool:
    """Whether there is such a chunk (acTL) before the first picture, for more than one of them."""
    at = len(_PNG)
    while at + _AROUND <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        if name == b"IDAT":
            return False
        if name == b"acTL" and at + _AROUND + length <= len(content) and length >= 4:
            (pictures,) = struct.unpack_from(">I", content, at + 8)
            return bool(pictures > 1)
        at += _AROUND + length
    return False
