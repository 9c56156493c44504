"""Warnings of workers, such as that pixels are scaled by a guess, are said once by the process that started them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

_NAME = "live_gradcam"
_log = logging.getLogger(_NAME)


@dataclass(frozen=True)
class Done:
    """What a task gave.

    Attributes:
        result: its result.
        messages: warnings that were logged in its process since the task before: of each what it is of a kind with, and
            its text.
    """

    result: Any
    messages: tuple[tuple[str, str], ...]


class Listener(logging.Handler):
    """Keeps the warnings of the process that it is made in, instead of printing them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[tuple[str, str]] = []
        _log.addHandler(self)
        _log.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self._messages.append((str(record.msg), record.getMessage()))

    def done(self, result: Any) -> Done:
        """A task's result, with what was said on the way."""
        messages, self._messages = tuple(self._messages), []
        return Done(result, messages)


class Speaker:
    """Says what is heard of workers: of each kind of line, which may name another frame's class, the first."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def result(self, done: Done) -> Any:
        """The result of a task; what it had to say is said."""
        for kind, text in done.messages:
            if kind not in self._said:
                self._said.add(kind)
                _log.warning("%s", text)
        return done.result
