"""Processes that this one starts and ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess

from live_gradcam.flow.stopping import ENDING


class WorkerProcess(SpawnProcess):
    """A process that leaves Ctrl-C and what else ends the work to the one that started it, which alone can end it."""

    def terminate(self) -> None:
        """End it at once: SIGTERM would not."""
        self.kill()


class WorkerContext(SpawnContext):
    """Makes `WorkerProcess`es, for what takes a context of `multiprocessing`. TensorFlow does not survive a fork."""

    Process = WorkerProcess


def leave_signals_to_parent() -> None:
    """Of a process that was started `without_interrupts`: go on ignoring them."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C and the like from their first moment: these go to all of a group at once.

    A terminal does that, and so do systemd and `timeout`. In this process they take effect afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it is started with the first process otherwise, and lets the signals in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def threads_of_each(count: int) -> int:
    """How many threads each of so many processes has that share this machine's processors."""
    return max(1, (os.cpu_count() or 1) // count)
