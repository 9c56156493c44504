"""A worker without a network, which answers at once or as slowly as it is told, and can be made to fail."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from live_gradcam.errors import LiveGradcamError, ModelError, UsageError
from live_gradcam.serving.messages import FrameBytes, Reply, pack_answer, pack_text

#: The map of every frame.
MAP = np.arange(49, dtype=np.uint8).reshape(7, 7)
_PATIENCE_SECONDS = 60
MODEL = ("taught.keras", b"PK\3\4 a model")


@dataclass(frozen=True)
class Decoded:
    id: int
    flags: int
    time: float
    image: np.ndarray


@dataclass
class FakeWorker:
    """Says of every frame how bright it is.

    Attributes:
        seconds: how long it takes for a frame.
        starting: how long it takes to start.
        fails: what `start` raises instead.
        threads: how many frames it explains at a time. Where that is more than one, each waits for so many.
        only_one: a file that the first worker to start makes; the others fail.
    """

    seconds: float = 0.0
    starting: float = 0.0
    fails: str = ""
    threads: int = 1
    only_one: str = ""
    _pinned: dict[str, int] = field(default_factory=dict)
    _revisions: dict[str, int] = field(default_factory=dict)
    _explained: dict[str, np.ndarray] = field(default_factory=dict)
    _together: threading.Barrier | None = None

    def start(self) -> bytes:
        time.sleep(self.starting)
        if self.only_one:
            try:
                Path(self.only_one).touch(exist_ok=False)
            except FileExistsError:
                raise ModelError("there is memory for one network alone") from None
        if self.fails:
            raise ModelError(self.fails)
        if self.threads > 1:
            self._together = threading.Barrier(self.threads)
        return self._ready()

    def callers(self) -> int:
        return self.threads

    def _ready(self) -> bytes:
        return pack_text("ready", model="fake", methods=["grad-cam"], layers=["last"], process=os.getpid())

    def open(self, viewer: str, state: dict[str, Any] | None) -> list[bytes]:
        self._revisions[viewer] = 1
        self._pinned[viewer] = (state or {}).get("pinned", -1)
        return [self._ready(), self._state(viewer)]

    def _state(self, viewer: str) -> bytes:
        return pack_text("state", revision=self._revisions[viewer], state={"pinned": self._pinned[viewer]})

    def command(self, viewer: str, name: str, argument: Any) -> Reply:
        if name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "sleep":
            time.sleep(argument)
        if name == "wait":
            return Reply(pending=True)
        if name == "stumble":
            raise ZeroDivisionError("a mistake")
        if name not in ("pin", "sleep"):
            raise UsageError(f"there is no command {name!r}")
        self._pinned[viewer] = argument
        self._revisions[viewer] += 1
        return Reply(texts=[self._state(viewer)], state={"pinned": argument})

    def decode(self, frame: FrameBytes) -> Decoded:
        image = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise LiveGradcamError("the picture is damaged")
        return Decoded(frame.id, frame.flags, frame.time, image)

    def explain(self, viewer: str, frame: Decoded) -> Reply:
        time.sleep(self.seconds)
        if self._together is not None:
            self._together.wait(_PATIENCE_SECONDS)
        self._explained[viewer] = frame.image
        height, width = frame.image.shape[:2]
        facts = {
            "revision": self._revisions[viewer],
            "frame": {"width": width, "height": height},
            "brightness": round(float(frame.image.mean()), 1),
            "pinned": self._pinned[viewer],
            "flags": frame.flags,
        }
        return Reply(pack_answer(frame.id, facts, MAP.tobytes()))

    def poll(self, viewer: str) -> Reply:
        return Reply(texts=[pack_text("notice", text="it is done", is_error=False)])

    def close(self, viewer: str) -> None:
        for known in (self._pinned, self._revisions, self._explained):
            known.pop(viewer, None)

    def model(self, viewer: str) -> tuple[str, bytes]:
        if self._pinned[viewer] < 0:
            raise UsageError("nothing was taught")
        return MODEL

    def explain_once(self, jpeg: bytes, classes: list[str]) -> dict[str, Any]:
        if "nobody" in classes:
            raise UsageError("there is no class 'nobody'")
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        return {"width": image.shape[1], "height": image.shape[0], "classes": classes}

    def drawn(self, viewer: str) -> bytes:
        picture = self._explained[viewer].copy()
        cv2.rectangle(picture, (0, 0), (10, 10), (0, 0, 255), -1)
        return cv2.imencode(".jpg", picture)[1].tobytes()
