"""One place between two threads, which is what bounds the latency: nothing can queue up."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Slot(Generic[Item]):
    """Holds one item for the thread that takes it. The newest wins.

    Args:
        keep_all: let the giver wait until the last item is taken, instead of replacing it.

    Attributes:
        replaced: how many items were never taken because a newer one came.
    """

    def __init__(self, *, keep_all: bool = False) -> None:
        self.replaced = 0
        self._keep_all = keep_all
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._error: BaseException | None = None
        self._closed = False

    def put(self, item: Item) -> None:
        """Give an item. Once the slot is closed, it is thrown away."""
        with self._changed:
            if self._keep_all:
                self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return
            self.replaced += self._item is not None
            self._item = item
            self._changed.notify_all()

    def take(self, timeout: float) -> Item | None:
        """The newest item not taken yet, waiting for one if need be.

        Args:
            timeout: the longest wait in seconds.

        Returns:
            The item, or None when none came in time. See `ended` for whether one may still come.

        Raises:
            BaseException: what the slot was closed with, once the item before it is taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            self._changed.notify_all()
            if item is None and self._error is not None:
                raise self._error
            return item

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more comes. What is in the slot can still be taken. A second call does nothing.

        Args:
            error: why; it is raised where the next item would be taken.
        """
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
                self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether it was closed, without an error, and the last item taken."""
        with self._changed:
            return self._closed and self._item is None and self._error is None
