"""The messages between the page, its server and the workers: their bytes, and what is refused."""

from __future__ import annotations

import json
import math
import random
import struct

import pytest

from live_gradcam.serving.messages import (
    MESSAGE_BYTES,
    NEW_SOURCE,
    STILL,
    Answer,
    Asked,
    FrameBytes,
    MessageError,
    id_of,
    pack_answer,
    pack_frame,
    pack_notice,
    pack_posted,
    pack_text,
    parse_answer,
    parse_frame,
    parse_posted,
    parse_text,
    watched_answer,
)

#: A frame as docs/page-messages.md has it, byte by byte.
FRAME = bytes([1, 1, 0, 3, 7, 1, 0, 0]) + struct.pack("<d", 2.5) + bytes(8) + b"\xff\xd8\xff picture"
TEXTS = (
    b'{"type": "command", "name": "pin", "argument": 281}',
    b'{"type": "command", "name": "view"}',
    b'{"type": "command", "name": "opacity", "argument": 0.25}',
    b'{"type": "command", "name": "teach-name", "argument": "1=cup"}',
    b'{"type": "watch", "source": 0}',
    b'{"type": "watch", "source": null}',
    b'{"type": "ready"}',
    b'{"type": "refresh"}',
)


@pytest.mark.parametrize("name", ["می\u200cخواهم", "👩\u200d🔬", "Äpfel · 2"])
def test_names_of_all_writings_can_be_given(name: str) -> None:
    text = json.dumps({"type": "command", "name": "teach-name", "argument": f"1={name}"})
    assert parse_text(text).argument == f"1={name}"


def test_a_frame_is_24_bytes_and_a_jpeg() -> None:
    frame = FrameBytes(263, NEW_SOURCE | STILL, 2.5, b"\xff\xd8\xff picture")
    assert parse_frame(FRAME) == frame
    assert pack_frame(frame) == FRAME


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"", "the message is cut off"),
        (FRAME[:24], "the message is cut off"),
        (b"\2" + FRAME[1:], "the message is of version 2, and this server speaks version 1"),
        (b"\1\2" + FRAME[2:], "the message is of kind 2: a frame is of kind 1"),
        (FRAME[:2] + b"\1" + FRAME[3:], "the frame is of codec 1, and only JPEG is taken: 0"),
        (FRAME[:3] + b"\4" + FRAME[4:], "the frame has unknown flags: 4"),
        (FRAME[:4] + bytes(4) + FRAME[8:], "the frame has no id: they begin at 1"),
        (
            FRAME + bytes(MESSAGE_BYTES),
            f"the message has {MESSAGE_BYTES + len(FRAME)} bytes, and at most {MESSAGE_BYTES} are taken",
        ),
    ],
)
def test_what_is_no_frame_is_refused(message: bytes, told: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_frame(message)
    assert str(caught.value) == told


def test_what_a_page_may_ask_for() -> None:
    assert [parse_text(text) for text in TEXTS] == [
        Asked("command", "pin", 281),
        Asked("command", "view", None),
        Asked("command", "opacity", 0.25),
        Asked("command", "teach-name", "1=cup"),
        Asked("watch", source=0),
        Asked("watch", source=None),
        Asked("ready"),
        Asked("refresh"),
    ]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[" * 4000,
        "null",
        '{"type": "quit"}',
        '{"type": ["command"]}',
        '{"type": "command"}',
        '{"type": "command", "name": 3}',
        '{"type": "command", "name": "a\\nb"}',
        '{"type": "command", "name": "\\ud800"}',
        '{"type": "command", "name": "pin", "argument": [1]}',
        '{"type": "command", "name": "pin", "argument": NaN}',
        '{"type": "command", "name": "opacity", "argument": 1e999}',
        f'{{"type": "command", "name": "pin", "argument": 1{"0" * 400}}}',
        '{"type": "command", "name": "teach-name", "argument": "\\u0000"}',
        '{"type": "command", "name": "teach-name", "argument": "1=\\u202ecup"}',
        f'{{"type": "command", "name": "teach-name", "argument": "{"a" * 1001}"}}',
        '{"type": "watch", "source": true}',
        '{"type": "watch", "source": -1}',
        '{"type": "ready"}' + " " * 4096,
        b"\xff\xfe\x00",
    ],
)
def test_what_no_page_may_ask_for(message: str | bytes) -> None:
    with pytest.raises(MessageError):
        parse_text(message)


