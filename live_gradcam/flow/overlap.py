"""Stages that overlap: one works ahead of the loop and one behind it, each in a thread, with bounded queues between.

Decoding, XLA, drawing and encoding all release Python's interpreter lock while they compute.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

_END = object()


def let_stages_run_on() -> None:
    """Have the system interrupt a running thread less often for another of this process, where it can (Linux).

    For work of which nobody waits for each frame. Call it before the threads start, which inherit it, as processes do.
    """
    if not hasattr(os, "SCHED_BATCH"):
        return
    with suppress(OSError):  # a sandbox forbids it: slower, nothing else
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Ahead(Generic[Item]):
    """Iterates over items that a thread fetches up to `depth` ahead, from now on. Use as a context manager.

    An exception of the items is raised here, in its place. Leaving closes it.

    Args:
        items: what to iterate over.
        depth: how many items may wait.
    """

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._items = items
        self._fetched: queue.Queue[Item | object] = queue.Queue(depth)
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fetch, name="ahead", daemon=True)
        self._thread.start()

    def _fetch(self) -> None:
        try:
            for item in self._items:
                self._put(item)
                if self._stop.is_set():
                    return
        except BaseException as failure:  # raised again in the thread that iterates
            self._failure = failure
        self._put(_END)

    def _put(self, item: Item | object) -> None:
        while not self._stop.is_set():
            try:
                return self._fetched.put(item, timeout=0.1)
            except queue.Full:
                continue

    def __iter__(self) -> Ahead[Item]:
        return self

    def __next__(self) -> Item:
        item = self._fetched.get()
        if item is not _END:
            return item  # type: ignore[return-value]
        self._fetched.put(_END)  # for whoever asks again
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        raise StopIteration

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread after the item in hand, and wait for it."""
        self._stop.set()
        self._thread.join()


class Behind(Generic[Item]):
    """Handles items in order in a thread of its own, up to `depth` behind. Use as a context manager.

    Leaving it waits until all items are handled; leaving it by an exception drops those that wait.

    Args:
        handle: what is done with each item. Its exception is raised by the next `submit`, or on leaving.
        depth: how many items may wait.
    """

    def __init__(self, handle: Callable[[Item], None], depth: int) -> None:
        self._handle = handle
        self._waiting: queue.Queue[Item | object] = queue.Queue(depth)
        self._failure: BaseException | None = None
        self._dropping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="behind", daemon=True)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not _END:
            if self._dropping.is_set():
                continue
            try:
                self._handle(item)  # type: ignore[arg-type]
            except BaseException as failure:  # raised again in the thread that submits
                self._failure = failure
                self._dropping.set()

    def submit(self, item: Item) -> None:
        """Hand over an item, waiting while `depth` others wait.

        Raises:
            BaseException: what an earlier item's handling raised.
        """
        if self._failure is not None:
            raise self._failure
        self._waiting.put(item)

    def __enter__(self) -> Behind[Item]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._dropping.set()
        self._waiting.put(_END)
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure
