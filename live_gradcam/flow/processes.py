"""Processes that this one starts and ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their first moment: a terminal sends it to all of its processes.

    In this process it takes effect afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def threads_of_each(count: int) -> int:
    """How many threads each of so many processes has that share this machine's processors."""
    return max(1, (os.cpu_count() or 1) // count)
