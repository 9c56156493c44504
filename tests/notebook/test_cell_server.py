"""What a notebook's kernel does for the views of a widget, without a notebook: messages in, messages out."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from toy_networks import pooled_network
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from live_gradcam import SessionOptions, ViewerOptions
from live_gradcam.notebook.cell_server import CellServer
from live_gradcam.serving.explaining.options import checked_session
from live_gradcam.serving.messages import FrameBytes, pack_frame, parse_answer
from live_gradcam.serving.server.colours import colour_table

SECONDS = 120.0
_OURS = "http://localhost:8888"
_JPEG = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8))[1].tobytes()


class Cell:
    """A widget's server, and all that it sends to the browser."""

    def __init__(self, session: SessionOptions, **keywords: Any) -> None:
        self.sent: queue.SimpleQueue[tuple[dict[str, Any], Sequence[bytes]]] = queue.SimpleQueue()
        self.answers: list[bytes] = []
        self.server = CellServer(
            checked_session(session),
            ViewerOptions(smooth=0),
            lambda message, buffers: self.sent.put((message, buffers)),
            self.answers.append,
            **keywords,
        )

    def tell(self, type_: str, *buffers: bytes, **fields: Any) -> None:
        self.server.take({"type": type_, **fields}, [memoryview(buffer) for buffer in buffers])

    def ask(self, type_: str, **fields: Any) -> tuple[dict[str, Any], Sequence[bytes]]:
        """A question, and its answer."""
        self.tell(type_, call="q", **fields)
        while True:
            message, buffers = self.sent.get(timeout=SECONDS)
            if message.get("call") == "q":
                return message, buffers

    def text(self, link: str, kind: str) -> dict[str, Any]:
        """The next text message of a type to a link."""
        while True:
            message, _ = self.sent.get(timeout=SECONDS)
            if message.get("link") == link:
                for text in map(json.loads, message["texts"]):
                    if text["type"] == kind:
                        return text

    def answer(self, link: str) -> bytes:
        """The next answer to a link."""
        while True:
            message, buffers = self.sent.get(timeout=SECONDS)
            if message.get("link") == link and buffers:
                return buffers[0]


@contextmanager
def cell(session: SessionOptions, **keywords: Any) -> Iterator[Cell]:
    made = Cell(session, **keywords)
    try:
        yield made
    finally:
        made.server.close()


def _toy(**changes: Any) -> SessionOptions:
    quick: dict[str, Any] = {"engine": "graph", "lowering": False, "tune": "off", "fit": "stretch"}
    return SessionOptions(model=pooled_network("maps"), **{**quick, **changes})


@pytest.fixture(scope="module")
def one() -> Iterator[Cell]:
    """A server with a network in memory, which is explained in threads."""
    with cell(_toy()) as made:
        yield made


def _frame(number: int) -> bytes:
    return pack_frame(FrameBytes(number, 0, number / 30, _JPEG))


def test_frames_are_explained_by_the_notebooks_messages(one):
    one.tell("open", link="a")
    assert one.text("a", "hello")["limits"]["in_flight"] == 2
    assert one.text("a", "ready")["input"] == {"height": 12, "width": 14}
    one.tell("frame", _frame(1), link="a")
    answer = one.answer("a")
    said = parse_answer(answer)
    assert said.id == 1
    assert said.facts["frame"] == {"width": 64, "height": 36}
    assert one.answers[-1] == answer  # the kernel sees what the browser sees
    one.tell("text", link="a", text='{"type": "command", "name": "pin", "argument": 3}')
    while one.text("a", "state")["state"]["pinned"] != [{"index": 3, "against": None}]:
        pass
    one.tell("frame", _frame(2), link="a")
    assert parse_answer(one.answer("a")).facts["explanation"]["target"] == 3
    assert one.server.connection == "connected by the notebook's messages"
    one.tell("close", link="a")
    one.ask("greet", origin=None)
    assert one.server.connection == "not connected"


def test_a_page_of_this_machine_gets_a_socket_that_lets_it_in_and_no_other(one):
    address = one.ask("greet", origin=_OURS)[0]["socket"]
    with connect(address, additional_headers={"Origin": _OURS}, max_size=None) as socket:
        assert json.loads(socket.recv(SECONDS))["type"] == "hello"
        assert one.server.connection.startswith("connected by a socket to port ")
    without_token = address.partition("?")[0]
    for url, origin in ((address, "http://localhost:9999"), (without_token, _OURS)):
        with pytest.raises(InvalidStatus, match="403"):
            connect(url, additional_headers={"Origin": origin})


def test_a_page_from_elsewhere_gets_none(one):
    assert one.ask("greet", origin=None)[0]["socket"] is None
    with cell(_toy(), use_socket=False) as other:
        assert other.ask("greet", origin=_OURS)[0]["socket"] is None


def test_colours_and_taught_models_are_had_by_messages_too(one):
    message, (table,) = one.ask("fetch", path="/colours/turbo")
    assert (message["status"], table) == (200, colour_table("turbo"))
    assert len(table) == 768
    assert one.ask("fetch", path="/colours/none")[0]["status"] == 404
    assert one.ask("fetch", path="/model?viewer=nobody")[0]["status"] == 404
    one.tell("open", link="m")
    viewer = one.text("m", "hello")["viewer"]
    one.text("m", "ready")
    message, (why,) = one.ask("fetch", path=f"/model?viewer={viewer}")
    assert message["status"] == 409
    assert b"taught" in why
    one.tell("close", link="m")


def test_of_too_many_views_the_one_that_was_silent_for_longest_goes(one):
    for number in range(17):
        one.tell("open", link=f"v{number}")
    one.text("v16", "hello")
    one.tell("frame", _frame(1), link="v0")
    one.tell("frame", _frame(1), link="v1")
    assert parse_answer(one.answer("v1")).id == 1  # and nothing came to v0, which was opened first
    for number in range(17):
        one.tell("close", link=f"v{number}")


def test_a_network_that_does_not_start_is_told():
    with cell(_toy(layer="nowhere")) as made:
        made.tell("open", link="a")
        bye = made.text("a", "bye")
        assert "nowhere" in bye["text"]
        assert not bye["reconnect"]
        assert made.server.failure == bye["text"]
        made.tell("open", link="b")  # one that comes later is told the same
        assert made.text("b", "bye")["text"] == bye["text"]


def test_a_server_that_was_closed_takes_nothing():
    made = Cell(_toy())
    made.server.close()
    made.server.close()
    made.tell("open", link="a")
    with pytest.raises(queue.Empty):
        made.sent.get(timeout=0)
