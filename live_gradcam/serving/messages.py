"""The messages between the page, its server and the workers: see docs/page-messages.md. Packed and parsed here alone.

Whatever comes from a page is refused with a `MessageError`, or is as it must be: nothing else comes out of a parser.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from live_gradcam.errors import LiveGradcamError
from live_gradcam.networks.class_names import is_shown

VERSION = 1
#: The largest message that a page may send, in bytes.
MESSAGE_BYTES = 1 << 20
#: How many frames of a viewer may be in flight.
IN_FLIGHT = 2
#: Flags of a frame: the first of another source; a still picture.
NEW_SOURCE, STILL = 1, 2

_FRAME, _ANSWER, _WATCHED = 1, 2, 3
_JPEG = 0
#: Version, kind, codec, flags, id, time; 8 bytes of 0 follow.
_FRAME_HEAD = struct.Struct("<BBBBId8x")
#: Version, kind, id, length of the JSON, length of the JPEG.
_ANSWER_HEAD = struct.Struct("<BB2xIII")
_POSTED_HEAD = struct.Struct("<IB")
_TEXT_BYTES = 4096
_LONGEST_NAME, _LONGEST_ARGUMENT = 64, 1000
_LARGEST_WHOLE = 1 << 53


class MessageError(LiveGradcamError):
    """A message of a page is not as it must be."""


class FrameBytes(NamedTuple):
    """A frame of a viewer, as it came.

    Attributes:
        id: from 1, each larger than the one before.
        flags: `NEW_SOURCE` and `STILL`, or 0.
        time: of the frame in seconds, on the viewer's own clock: any number, also none.
        jpeg: of the picture. What the server hands on begins as a JPEG and is of a size that may be decoded.
        waited: seconds from when it came to when a worker was free for it.
    """

    id: int
    flags: int
    time: float
    jpeg: bytes
    waited: float = 0.0


class Reply(NamedTuple):
    """What a worker has to say to a viewer.

    Attributes:
        answer: the answer to a frame, ready to send; None where there is none.
        texts: text messages to send before it.
        state: the viewer's state for another worker; None where it has not changed.
        pending: whether something will change without a frame: a class is being compiled, a network taught.
    """

    answer: bytes | None = None
    texts: list[bytes] = []  # noqa: RUF012 of a NamedTuple, and never changed
    state: dict[str, Any] | None = None
    pending: bool = False


class Answer(NamedTuple):
    """An answer, taken apart.

    Attributes:
        id: of the frame.
        is_watched: whether the frame is of a source of the server.
        facts: its JSON.
        maps: count · height · width bytes.
        jpeg: the watched frame; empty for the viewer's own.
    """

    id: int
    is_watched: bool
    facts: dict[str, Any]
    maps: bytes
    jpeg: bytes


class Asked(NamedTuple):
    """A text message of a page.

    Attributes:
        type: what it is.
        name: of the command.
        argument: of the command, a plain value.
        source: the number of the source to watch; None for the viewer's own camera.
    """

    type: Literal["command", "watch", "ready", "refresh"]
    name: str = ""
    argument: str | int | float | bool | None = None
    source: int | None = None


# --- from the page ------------------------------------------------------------------------------------------------


def pack_frame(frame: FrameBytes) -> bytes:
    """A frame as a page sends it."""
    return _FRAME_HEAD.pack(VERSION, _FRAME, _JPEG, frame.flags, frame.id, frame.time) + frame.jpeg


def parse_frame(message: bytes) -> FrameBytes:
    """The frame in a binary message of a page. Its JPEG is not looked at.

    Raises:
        MessageError: it is too short or too large, of another version, kind or codec, or has no id.
    """
    if len(message) > MESSAGE_BYTES:
        raise MessageError(f"the message has {len(message)} bytes, and at most {MESSAGE_BYTES} are taken")
    if len(message) <= _FRAME_HEAD.size:
        raise MessageError("the message is cut off")
    version, kind, codec, flags, number, time = _FRAME_HEAD.unpack_from(message)
    if version != VERSION:
        raise MessageError(f"the message is of version {version}, and this server speaks version {VERSION}")
    if kind != _FRAME:
        raise MessageError(f"the message is of kind {kind}: a frame is of kind {_FRAME}")
    if codec != _JPEG:
        raise MessageError(f"the frame is of codec {codec}, and only JPEG is taken: {_JPEG}")
    if flags & ~(NEW_SOURCE | STILL):
        raise MessageError(f"the frame has unknown flags: {flags}")
    if number == 0:
        raise MessageError("the frame has no id: they begin at 1")
    return FrameBytes(number, flags, time, message[_FRAME_HEAD.size :])


def parse_text(message: str | bytes) -> Asked:
    """What a text message of a page asks for.

    Raises:
        MessageError: it is too long, no JSON, or not one of those that a page may send.
    """
    if len(message) > _TEXT_BYTES:
        raise MessageError(f"the text message is too long: at most {_TEXT_BYTES} bytes are taken")
    try:
        content = json.loads(message, parse_constant=_no_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise MessageError("the text message is no JSON") from None
    if not isinstance(content, dict):
        raise MessageError("the text message is no JSON object")
    kind = content.get("type")
    if kind == "command":
        return Asked("command", name=_name(content.get("name")), argument=_argument(content.get("argument")))
    if kind == "watch":
        return Asked("watch", source=_source(content.get("source")))
    if kind == "ready":
        return Asked("ready")
    if kind == "refresh":
        return Asked("refresh")
    raise MessageError("the text message is of no known type")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        raise MessageError("the command has no name")
    return value


def _argument(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST_ARGUMENT and all(map(is_shown, value)):
        return value
    if isinstance(value, int) and abs(value) <= _LARGEST_WHOLE:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise MessageError("the argument of the command is no plain value")


def _source(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_WHOLE):
        return value
    raise MessageError("the source to watch is no number")


# --- from the server ----------------------------------------------------------------------------------------------


def pack_text(type_: str, **fields: Any) -> bytes:
    """A text message of the server: JSON.

    Raises:
        ValueError: a number that JSON does not have.
    """
    return _json({"type": type_, **fields})


def pack_notice(words: str, *, is_error: bool = False, values: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """A line for a viewer, in English. The page has many of them in other languages, by their words.

    Args:
        words: with the values as {name}; without values it is any text.
        is_error: whether something went wrong.
        values: by name.
    """
    if not values:
        return pack_text("notice", text=words, is_error=is_error)
    return pack_text("notice", text=words.format(**values), is_error=is_error, words=words, values=dict(values))


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def pack_answer(number: int, facts: dict[str, Any], maps: bytes) -> bytes:
    """The answer to a viewer's own frame.

    Args:
        number: the frame's id.
        facts: its JSON.
        maps: count · height · width bytes.

    Raises:
        ValueError: a number that JSON does not have.
    """
    text = _json(facts)
    return b"".join((_ANSWER_HEAD.pack(VERSION, _ANSWER, number, len(text), 0), text, maps))


def watched_answer(answer: bytes, jpeg: bytes, viewers: int) -> bytes:
    """The same answer for those who watch the source that the frame is of.

    Args:
        answer: what `pack_answer` gave.
        jpeg: the frame.
        viewers: how many watch.
    """
    version, _, number, length, _ = _ANSWER_HEAD.unpack_from(answer)
    end = _ANSWER_HEAD.size + length
    count = f',"viewers":{viewers}}}'.encode()  # in the place of the brace that ends the object
    head = _ANSWER_HEAD.pack(version, _WATCHED, number, length - 1 + len(count), len(jpeg))
    return b"".join((head, memoryview(answer)[_ANSWER_HEAD.size : end - 1], count, memoryview(answer)[end:], jpeg))


def id_of(answer: bytes) -> int:
    """The id of the frame that an answer is to."""
    return int(_ANSWER_HEAD.unpack_from(answer)[2])


def parse_answer(message: bytes) -> Answer:
    """An answer, as a client of the page's server takes it apart.

    Raises:
        MessageError: it is no answer, or cut off.
    """
    if len(message) < _ANSWER_HEAD.size:
        raise MessageError("the answer is cut off")
    version, kind, number, text_length, jpeg_length = _ANSWER_HEAD.unpack_from(message)
    if version != VERSION or kind not in (_ANSWER, _WATCHED):
        raise MessageError("the message is no answer")
    text_end = _ANSWER_HEAD.size + text_length
    maps_end = len(message) - jpeg_length
    if maps_end < text_end:
        raise MessageError("the answer is cut off")
    try:
        facts = json.loads(message[_ANSWER_HEAD.size : text_end])
    except ValueError:
        raise MessageError("the answer has no JSON") from None
    return Answer(number, kind == _WATCHED, facts, message[text_end:maps_end], message[maps_end:])


# --- by POST ------------------------------------------------------------------------------------------------------


def pack_posted(messages: list[bytes | str]) -> bytes:
    """Messages of the server as the answer to a POST: texts as `str`, answers as `bytes`."""
    parts = []
    for message in messages:
        content = message.encode() if isinstance(message, str) else message
        parts += [_POSTED_HEAD.pack(len(content), isinstance(message, bytes)), content]
    return b"".join(parts)


def parse_posted(content: bytes) -> list[bytes | str]:
    """The messages in the answer to a POST.

    Raises:
        MessageError: it is cut off.
    """
    messages: list[bytes | str] = []
    place = 0
    while place < len(content):
        if len(content) - place < _POSTED_HEAD.size:
            raise MessageError("the messages are cut off")
        length, is_binary = _POSTED_HEAD.unpack_from(content, place)
        place += _POSTED_HEAD.size
        if len(content) - place < length:
            raise MessageError("the messages are cut off")
        message = content[place : place + length]
        messages.append(message if is_binary else message.decode())
        place += length
    return messages
