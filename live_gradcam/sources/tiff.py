"""What a TIFF file says of itself that OpenCV does not pass on. TIFF 6.0, section 2, and BigTIFF; EXIF is one too."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

WIDTH, HEIGHT, BITS = 256, 257, 258
PHOTOMETRIC, WHITE_IS_ZERO, BLACK_IS_ZERO = 262, 0, 1
ORIENTATION = 274
CHANNELS = 277
PLANES, APART = 284, 2
TILE_WIDTH = 322
SAMPLE_FORMAT, UNSIGNED, FRACTIONS = 339, 1, 3
#: What a channel besides grey or the colours is: opacity, which is multiplied into the others already or is not.
EXTRA_SAMPLES, ASSOCIATED, UNASSOCIATED = 338, 1, 2

#: The types of whole numbers, of 1, 2, 4 and 8 bytes, in the letters of `struct`.
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
#: A list of pages that is longer than this leads in a circle; one of tags is none.
_MOST = 1 << 16
_DAMAGED = (struct.error, OSError, OverflowError, ValueError)  # the last three of a place that is no file's


class _Form(NamedTuple):
    """How a file is written, in the letters of `struct`.

    Attributes:
        order: of its bytes.
        place: a place in it.
        length: how many tags a picture has.
        tag: which it is, the type of its values, how many they are, and the values, or their place if they are longer.
    """

    order: str
    place: str
    length: str
    tag: str


def _form(order: str, place: str, length: str) -> _Form:
    return _Form(order, order + place, order + length, f"{order}HH{place}{struct.calcsize(order + place)}s")


_FORMS = {
    b"II*\0": _form("<", "I", "H"),
    b"MM\0*": _form(">", "I", "H"),
    b"II+\0": _form("<", "Q", "Q"),
    b"MM\0+": _form(">", "Q", "Q"),
}


def is_tiff(content: bytes) -> bool:
    """Whether a file is a TIFF, by its first bytes."""
    return content[:4] in _FORMS


def has_opacity(tags: Mapping[int, int]) -> bool:
    """Whether a picture's last channel is its opacity; associated is what is multiplied into the others already."""
    return tags.get(EXTRA_SAMPLES) in (ASSOCIATED, UNASSOCIATED)


def pages(file: BinaryIO) -> int:
    """How many pictures a TIFF holds."""
    return sum(1 for _ in _directories(file))


def read_tags(file: BinaryIO) -> dict[int, int]:
    """The tags of a TIFF's first picture whose values are whole numbers, each with its first; {} of what is no TIFF."""
    found = {}
    for form, directory in _directories(file):
        for tag, kind, count, values in struct.iter_unpack(form.tag, directory):
            if kind not in _NUMBERS:
                continue
            number = form.order + _NUMBERS[kind]
            try:
                if count * struct.calcsize(number) > len(values):
                    found[tag] = _read(file, number, *struct.unpack(form.place, values))
                else:
                    (found[tag],) = struct.unpack_from(number, values)
            except _DAMAGED:
                continue
        break
    return found


def _directories(file: BinaryIO) -> Iterator[tuple[_Form, bytes]]:
    """How each picture's tags are written, and these, as far as the file is whole."""
    file.seek(0)
    form = _FORMS.get(file.read(4))
    if form is None:
        return
    size = struct.calcsize(form.tag)
    try:
        at = _read(file, form.place, struct.calcsize(form.place))
        for _ in range(_MOST):
            if at == 0 or (length := _read(file, form.length, at)) > _MOST:
                return
            directory = file.read(length * size)
            after = file.tell()
            yield form, directory[: len(directory) // size * size]
            at = _read(file, form.place, after)
    except _DAMAGED:
        return


def _read(file: BinaryIO, number: str, at: int) -> int:
    """The number at a place of a file."""
    file.seek(at)
    (value,) = struct.unpack(number, file.read(struct.calcsize(number)))
    return int(value)
