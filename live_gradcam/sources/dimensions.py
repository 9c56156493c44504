"""How large a picture is, by the first bytes of its file: before anybody decodes one that would fill the memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from live_gradcam.sources.tiff import HEIGHT, WIDTH, is_tiff, read_tags

#: JPEG's markers that begin a frame, in which its size is: SOF0 to SOF15 without DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def picture_size(path: Path) -> tuple[int, int] | None:
    """(height, width) in pixels of a PNG, JPEG, BMP, TIFF or WebP file; None where its first bytes do not say it."""
    try:
        with path.open("rb") as file:
            return size_of(file)
    except OSError:
        return None


def size_of(file: BinaryIO) -> tuple[int, int] | None:
    """The same of an open file, from its first byte on."""
    try:
        return _size(file)
    except struct.error:
        return None


def _size(file: BinaryIO) -> tuple[int, int] | None:
    begin = file.read(30)
    if begin.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", begin[16:24])
        return height, width
    if begin.startswith(b"\xff\xd8"):
        file.seek(2)
        return _size_of_jpeg(file)
    if begin.startswith(b"BM"):
        width, height = struct.unpack("<ii", begin[18:26])
        return abs(height), width
    if is_tiff(begin):
        tags = read_tags(file)
        return (tags[HEIGHT], tags[WIDTH]) if {HEIGHT, WIDTH} <= tags.keys() else None
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP":
        return _size_of_webp(begin)
    return None


def _size_of_jpeg(file: BinaryIO) -> tuple[int, int] | None:
    while True:
        mark, kind = struct.unpack("BB", file.read(2))
        while kind == 0xFF:  # filling
            (kind,) = struct.unpack("B", file.read(1))
        if mark != 0xFF:
            return None
        if kind in _ALONE:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if kind in _FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return height, width
        file.seek(length - 2, 1)


def _size_of_webp(begin: bytes) -> tuple[int, int] | None:
    kind = begin[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(begin[at : at + 3], "little") + 1 for at in (24, 27))
        return height, width
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", begin[26:30])
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", begin[21:25])
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    return None
