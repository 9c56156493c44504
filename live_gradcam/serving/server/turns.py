"""Whose frame is explained next: one place in turn for each viewer, whose newest frame takes the place of an older."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from typing import Generic, TypeVar

from live_gradcam.serving.messages import FrameBytes

Viewer = TypeVar("Viewer")


class Turns(Generic[Viewer]):
    """Frames that wait, one for each viewer at most, in the order in which their viewers came.

    A newer frame takes the place of its viewer's older one. So nobody waits longer because another one sends more.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Viewer, tuple[FrameBytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, viewer: Viewer, frame: FrameBytes, now: float) -> None:
        """Have a frame wait.

        Args:
            viewer: whose it is.
            frame: replaces the one of the same viewer that waits.
            now: when it came, in `time.monotonic()` seconds.
        """
        self._waiting[viewer] = (frame, now)  # an entry that is there keeps its place

    def next(self, now: float, served: Container[Viewer] = ()) -> tuple[Viewer, FrameBytes] | None:
        """The frame whose turn it is, with how long it waited; None where none waits.

        Args:
            now: in `time.monotonic()` seconds.
            served: viewers whose frames wait on, and keep their places.
        """
        viewer = next((one for one in self._waiting if one not in served), None)
        if viewer is None:
            return None
        frame, came = self._waiting.pop(viewer)
        return viewer, frame._replace(waited=now - came)

    def leave(self, viewer: Viewer) -> FrameBytes | None:
        """Take a viewer out. Returns the frame of theirs that waited."""
        entry = self._waiting.pop(viewer, None)
        return entry[0] if entry else None
