"""Viewers of one worker, who teach its network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from colours import COLOURS

from live_gradcam import SessionOptions
from live_gradcam.serving.explaining.worker import Worker
from live_gradcam.serving.messages import FrameBytes, parse_answer
from live_gradcam.serving.options import ViewerOptions


class School:
    """Viewers of one worker, each with a clock that goes on."""

    def __init__(self, session: SessionOptions, **options: Any) -> None:
        self.worker = Worker(session, ViewerOptions(smooth=0, **options))
        self.worker.start()
        self.said: dict[str, list[dict[str, Any]]] = {}
        self.state: dict[str, dict[str, Any]] = {}
        self._draw, self._count = np.random.default_rng(5), 0

    def draw_anew(self) -> None:
        """The next frames are the same whatever came before."""
        self._draw = np.random.default_rng(6)

    def open(self, viewer: str) -> None:
        self.said[viewer] = []
        self._hear(viewer, self.worker.open(viewer))

    def _hear(self, viewer: str, texts: list[bytes]) -> None:
        for message in map(json.loads, texts):
            if message["type"] == "state":
                self.state[viewer] = message["state"]
            else:
                self.said[viewer].append(message)

    def do(self, viewer: str, name: str, argument: Any = None) -> None:
        self._hear(viewer, self.worker.command(viewer, name, argument).texts)

    def show(self, viewer: str, colour: str) -> dict[str, Any]:
        """Show a frame of a colour. Returns what is said of it."""
        self._count += 1
        image = np.clip(np.array(COLOURS[colour]) + self._draw.integers(-20, 21, (24, 28, 3)), 0, 255)
        jpeg = cv2.imencode(".jpg", image.astype(np.uint8))[1].tobytes()
        frame = FrameBytes(self._count, 0, 0.1 * self._count, jpeg)
        reply = self.worker.explain(viewer, self.worker.decode(frame))
        self._hear(viewer, reply.texts)
        assert reply.answer is not None, reply.texts
        return parse_answer(reply.answer).facts

    def names(self, viewer: str, colour: str) -> str:
        """What a colour is called; nothing while nothing is taught."""
        explanation = self.show(viewer, colour)["explanation"]
        return "" if explanation is None else str(explanation["predictions"][0]["label"])

    def wait(self, viewer: str, condition: Callable[[dict[str, Any]], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition(self.state[viewer]):
            assert time.monotonic() < deadline, (self.state[viewer], self.said[viewer])
            self._hear(viewer, self.worker.poll(viewer).texts)
            time.sleep(0.02)

    def begin(self, viewer: str) -> None:
        self.do(viewer, "teach", True)
        self.wait(viewer, lambda state: state["teaching_panel"]["is_ready"])

    def collect(self, viewer: str, index: int, colour: str, count: int = 6) -> None:
        before = self.counts(viewer).get(index, 0)
        self.do(viewer, "teach-hold", index)
        for _ in range(count):
            self.show(viewer, colour)
        self.do(viewer, "teach-release")
        self.wait(viewer, lambda _: self.counts(viewer).get(index, 0) == before + count)

    def counts(self, viewer: str) -> dict[int, int]:
        return {row["index"]: row["count"] for row in self.state[viewer]["teaching_panel"]["rows"]}

    def errors(self, viewer: str) -> list[str]:
        return [message["text"] for message in self.said[viewer] if message.get("is_error")]


def lesson(school: School, viewer: str) -> list[dict[str, Any]]:
    """Teach two classes. Returns what is said of a picture of each when the network names them."""
    school.begin(viewer)
    taught = {"red": "class 1", "green": "class 2"}
    for index, colour in enumerate(taught, 1):
        school.collect(viewer, index, colour)
    deadline = time.monotonic() + 60
    while any(school.names(viewer, colour) != name for colour, name in taught.items()):  # the head is fitted behind
        assert time.monotonic() < deadline, school.said[viewer]
    school.draw_anew()
    answers: list[dict[str, Any]] = [school.show(viewer, colour)["explanation"] for colour in taught]
    assert not school.errors(viewer)
    return answers
