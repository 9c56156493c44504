"""Recordings that were put together: the sound and the subtitles of each part stay with its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from live_gradcam.sources.clock import LONGEST_PAUSE, Clock
from live_gradcam.sources.source import OnPacket

#: Seconds: a packet that is so much too early belongs to another part.
_SET_BACK = Fraction(1, 10)
#: Seconds by which the pictures and the sound of a part begin apart, at most; and that the one comes before the other.
_APART = 2
#: Seconds: times in whole milliseconds are wrong by so much.
_ROUNDED = Fraction(1, 1000)


class Joints:
    """Gives the packets of other streams the times that the pictures beside them have.

    At a joint the clocks of all streams are set to another time. The pictures go on at their usual step; see `Clock`.
    What is heard and read with them is moved by as much. What would then be heard at one time with the part before is
    left out. A stream whose clock jumps where that of the pictures does not is handed on as it is.

    Args:
        clock: of the pictures.
        rate: frames per second.
        receive: is given the packets.
    """

    def __init__(self, clock: Clock, rate: Fraction, receive: OnPacket) -> None:
        self._clock = clock
        self._patience = round(_APART * rate)
        self._receive = receive
        self._streams: dict[int, _Stream] = {}

    def next(self, packet: Any) -> None:
        """Hand on a packet, or keep it until it is known where its part begins."""
        stream = self._streams.setdefault(packet.stream_index, _Stream())
        stream.waiting.append(packet)
        self._hand_on(stream, is_end=False)

    def end(self) -> None:
        """Hand on what is still kept: there are no more pictures."""
        for stream in self._streams.values():
            self._hand_on(stream, is_end=True)

    def _hand_on(self, stream: _Stream, *, is_end: bool) -> None:
        while stream.waiting:
            packet = stream.waiting[0]
            if packet.dts is not None:
                time = packet.dts * packet.time_base
                if stream.jumps_to(time) and not self._follow(stream, time, is_end=is_end):
                    return
                stream.last = time
            stream.waiting.pop(0)
            self._moved(stream, packet)

    def _follow(self, stream: _Stream, time: Fraction, *, is_end: bool) -> bool:
        """Take the offset of the pictures where they jump to a time too. False: they may still come to that."""
        jumps = self._clock.jumps
        for number in range(stream.jumps, len(jumps)):
            if abs(jumps[number].pts - time) <= _APART:
                stream.offset, stream.jumps, stream.asked_at = jumps[number].offset, number + 1, None
                stream.leaves_out_until = stream.is_heard_until
                return True
        if stream.asked_at is None:
            stream.asked_at = self._clock.frames
        if is_end or self._clock.frames - stream.asked_at > self._patience:
            stream.asked_at = None
            return True
        return False

    def _moved(self, stream: _Stream, packet: Any) -> None:
        """Hand on a packet at its new time, unless the part before is still heard then."""
        if packet.dts is not None:
            offset = round(stream.offset / packet.time_base)
            packet.dts += offset
            packet.pts = None if packet.pts is None else packet.pts + offset
            time = packet.dts * packet.time_base
            if stream.leaves_out_until is not None and time < stream.leaves_out_until - _ROUNDED:
                return
            stream.leaves_out_until = None
            if packet.stream.type == "audio":
                stream.is_heard_until = time + (packet.duration or 0) * packet.time_base
        self._receive(packet)


@dataclass
class _Stream:
    """What is known of one stream.

    Attributes:
        waiting: packets of which it is not known yet where they belong.
        offset: seconds, to be added to its times.
        jumps: how many jumps of the pictures are behind it.
        last: seconds, the last packet's own time.
        asked_at: how many frames there had been when a jump of its own was seen; None where none is open.
        is_heard_until: seconds, in its new times; None where it is no sound.
        leaves_out_until: seconds, likewise: at a joint, until when the part before is heard; None anywhere else.
    """

    waiting: list[Any] = field(default_factory=list)
    offset: Fraction = Fraction(0)
    jumps: int = 0
    last: Fraction | None = None
    asked_at: int | None = None
    is_heard_until: Fraction | None = None
    leaves_out_until: Fraction | None = None

    def jumps_to(self, time: Fraction) -> bool:
        """Whether a packet's time does not follow the last one's."""
        return self.last is not None and not self.last - _SET_BACK <= time <= self.last + LONGEST_PAUSE
