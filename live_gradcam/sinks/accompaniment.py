"""What goes along with the pictures into another file: sound, subtitles, chapters and what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import av

from live_gradcam.sinks.containers import Container
from live_gradcam.sinks.tracks import CopiedTrack, EncodedAudio, EncodedSubtitles, Track

#: Subtitles of text, which can be written in another form. Pictures of text cannot.
_TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})
#: What each file says of itself alone.
_TECHNICAL = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate", "handler_name", "vendor_id"}
)
_MILLISECONDS = Fraction(1, 1000)


class Accompaniment:
    """Takes packets of sound and subtitles of one file and gives those for another.

    They are copied if the other kind of file carries them. Other sound is encoded again, and so are subtitles of text.
    Make it before the output is begun.

    Args:
        streams: of the source, sound and subtitles.
        output: the container to write to.
        container: its kind.
        shift: seconds by which everything is earlier in the output.

    Attributes:
        converted: what was encoded again, in words: "audio pcm_s16le → aac".
        left_out: what could not be carried: "subtitles hdmv_pgs_subtitle".
    """

    def __init__(
        self, streams: Iterable[Any], output: Any, container: Container, *, shift: Fraction = Fraction(0)
    ) -> None:
        self.converted: list[str] = []
        self.left_out: list[str] = []
        self._shift = shift
        self._tracks: dict[int, Track] = {}
        for stream in streams:
            track = self._track(stream, output, container)
            if track is not None:
                track.stream.metadata.update(_of_track(stream.metadata))
                track.stream.disposition = stream.disposition
                self._tracks[stream.index] = track

    def _track(self, stream: Any, output: Any, container: Container) -> Track | None:
        name = stream.codec_context.name
        is_audio = stream.type == "audio"
        carried = container.audio if is_audio else container.subtitles
        if carried is None or name in carried:
            try:
                return CopiedTrack(stream, output, from_zero=container.from_zero)
            except ValueError:  # FFmpeg knows better what the container carries
                pass
        encoder = container.audio_encoder if is_audio else container.subtitle_encoder
        if encoder is None or not (is_audio or name in _TEXT_SUBTITLES):
            self.left_out.append(name_of(stream))
            return None
        self.converted.append(f"{name_of(stream)} → {encoder.removeprefix('lib')}")
        return (EncodedAudio if is_audio else EncodedSubtitles)(stream, output, encoder)

    def packets(self, packet: Any) -> list[av.Packet]:
        """What to write for a packet of the source, which has a decoding time."""
        track = self._tracks.get(packet.stream_index)
        if track is None:
            return []
        if self._shift:
            ticks = round(self._shift / packet.time_base)
            packet.dts -= ticks
            packet.pts = None if packet.pts is None else packet.pts - ticks
        return track.packets(packet)

    def rest(self) -> list[av.Packet]:
        """What to write at the end."""
        return [packet for track in self._tracks.values() for packet in track.rest()]


def name_of(stream: Any) -> str:
    """A stream of sound or subtitles in words: "audio pcm_s16le"."""
    return f"{'audio' if stream.type == 'audio' else 'subtitles'} {stream.codec_context.name}"


def kept_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a file or a stream says of itself, without what is true of that file alone."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _TECHNICAL and not key.startswith(("_STATISTICS", "BPS", "NUMBER_OF_"))
    }


def _of_track(metadata: dict[str, str]) -> dict[str, str]:
    """What a stream says of itself. MP4 is written from a title, but read as a name."""
    kept = kept_metadata(metadata)
    if "name" in kept:
        kept.setdefault("title", kept.pop("name"))
    return kept


def kept_chapters(chapters: Iterable[Any], start: Fraction | None, end: Fraction | None) -> list[Any]:
    """The chapters of a span of time, in seconds, as PyAV has them, with times from its start on."""
    kept = []
    for chapter in chapters:
        begin, finish = (chapter[edge] * chapter["time_base"] for edge in ("start", "end"))
        begin = begin if start is None else max(begin, start) - start
        finish = (finish if end is None else min(finish, end)) - (start or 0)
        if finish > begin:
            ticks = {"start": round(begin / _MILLISECONDS), "end": round(finish / _MILLISECONDS)}
            kept.append({**chapter, **ticks, "time_base": _MILLISECONDS})
    return kept
