"""What goes with the pictures from one file to another: sound, subtitles, chapters and what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import av

from live_gradcam.video.encoding import Container

#: Of text, so that they can be written in another form; pictures of text cannot.
_TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})
#: What a container writes itself, of its own file.
_TECHNICAL = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate"})
_MICROSECONDS = Fraction(1, 1_000_000)
_MILLISECONDS = Fraction(1, 1000)


class Accompaniment:
    """Takes packets of sound and subtitles of one file and gives those for another.

    They are copied where the other kind of file carries them; other sound is encoded anew, and so are subtitles of
    text. Add it before the output is begun.

    Args:
        streams: of the source, sound and subtitles.
        output: the container to write to.
        container: its kind.
        shift: seconds that everything is earlier in the output.

    Attributes:
        converted: what was encoded anew, in words: "audio pcm_s16le → aac".
        left_out: what could not be carried: "subtitles hdmv_pgs_subtitle".
    """

    def __init__(
        self, streams: Iterable[Any], output: Any, container: Container, *, shift: Fraction = Fraction(0)
    ) -> None:
        self.converted: list[str] = []
        self.left_out: list[str] = []
        self._shift = shift
        self._tracks: dict[int, _Track] = {}
        for stream in streams:
            track = self._track(stream, output, container)
            if track is not None:
                track.stream.metadata.update(kept_metadata(stream.metadata))
                track.stream.disposition = stream.disposition
                self._tracks[stream.index] = track

    def _track(self, stream: Any, output: Any, container: Container) -> _Track | None:
        name = stream.codec_context.name
        is_audio = stream.type == "audio"
        carried = container.audio if is_audio else container.subtitles
        if carried is None or name in carried:
            try:
                return _Copied(stream, output)
            except ValueError:  # FFmpeg knows better what the container carries
                pass
        encoder = container.audio_encoder if is_audio else container.subtitle_encoder
        if encoder is None or not (is_audio or name in _TEXT_SUBTITLES):
            self.left_out.append(f"{'audio' if is_audio else 'subtitles'} {name}")
            return None
        self.converted.append(f"{'audio' if is_audio else 'subtitles'} {name} → {encoder.removeprefix('lib')}")
        return (_EncodedAudio if is_audio else _EncodedSubtitles)(stream, output, encoder)

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


class _Track:
    """One stream of the output."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def packets(self, packet: Any) -> list[av.Packet]:
        raise NotImplementedError

    def rest(self) -> list[av.Packet]:
        return []


class _Copied(_Track):
    """The packets as they are.

    Where their clock is set back, as in recordings that were put together, they go on after the last one.
    """

    def __init__(self, source: Any, output: Any) -> None:
        super().__init__(output.add_stream_from_template(source))
        self._offset = 0
        self._last: tuple[int, int] | None = None  # ticks: its time and its duration

    def packets(self, packet: Any) -> list[av.Packet]:
        if self._last and packet.dts + self._offset <= self._last[0]:
            self._offset = sum(self._last) - packet.dts
        packet.dts += self._offset
        if packet.pts is not None:
            packet.pts += self._offset
        self._last = (packet.dts, packet.duration or 1)
        packet.stream = self.stream
        return [packet]


class _EncodedAudio(_Track):
    def __init__(self, source: Any, output: Any, encoder: str) -> None:
        rate = source.codec_context.sample_rate
        stream = output.add_stream(encoder, rate=48_000 if encoder == "libopus" or not rate else rate)
        stream.layout = source.codec_context.layout
        super().__init__(stream)
        self._decoder = source.codec_context

    def packets(self, packet: Any) -> list[av.Packet]:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:  # a damaged packet is silence
            return []
        return self._encode(frames)

    def _encode(self, frames: Sequence[av.AudioFrame]) -> list[av.Packet]:
        return [packet for frame in frames for packet in self.stream.encode(frame)]

    def rest(self) -> list[av.Packet]:
        try:
            frames = self._decoder.decode(None)
        except av.error.FFmpegError:
            frames = []
        return [*self._encode(frames), *self.stream.encode(None)]


class _EncodedSubtitles(_Track):
    def __init__(self, source: Any, output: Any, encoder: str) -> None:
        super().__init__(output.add_stream(encoder))
        self._decoder = source.codec_context
        self._decoder.open(strict=False)
        self.stream.codec_context.subtitle_header = self._decoder.subtitle_header
        self.stream.codec_context.time_base = _MILLISECONDS

    def packets(self, packet: Any) -> list[av.Packet]:
        if not packet.size:
            return []
        try:
            subtitles = self._decoder.decode2(packet)
            encoded = self.stream.codec_context.encode_subtitle(subtitles)
        except (av.error.FFmpegError, ValueError):
            return []
        encoded.time_base = packet.time_base
        encoded.pts, encoded.dts, encoded.duration = packet.pts, packet.dts, packet.duration
        encoded.stream = self.stream
        return [encoded]


def kept_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """What a file or a stream says of itself, without what is true of that file alone."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _TECHNICAL and not key.startswith(("_STATISTICS", "BPS", "NUMBER_OF_"))
    }


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
