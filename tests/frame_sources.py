"""A source of frames that a test makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from live_gradcam.sources.frame import Frame
from live_gradcam.sources.source import FrameSource


class GivenFrames(FrameSource):
    """Gives frames as if they came from a camera; closes what they come from.

    Args:
        frames: in order.
        is_live: False for a recording.
    """

    name = "given"

    def __init__(self, frames: Iterable[Frame], *, is_live: bool = True) -> None:
        self.is_live = is_live
        self._frames: Any = frames

    def frames(self) -> Iterator[Frame]:
        yield from self._frames

    def close(self) -> None:
        if hasattr(self._frames, "close"):
            self._frames.close()
