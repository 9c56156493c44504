"""Jobs for several threads: those of one lane one after another, those of several lanes side by side."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Job = TypeVar("Job")


class Lanes(Generic[Job]):
    """Jobs in the order in which they came. A job waits while one of its lane is being done.

    With one thread that takes them, each is done in the order in which it came.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Job]] = deque()
        self._busy: set[str] = set()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, lane: str, job: Job) -> None:
        """Have a job done after those of its lane."""
        with self._changed:
            self._waiting.append((lane, job))
            self._changed.notify_all()

    def take(self) -> tuple[str, Job] | None:
        """The first job whose lane is free, which is busy from now on; None once it is closed and no job waits."""
        with self._changed:
            while True:
                found = next((one for one in self._waiting if one[0] not in self._busy), None)
                if found is not None:
                    self._waiting.remove(found)
                    self._busy.add(found[0])
                    return found
                if self._is_closed and not self._waiting:
                    return None
                self._changed.wait()

    def done(self, lane: str) -> None:
        """The job of a lane is done."""
        with self._changed:
            self._busy.discard(lane)
            self._changed.notify_all()

    def close(self) -> None:
        """No more jobs come. What waits is still done."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
