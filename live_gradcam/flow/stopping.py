"""Ctrl-C and SIGTERM set a flag that a loop checks, so that it can finish its files."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

#: What ends the work: Ctrl-C, what `kill` sends, and a terminal that is closed or an ssh connection that is lost.
ENDING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopRequest:
    """While entered, the first of the signals that end the work sets `requested`; a second one interrupts at once.

    The second one is not SIGHUP: of a terminal that is closed the system and the shell send one each.

    Signals reach the main thread only; entered elsewhere, nothing is changed. One that is ignored goes on being
    ignored, as what `nohup` and a shell's background start expects.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def _request(self, number: int, _: FrameType | None) -> None:
        if self.requested and number != getattr(signal, "SIGHUP", None):
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
