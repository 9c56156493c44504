"""Those whose frames are explained: what the pool of workers knows of each, and the viewer behind a connection."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from live_gradcam.serving.messages import Reply, pack_text
from live_gradcam.serving.server.outbox import Outbox

if TYPE_CHECKING:
    from live_gradcam.serving.server.station import Station
    from live_gradcam.serving.server.watching import WatchedSource

_NAME_BYTES = 16
#: What texts begin with that say how things stand: the newest of each is said again when somebody asks for it.
_STANDING = {kind: pack_text(kind)[:-1] for kind in ("ready", "state")}


class Standing:
    """The newest texts that say how things stand: which network there is, and what is chosen."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}

    def note(self, text: bytes) -> bool:
        """Remember a text if it is one of those. Returns whether it is."""
        for kind, beginning in _STANDING.items():
            if text.startswith(beginning):
                self._texts[kind] = text
                return True
        return False

    @property
    def texts(self) -> list[bytes]:
        """What is known so far, the network first."""
        return [self._texts[kind] for kind in _STANDING if kind in self._texts]

    @property
    def state(self) -> bytes | None:
        """What is chosen, if that is known."""
        return self._texts.get("state")


class Explained(ABC):
    """One whose frames are explained: a viewer, or a source that many watch.

    Attributes:
        name: of which nobody else knows.
        station: the worker that explains the frames; None before there is one.
        state: what the worker last said of it that another one needs to go on; None for what all begin with.
        is_pending: whether something will change without a frame.
        standing: how things stand.
    """

    def __init__(self) -> None:
        self.name = secrets.token_urlsafe(_NAME_BYTES)
        self.station: Station | None = None
        self.state: dict[str, Any] | None = None
        self.is_pending = False
        self.standing = Standing()

    def take(self, reply: Reply) -> None:
        """Take what the worker says."""
        for text in reply.texts:
            self.tell(text)
        if reply.state is not None:
            self.state = reply.state
        self.is_pending = reply.pending
        if reply.answer is not None:
            self.show(reply.answer)

    @abstractmethod
    def tell(self, text: bytes) -> None:
        """Take a text message."""

    @abstractmethod
    def show(self, answer: bytes) -> None:
        """Take the answer to a frame."""


class Allowance:
    """How much a viewer may send: so much at once, and so much per second. Who sends more is read more slowly.

    Args:
        per_second: units that come back.
        at_once: units that may be used at once.
    """

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._left = at_once
        self._counted_at = time.monotonic()

    async def use(self, units: float) -> None:
        """Wait until so much may be sent, and count it."""
        now = time.monotonic()
        self._left = min(self._at_once, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        self._left -= units
        await asyncio.sleep(max(0.0, -self._left / self._per_second))  # others have their turn in any case


#: A frame is one unit and a text five: 150 frames or 30 commands per second, which no person and no camera reaches.
TEXT_UNITS = 5
_PER_SECOND, _AT_ONCE = 150, 300


class Viewer(Explained):
    """A viewer behind a connection, whatever kind that is. The viewer's other requests give the name.

    Attributes:
        outbox: what is to be sent.
        allowance: how much may be received.
        watching: the source that is watched; None while the own camera is.
        stuck_since: since when the connection has not taken what is sent, in `time.monotonic()` seconds; None where it
            takes all.
        dropped: set when the connection is to end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox()
        self.allowance = Allowance(_PER_SECOND, _AT_ONCE)
        self.watching: WatchedSource | None = None
        self.stuck_since: float | None = None
        self.dropped = asyncio.Event()

    def tell(self, text: bytes) -> None:
        """Take a text message that is about the own camera."""
        is_standing = self.standing.note(text)
        if not (is_standing and self.watching is not None):
            self.outbox.put_text(text)

    def show(self, answer: bytes) -> None:
        """Take an answer to a frame of the own camera: dropped while a source is watched."""
        if self.watching is None:
            self.outbox.put_answer(answer)

    def say_standing(self) -> None:
        """Say how things stand for what is looked at now."""
        for text in self.looked_at.standing.texts:
            self.outbox.put_text(text)

    def say_state(self) -> None:
        """Say again what is chosen for what is looked at now."""
        state = self.looked_at.standing.state
        if state is not None:
            self.outbox.put_text(state)

    @property
    def looked_at(self) -> Explained:
        """The watched source, or else the viewer: whose frames are seen, and whose commands are done."""
        return self if self.watching is None else self.watching

    def end(self, text: str, *, reconnect: bool) -> None:
        """Say goodbye and end the connection when that is sent."""
        self.outbox.put_text(pack_text("bye", text=text, reconnect=reconnect))
        self.outbox.close()