def test_an_answer_and_the_same_for_those_who_watch() -> None:
    answer = pack_answer(9, {"model": "net", "rate": 29.9}, b"\0\x80\xff")
    text = b'{"model":"net","rate":29.9}'
    assert answer == bytes([1, 2, 0, 0, 9, 0, 0, 0, len(text), 0, 0, 0, 0, 0, 0, 0]) + text + b"\0\x80\xff"
    assert parse_answer(answer) == Answer(9, False, {"model": "net", "rate": 29.9}, b"\0\x80\xff", b"")
    watched = watched_answer(answer, b"\xff\xd8\xff", 12)
    assert parse_answer(watched) == Answer(
        9, True, {"model": "net", "rate": 29.9, "viewers": 12}, b"\0\x80\xff", b"\xff\xd8\xff"
    )
    assert id_of(answer) == id_of(watched) == 9


@pytest.mark.parametrize("message", [b"", FRAME, pack_answer(9, {"a": 1}, b"")[:-1], bytes([1, 2]) + bytes(14)])
def test_what_is_no_answer_is_refused(message: bytes) -> None:
    with pytest.raises(MessageError):
        parse_answer(message)


def test_an_answer_has_no_number_that_json_has_not() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack_answer(1, {"rate": math.nan}, b"")


def test_messages_by_post() -> None:
    packed = pack_posted(['{"type":"ready"}', b"\1\2"])
    assert packed == b'\x10\0\0\0\0{"type":"ready"}' + b"\2\0\0\0\1\1\2"
    assert parse_posted(packed) == ['{"type":"ready"}', b"\1\2"]
    assert parse_posted(b"") == []
    for end in (3, 12, len(packed) - 1):
        with pytest.raises(MessageError):
            parse_posted(packed[:end])


def test_texts_are_json_of_one_line() -> None:
    assert (
        pack_text("notice", text="Größe\n“", is_error=False)
        == '{"type":"notice","text":"Größe\\n“","is_error":false}'.encode()
    )


def test_a_notice_has_its_words_and_its_values_apart_so_that_a_page_can_have_it_in_another_language() -> None:
    assert json.loads(pack_notice("{name} is {age}", is_error=True, values={"name": "{age}", "age": 3})) == {
        "type": "notice",
        "text": "{age} is 3",
        "is_error": True,
        "words": "{name} is {age}",
        "values": {"name": "{age}", "age": 3},
    }
    assert pack_notice("any {text}") == pack_text("notice", text="any {text}", is_error=False)


def mutated(message: bytes, chance: random.Random) -> bytes:
    """The message with bytes changed, cut out, put in and doubled."""
    changed = bytearray(message)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(changed) + 1)
        what = chance.randrange(5)
        if what == 0 and changed:
            changed[place % len(changed)] = chance.randrange(256)
        elif what == 1:
            del changed[place : place + chance.randrange(8)]
        elif what == 2:
            changed[place:place] = chance.randbytes(chance.randrange(8))
        elif what == 3:
            changed[place:place] = changed[: chance.randrange(20)]
        else:
            changed = changed[:place]
    return bytes(changed)


def test_ten_thousand_mutated_messages_are_refused_or_are_as_they_must_be() -> None:
    chance = random.Random(19)
    taken = 0
    for _ in range(5000):
        try:
            frame = parse_frame(mutated(FRAME, chance))
        except MessageError:
            continue
        taken += 1
        assert 1 <= frame.id < 1 << 32
        assert frame.flags in (0, 1, 2, 3)
        assert isinstance(frame.time, float)
        assert frame.jpeg
    for _ in range(5000):
        try:
            asked = parse_text(mutated(chance.choice(TEXTS), chance))
        except MessageError:
            continue
        taken += 1
        assert asked.type in ("command", "watch", "ready", "refresh")
        assert isinstance(asked.name, str)
        assert asked.argument is None or isinstance(asked.argument, (str, int, float, bool))
        json.dumps(asked.argument, allow_nan=False).encode()
    assert taken > 500
