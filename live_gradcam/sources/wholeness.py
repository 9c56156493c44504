"""Whether a file's structure is whole, for the kinds of files where FFmpeg passes over a break and says nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

# Matroska and WebM, RFC 9559; their elements, RFC 8794.
_HEADER, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_IN_SEGMENT = {0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
_IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF}
_ANYWHERE = {0xEC, 0xBF}
_LEAVES = frozenset({_HEADER, *_IN_SEGMENT, *_IN_CLUSTER, *_ANYWHERE})
_LONGEST_HEADER = 4 + 8

# GIF89a.
_GIF_HEADER = 13
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B

# Adobe Flash Video File Format Specification 10.1: the header and the length before the first tag, and what is around a
# tag's content.
_FLV, _FLV_HEADER, _AROUND_TAG = b"FLV", 9 + 4, 11 + 4

_CHUNK = 1 << 16


def breaks(path: Path, format_name: str) -> int:
    """In how many places a file's structure is broken, so that what is there cannot be found. Reads through the file.

    Args:
        path: the file.
        format_name: FFmpeg's name of its format. Others than Matroska, WebM, GIF and FLV have 0: there FFmpeg
            reports it.

    Raises:
        OSError: it cannot be read.
    """
    state = path.stat()
    return _breaks(path, format_name, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _breaks(path: Path, format_name: str, size: int, changed: int) -> int:
    """The same, once for a size and a time of change."""
    count = _COUNT.get(format_name)
    if count is None:
        return 0
    with path.open("rb") as file:
        return count(file, size)


def _in_matroska(file: BinaryIO, size: int) -> int:
    """A break is where no element begins that can be there; what follows is found again at the next cluster.

    The elements of clusters are gone through as if they stood beside them, as a cluster's length may be unknown.
    """
    count = at = 0
    end = size
    while at < end:
        identity, begin, length = _element(file, at)
        if identity == _SEGMENT and length is not None:
            end = min(begin + length, size)
        if identity in (_SEGMENT, _CLUSTER):
            at = begin
        elif identity in _LEAVES and length is not None:
            at = begin + length
        else:
            count += 1
            at = _next(file, _CLUSTER.to_bytes(4, "big"), at + 1) or end
    return count + (at > size)


def _element(file: BinaryIO, at: int) -> tuple[int, int, int | None]:
    """An element's identity, where its content begins, and how long that is; None if that is unknown."""
    file.seek(at)
    header = file.read(_LONGEST_HEADER)
    identity_length = _length(header)
    size_length = _length(header[identity_length:])
    begin = identity_length + size_length
    if not identity_length or not size_length or begin > len(header):
        return 0, at, None
    bits = 7 * size_length
    length = int.from_bytes(header[identity_length:begin], "big") & ((1 << bits) - 1)
    is_unknown = length == (1 << bits) - 1
    return int.from_bytes(header[:identity_length], "big"), at + begin, None if is_unknown else length


def _length(number: bytes) -> int:
    """Of how many bytes a number of variable length is: its first byte's leading zeros say it. 0 if it is none."""
    return 9 - number[0].bit_length() if number and number[0] else 0


def _next(file: BinaryIO, content: bytes, at: int) -> int | None:
    """Where something comes next in a file; None if it does not."""
    file.seek(at)
    chunk = b""
    while more := file.read(_CHUNK):
        kept = chunk[-len(content) + 1 :]
        chunk = kept + more
        found = chunk.find(content)
        if found >= 0:
            return file.tell() - len(chunk) + found
    return None


def _in_gif(file: BinaryIO, size: int) -> int:
    """1 where its blocks do not lead to its end, which nothing but an end can be found after."""
    header = file.read(_GIF_HEADER)
    if len(header) < _GIF_HEADER:
        return 1
    file.seek(_colours(header[10]), 1)
    while kind := file.read(1):
        if kind[0] == _TRAILER:
            return 0
        if kind[0] == _EXTENSION:
            file.seek(1, 1)
        elif kind[0] == _IMAGE:
            description = file.read(9)
            if len(description) < 9:
                return 1
            file.seek(_colours(description[8]) + 1, 1)
        else:
            return 1
        while (length := file.read(1)) and length[0]:
            file.seek(length[0], 1)
    return 1


def _colours(flags: int) -> int:
    """How many bytes a table of colours takes, where the flags say that there is one."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _in_flv(file: BinaryIO, size: int) -> int:
    """How often another recording begins where a tag has to: FFmpeg takes its header for a tag, and skips the rest."""
    count, at = 0, _FLV_HEADER
    while at < size:
        file.seek(at)
        tag = file.read(4)
        if tag.startswith(_FLV):
            count += 1
            at += _FLV_HEADER
        else:
            at += _AROUND_TAG + int.from_bytes(tag[1:], "big")
    return count


_COUNT: dict[str, Callable[[BinaryIO, int], int]] = {"matroska,webm": _in_matroska, "gif": _in_gif, "flv": _in_flv}
