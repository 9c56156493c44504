"""Threads that a process may have to leave behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class DetachedThread(threading.Thread):
    """A thread that can hang in a camera's driver or in a compiler, which nothing interrupts.

    It is a daemon, and yet such code may crash when Python shuts down under it: a program that has written its files
    and finds some of them in `detached_threads` should end without that, by `os._exit`.

    Args:
        target: what it runs.
        name: of the thread.
        args: for the target.
    """

    def __init__(self, target: Callable[..., None], name: str, args: tuple[Any, ...] = ()) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)


def detached_threads(seconds: float) -> list[str]:
    """The names of those that still run after so many seconds, in which most come to their end."""
    deadline = time.monotonic() + seconds
    threads = [thread for thread in threading.enumerate() if isinstance(thread, DetachedThread)]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]
