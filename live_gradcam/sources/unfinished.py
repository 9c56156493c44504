"""Why FFmpeg cannot read a file that begins like a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_UNFINISHED = (
    "its index (moov) is missing: the recording was not finished, or only a part of it was copied. Copy or record it "
    "again, or repair it with a tool such as untrunc and another recording of the same camera"
)
_CUT_SHORT = "its index (moov) is cut off at the file's end. Copy it again"
#: What an MP4 or MOV file may begin with, ISO/IEC 14496-12 and QuickTime's.
_FIRST = frozenset({b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"uuid"})
_SHORT, _LONG = 8, 16


def why_unreadable(path: Path) -> str | None:
    """What is wrong with a file that should be a video, where its content tells; None where it does not.

    An MP4 or MOV gets its index when it is finished: a camera without power leaves one without it.
    """
    try:
        size = path.stat().st_size
        boxes = list(_boxes(path, size))
    except OSError:
        return None
    if not boxes or boxes[0][0] not in _FIRST or {b"mdat", b"moov"}.isdisjoint(name for name, _ in boxes):
        return None
    ends = dict(boxes)
    if b"moov" not in ends:
        return None if b"moof" in ends else _UNFINISHED
    return _CUT_SHORT if ends[b"moov"] > size else None


def _boxes(path: Path, size: int) -> Iterator[tuple[bytes, int]]:
    """The outermost boxes of an MP4 or MOV: name, and where it ends, which may be after the file's end."""
    at = 0
    with path.open("rb") as file:
        while at + _SHORT <= size:
            file.seek(at)
            header = file.read(_LONG)
            length, name = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:], "big")
            if length == 0:  # to the file's end; a writer that was killed leaves it so
                length = size - at
            if length < _SHORT:
                return
            at += length
            yield name, at
