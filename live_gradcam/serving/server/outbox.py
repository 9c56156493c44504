"""What is on its way to one viewer. It cannot grow: of answers the newest alone waits, and texts are few."""

from __future__ import annotations

import asyncio
from collections import deque

#: A viewer who leaves so many texts lie has stopped reading.
_MOST_TEXTS = 256


class Outbox:
    """Messages that wait until a viewer's connection takes them.

    Attributes:
        is_closed: whether nothing more is put in.
        is_overfull: whether the viewer let too much lie.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self.is_overfull = False
        self._texts: deque[str] = deque()
        self._answer: bytes | None = None
        self._changed = asyncio.Event()

    def put_text(self, text: bytes) -> None:
        """Add a text message."""
        if self.is_closed:
            return
        if len(self._texts) >= _MOST_TEXTS:
            self.is_overfull = True
            self.close()
            return
        self._texts.append(text.decode())
        self._changed.set()

    def put_answer(self, answer: bytes) -> None:
        """Put an answer in the place of one that is not sent: it is one to every earlier frame, too."""
        if not self.is_closed:
            self._answer = answer
            self._changed.set()

    def close(self) -> None:
        """Nothing more comes; what waits can still be taken."""
        self.is_closed = True
        self._changed.set()

    async def take(self) -> list[bytes | str]:
        """All that waits, texts before the answer. Waits for something; nothing once the outbox is closed and empty."""
        await self._changed.wait()
        messages: list[bytes | str] = [*self._texts]
        self._texts.clear()
        if self._answer is not None:
            messages.append(self._answer)
            self._answer = None
        if not self.is_closed:
            self._changed.clear()
        return messages
