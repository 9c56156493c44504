"""Packets of a span of time: what is shown at its start begins there."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from live_gradcam.sources.source import OnPacket

_PGS, _DVD = frozenset({"pgssub", "hdmv_pgs_subtitle"}), frozenset({"dvdsub", "dvd_subtitle"})
#: Of a segment of PGS (US patent 2009/0185789): its kind, and at which byte a composition says its state, and how many
#: objects it shows.
_COMPOSITION, _STATE, _OBJECTS = 0x16, 10, 13
_NORMAL = 0  # a state: it changes what is shown, and needs the compositions before it
#: A tick of the times within a subtitle of DVDs, in seconds.
_DVD_TICK = Fraction(1024, 90000)


def within(start: Fraction | None, end: Fraction | None, on_packet: OnPacket) -> Callable[[Any], None]:
    """The same receiver, for packets of a span of time alone; a subtitle that is shown at its start begins there."""
    before = _ShownBefore()

    def receive(packet: Any) -> None:
        if packet.dts is None:  # nobody knows where it belongs
            return
        if start is not None and packet.stream.type == "subtitle":
            _begin_at(packet, start)
        time = (packet.dts if packet.pts is None else packet.pts) * packet.time_base
        if start is not None and time < start:
            before.keep(packet)
            return
        for shown in before.rest():
            shown.pts = shown.dts = math.ceil((start or 0) / shown.time_base)
            on_packet(shown)
        if end is None or time < end:
            on_packet(packet)

    return receive


class _ShownBefore:
    """Subtitles that are shown until the next one comes, as those of Blu-ray discs are: they say no duration."""

    def __init__(self) -> None:
        self._kept: dict[int, list[Any]] = {}
        self._is_seen: dict[int, bool] = {}

    def keep(self, packet: Any) -> None:
        """Take the next packet of any stream."""
        if packet.stream.type != "subtitle" or packet.stream.codec_context.name not in _PGS:
            return
        content, stream = bytes(packet), packet.stream_index
        if len(content) > _OBJECTS and content[0] == _COMPOSITION:
            if content[_STATE] != _NORMAL:
                self._kept[stream] = []
            self._is_seen[stream] = content[_OBJECTS] > 0
        self._kept.setdefault(stream, []).append(packet)

    def rest(self) -> list[Any]:
        """What makes the picture that is shown now, once."""
        shown = [packet for stream, packets in self._kept.items() if self._is_seen.get(stream) for packet in packets]
        self._kept.clear()
        return shown


def _begin_at(packet: Any, start: Fraction) -> None:
    """Let a subtitle that is shown before and after a time begin at that time, in seconds."""
    begin = packet.dts if packet.pts is None else packet.pts
    late = math.ceil(start / packet.time_base) - begin
    times = _times_within(packet) if packet.stream.codec_context.name in _DVD else {}
    duration = packet.duration or round(max(times.values(), default=0) * _DVD_TICK / packet.time_base)
    if 0 < late < duration:
        packet.pts = packet.dts = begin + late
        packet.duration = duration - late
        ticks = round(late * packet.time_base / _DVD_TICK)
        content = bytearray(bytes(packet))
        for place, time in times.items():
            content[place : place + 2] = max(0, time - ticks).to_bytes(2, "big")
        packet.update(bytes(content))


def _times_within(packet: Any) -> dict[int, int]:
    """At which byte a subtitle of a DVD says a time, and the time: ticks since its beginning."""
    content = bytes(packet)
    times: dict[int, int] = {}
    place, last = int.from_bytes(content[2:4], "big"), 0
    while last < place <= len(content) - 4:  # a list of commands: when, where the next list is, which commands
        times[place] = int.from_bytes(content[place : place + 2], "big")
        last, place = place, int.from_bytes(content[place + 2 : place + 4], "big")
    return times
