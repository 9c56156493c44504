"""Warnings of workers are printed once, by the process that started them."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

_NAME = "live_gradcam"
_log = logging.getLogger(_NAME)


@dataclass(frozen=True)
class TaskResult:
    """The result of a task, with the warnings of its process.

    Attributes:
        result: of the task.
        messages: warnings that were logged since the last task: of each its kind, which is the text before values are
            put in, and its text.
    """

    result: Any
    messages: tuple[tuple[str, str], ...]


class WarningCollector(logging.Handler):
    """Keeps the warnings of the process that it is made in, instead of printing them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[tuple[str, str]] = []
        self._keeping = threading.Lock()  # several threads may end tasks
        _log.addHandler(self)
        _log.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        with self._keeping:
            self._messages.append((str(record.msg), record.getMessage()))

    def done(self, result: Any) -> TaskResult:
        """A task's result, with the warnings since the last one."""
        with self._keeping:
            messages, self._messages = tuple(self._messages), []
        return TaskResult(result, messages)


class WarningRelay:
    """Logs the warnings of workers: of each kind the first, as the others differ only in a frame's class."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def result(self, done: TaskResult) -> Any:
        """The result of a task, whose warnings are logged."""
        for kind, text in done.messages:
            if kind not in self._logged:
                self._logged.add(kind)
                _log.warning("%s", text)
        return done.result
