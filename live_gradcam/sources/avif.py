"""What an AVIF file says of its main picture that OpenCV does not pass on: how it is turned, and how many bits it has.

The boxes are those of ISO/IEC 14496-12 and 23008-12. EXIF only repeats how it is turned, and so is not asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_FULL = 4  # bytes of a full box: its version and its flags
_WIDE = 1  # the flag of an ipma whose numbers of properties have two bytes


@dataclass(frozen=True)
class AvifPicture:
    """The main picture of a file.

    Attributes:
        bits: that each value has; None where the file does not say it.
        turns: the name and content of each box that turns or mirrors it, in their order.
    """

    bits: int | None = None
    turns: tuple[tuple[bytes, int], ...] = ()

    def upright(self, image: np.ndarray) -> np.ndarray:
        """Turn an image (height, width, ...) by quarters, and mirror it."""
        for name, content in self.turns:
            if name == b"irot":
                image = np.rot90(image, content & 3)
            elif content & 1:
                image = image[:, ::-1]
            else:
                image = image[::-1]
        return np.ascontiguousarray(image)


def is_avif(content: bytes) -> bool:
    """Whether a file is AVIF, by its first bytes: a brand of it may be the first or one of the others."""
    return content[4:8] == b"ftyp" and b"avif" in content[8:64]


def main_picture(content: bytes) -> AvifPicture:
    """What an AVIF file says of its main picture; nothing where it is damaged."""
    try:
        properties = _properties(content)
        turns = tuple((name, body[0]) for name, body in properties if name in (b"irot", b"imir"))
        bits = (_bits(name, body) for name, body in properties if name in (b"pixi", b"av1C"))
        return AvifPicture(next(bits, None), turns)
    except (struct.error, LookupError):
        return AvifPicture()


def _bits(name: bytes, body: bytes) -> int:
    """Of the first channel; or as AV1's own header has it (AV1 in ISO Base Media File Format, 2.3)."""
    if name == b"pixi":
        return body[_FULL + 1]
    high_bit_depth, twelve_bit = body[2] & 0x40, body[2] & 0x20
    return (12 if twelve_bit else 10) if high_bit_depth else 8


def _properties(content: bytes) -> list[tuple[bytes, bytes]]:
    """The name and content of each property of the main picture, in their order."""
    meta = next((body for name, body in _boxes(content) if name == b"meta"), b"")
    of_meta = dict(_boxes(meta[_FULL:]))
    of_properties = dict(_boxes(of_meta[b"iprp"]))
    of_pictures, properties = of_properties[b"ipma"], list(_boxes(of_properties[b"ipco"]))
    main = struct.unpack_from(">I" if of_meta[b"pitm"][0] else ">H", of_meta[b"pitm"], _FULL)[0]
    return [properties[number - 1] for number in _numbers(of_pictures, main) if number]


def _numbers(of_pictures: bytes, main: int) -> list[int]:
    """The numbers of a picture's properties, counted from 1; 0 is none."""
    picture = ">IB" if of_pictures[0] else ">HB"
    number, essential = ("H", 0x8000) if of_pictures[3] & _WIDE else ("B", 0x80)
    (pictures,) = struct.unpack_from(">I", of_pictures, _FULL)
    at = _FULL + 4
    for _ in range(pictures):
        name, count = struct.unpack_from(picture, of_pictures, at)
        at += struct.calcsize(picture)
        numbers = struct.unpack_from(f">{count}{number}", of_pictures, at)
        if name == main:
            return [found & ~essential for found in numbers]
        at += count * struct.calcsize(number)
    return []


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and content of each box."""
    at = 0
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        begin = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, begin)
            begin += 8
        end = at + length if length else len(content)
        if end < begin:
            return
        yield name, content[begin:end]
        at = end
