"""Interlaced video as whole pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av


class Deinterlacer:
    """Makes whole pictures of frames that hold two half pictures of different times; passes all others on as they are.

    FFmpeg's bwdif: one picture per frame, at the frame's time. Where a video has one interlaced frame, all from then on
    pass through the filter, which lets progressive ones be.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._shape: tuple[int, int, str] | None = None

    def next(self, picture: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Take the next decoded frame in. The filter looks a frame ahead, so there may be none or two for it."""
        shape = (picture.width, picture.height, picture.format.name)
        if self._graph is not None and shape != self._shape:
            yield from self.rest()
        if self._graph is None:
            if not picture.interlaced_frame:
                yield picture
                return
            self._graph, self._shape = _graph(picture), shape
        self._graph.vpush(picture)
        yield from self._ready()

    def rest(self) -> Iterator[av.VideoFrame]:
        """What the filter still holds."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _graph(picture: av.VideoFrame) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
    )
    source.link_to(filtered := graph.add("bwdif", "mode=send_frame:deint=interlaced"))
    filtered.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
