"""The packets of a video file, and what is lost among them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from live_gradcam.sources.wholeness import breaks

_TOLERATED_SECONDS = 0.1  # headers round
_SHORTENED = "avi"  # FFmpeg's name of the format whose duration it shortens to what is there; frames are counted
_MARKED_AHEAD = 3  # so many packets before the one after a break is the one that FFmpeg marks as damaged, at most


class PacketReader:
    """Reads a file's packets, and counts what cannot be read of them.

    Args:
        path: the file.
        container: is open.
        stream: that of the pictures.

    Attributes:
        corrupt: packets that are of no use so far; the decoder adds those that it refuses.
    """

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        self.corrupt = 0
        self._path = path
        self._container = container
        self._stream = stream
        self._marked: list[int] = []  # numbers of packets that FFmpeg marks as damaged
        self._ends: dict[int, Fraction] = {}

    def of(self, *streams: Any) -> Iterator[Any]:
        """The packets of some streams, or of all; those that flush the decoders are the last."""
        with suppress(IndexError):  # PyAV's very end, where it looks for streams that have appeared on the way
            yield from self._container.demux(*streams)

    def all(self) -> Iterator[av.Packet | None]:
        """The packets as far as the file can be read; None is the end after a cut, which flushes the decoder.

        The last packet is left out if it is cut in two: the decoder would refuse it, and PyAV would then not hand out
        the frames before it that the decoder still holds.
        """
        cut_in_two: av.Packet | None = None
        decoded: int | None = None
        count = 0
        try:
            for packet in self.of():
                if packet.stream is self._stream:
                    if cut_in_two is not None and packet.size:
                        self._marked.append(count)
                        yield cut_in_two  # not the last one; such a packet may give a good part of a frame
                    cut_in_two = packet if packet.is_corrupt else None
                    count += 1
                    if is_set_back(decoded, packet.dts):  # recordings were put together: not damage
                        self._marked = [marked for marked in self._marked if marked < count - _MARKED_AHEAD]
                    decoded = packet.dts
                if packet is not cut_in_two:
                    self._note_end(packet)
                    yield packet
        except (av.error.FFmpegError, OSError):
            yield None
        self.corrupt += cut_in_two is not None

    @property
    def marked(self) -> int:
        """How many packets FFmpeg marks as damaged so far."""
        return len(self._marked)

    def breaks(self) -> int:
        """In how many places the file is broken: as FFmpeg marks it, and as its structure shows. May read the file."""
        with suppress(OSError):  # it is gone by now, or its disk is
            return len(self._marked) + breaks(self._path, self._container.format.name)
        return len(self._marked)

    def _note_end(self, packet: av.Packet) -> None:
        """Keep how far, in seconds, a packet's stream has been read."""
        begin = packet.dts if packet.pts is None else packet.pts
        if begin is not None and packet.time_base:
            end = (begin + (packet.duration or 0)) * packet.time_base
            self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))

    def missing_seconds(self, duration: float | None, begin: Fraction, rate: Fraction, count: int) -> float:
        """What the header promises and the packets do not keep.

        A header that speaks of the whole file only (MKV, FLV) is compared with all its streams: the sound may well go
        on after the pictures.

        Args:
            duration: seconds, see `seconds_of`; None if the header does not say.
            begin: seconds, of the pictures, as the header says.
            rate: frames per second.
            count: how many frames were decoded.
        """
        if duration is None or not self._ends or count == 0:
            return duration or 0.0
        if self._stream.frames and count >= self._stream.frames:
            return 0.0
        if self._stream.frames and self._container.format.name == _SHORTENED:
            duration = max(duration, float(self._stream.frames * self._stream.time_base))
        if self._stream.duration:
            first = float(begin)
            end = float(self._ends.get(self._stream.index, 0))
        else:
            first = max(0.0, float(begin)) + min(0, self._container.start_time or 0) / av.time_base
            end = float(max(self._ends.values()))
        missing = duration - (end - first)
        return missing if missing > max(2 / float(rate), _TOLERATED_SECONDS) else 0.0


def is_set_back(decoded: int | None, dts: int | None) -> bool:
    """Whether a stream's clock is set back from the time of a packet to that of the next; None where there is none."""
    return decoded is not None and dts is not None and dts < decoded
