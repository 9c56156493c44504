"""Single streams of sound and subtitles on their way into another file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import av

from live_gradcam.sources.clock import LONGEST_PAUSE

_MILLISECONDS = Fraction(1, 1000)
#: Seconds: times in whole milliseconds, or in whole packets, are wrong by so much.
_TOLERATED_GAP = Fraction(30, 1000)
#: Seconds: a packet that is so much too early belongs to another recording. Subtitles may overlap.
_SET_BACK, _SUBTITLES_SET_BACK = Fraction(1, 10), Fraction(10)
#: Seconds: a packet that is so much too late belongs to another time. Between subtitles hours may pass.
_SET_FORWARD, _SUBTITLES_SET_FORWARD = LONGEST_PAUSE, Fraction(24 * 3600)
#: Seconds: a longer gap is left empty, and not filled with silence.
_LONGEST_SILENCE = Fraction(60)
_NO_TEXT = bytes(2)  # mov_text: a length of 0
#: Codecs that say themselves how long decoders warm up, so that Matroska needs no times before 0 s for it.
_WITH_DELAY = frozenset({"opus", "libopus"})
#: What all encoders take, by the number of channels.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class Track(ABC):
    """One stream of the output."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @abstractmethod
    def packets(self, packet: Any) -> list[av.Packet]:
        """What to write for a packet of the source."""

    def rest(self) -> list[av.Packet]:
        """What to write at the end."""
        return []


class CopiedTrack(Track):
    """The packets as they are.

    If their clock jumps where that of the pictures does not (see `sources.joints`), they go on after the last one. If
    the sound's clock has nothing to do with that of the pictures, the sound begins with the pictures.

    Args:
        source: stream to copy.
        output: the container to write to.
        from_zero: leave out what is before 0 s, if all streams would be shifted for it. Decoders throw it away anyway:
            a beginning cut off by an edit list, or the first packet of AAC or MP3, with which they warm up.
    """

    def __init__(self, source: Any, output: Any, *, from_zero: bool) -> None:
        super().__init__(output.add_stream_from_template(source))
        self._from_zero = from_zero
        self._name = source.codec_context.name
        self._is_audio = source.type == "audio"
        self._set_back = _SET_BACK if self._is_audio else _SUBTITLES_SET_BACK
        self._set_forward = _SET_FORWARD if self._is_audio else _SUBTITLES_SET_FORWARD
        self._delay = _delay(source) if self._is_audio else Fraction(0)
        self._says_delay = self._name in _WITH_DELAY or "matroska" in source.container.format.name
        self._offset = 0
        self._last: tuple[int, int] | None = None  # ticks: its time and its duration

    def packets(self, packet: Any) -> list[av.Packet]:
        """See `Track`."""
        if self._is_pause(packet) or (self._from_zero and self._is_thrown_away(packet)):
            return []
        step = self._keep_order(packet)
        if self._is_audio and not packet.duration and step:
            packet.duration = step  # Matroska may not say it, and MP4 needs it for the last packet
        self._last = (packet.dts, packet.duration or 1)
        packet.stream = self.stream
        return [packet]

    def _keep_order(self, packet: Any) -> int:
        """Correct a packet's times. Returns how much later than the last one's they are, in ticks."""
        if self._last is None:
            if self._is_audio and abs(packet.dts * packet.time_base) > LONGEST_PAUSE:
                self._offset = -packet.dts
            packet.dts += self._offset
            packet.pts = None if packet.pts is None else packet.pts + self._offset
            return 0
        step = (packet.dts + self._offset - self._last[0]) * packet.time_base
        if not -self._set_back <= step <= self._set_forward:
            self._offset = sum(self._last) - packet.dts
        packet.dts += self._offset
        packet.dts = max(packet.dts, self._last[0] + self._is_audio)  # subtitles may begin together
        packet.pts = packet.dts if packet.pts is None else max(packet.pts + self._offset, packet.dts)
        return packet.dts - self._last[0]

    def _is_pause(self, packet: Any) -> bool:
        """Whether this is MP4's way to say that no subtitle is shown. Its writer adds such packets itself."""
        return self._name == "mov_text" and packet.size == len(_NO_TEXT) and bytes(packet) == _NO_TEXT

    def _is_thrown_away(self, packet: Any) -> bool:
        time = (packet.dts if packet.pts is None else packet.pts) * packet.time_base
        if self._last is not None or not -LONGEST_PAUSE <= time < 0:
            return False
        return packet.is_discard or not self._says_delay or time < -self._delay - _MILLISECONDS


class EncodedAudio(Track):
    """Sound that is encoded again, every sample at its time.

    What is missing becomes silence. Where the clock jumps and that of the pictures does not (see `sources.joints`), the
    sound goes on. What is before 0 s is left out: all streams would be shifted for it.
    """

    def __init__(self, source: Any, output: Any, encoder: str) -> None:
        self._decoder = source.codec_context
        layout = _LAYOUTS.get(self._decoder.layout.nb_channels, "stereo")
        super().__init__(output.add_stream(encoder, rate=_rate(encoder, self._decoder.sample_rate), layout=layout))
        self._resampler: Any = None
        self._of: tuple[str, str, int] | None = None
        self._fifo = av.AudioFifo()
        self._sent: int | None = None  # samples, from 0 s on
        self._too_early = 0  # samples before 0 s that are still to come
        self._received = Fraction(0)  # seconds
        self._ahead = Fraction(0)

    def packets(self, packet: Any) -> list[av.Packet]:
        """See `Track`."""
        return self._encode(self._decoded(packet))

    def _decoded(self, packet: Any) -> list[av.AudioFrame]:
        try:
            return self._decoder.decode(packet)
        except av.error.FFmpegError:  # a damaged packet is silence
            return []

    def _encode(self, frames: Sequence[av.AudioFrame]) -> list[av.Packet]:
        packets = []
        for frame in frames:
            packets += self._keep_time(frame)
            self._received += Fraction(frame.samples, frame.sample_rate)
            self._store(self._resampled(frame))
            packets += self._ready()
        return packets

    def _keep_time(self, frame: Any) -> list[av.Packet]:
        """Make what was received end where a frame begins."""
        rate = self.stream.codec_context.sample_rate
        if frame.pts is None:
            self._sent = self._sent or 0
            return []
        time = frame.pts * frame.time_base
        if self._sent is None:
            self._ahead = -time if abs(time) > LONGEST_PAUSE else Fraction(0)
            self._received = time + self._ahead
            self._sent, self._too_early = max(0, round(self._received * rate)), max(0, -round(self._received * rate))
        gap: Fraction = time + self._ahead - self._received
        if not -_TOLERATED_GAP <= gap <= LONGEST_PAUSE:
            self._ahead -= gap
            return []
        if gap <= _TOLERATED_GAP:
            return []
        self._received += gap
        self._store([self._silence(round(min(gap, _LONGEST_SILENCE) * rate))])
        packets = self._ready()
        if gap > _LONGEST_SILENCE:
            self._sent += round((gap - _LONGEST_SILENCE) * rate)
        return packets

    def _resampled(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest: list[av.AudioFrame] = []
        if shape != self._of:
            rest = self._resampler.resample(None) if self._resampler else []
            context = self.stream.codec_context
            self._resampler, self._of = av.AudioResampler(context.format, context.layout, context.sample_rate), shape
        return [*rest, *self._resampler.resample(frame)]

    def _silence(self, samples: int) -> av.AudioFrame:
        context = self.stream.codec_context
        frame = av.AudioFrame(context.format.name, context.layout.name, samples)
        frame.sample_rate = context.sample_rate
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        return frame

    def _store(self, frames: Iterable[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts = None
            self._fifo.write(frame)

    def _ready(self, *, partial: bool = False) -> list[av.Packet]:
        """Encode what is a whole frame of the encoder; at the end, also what is a part of one."""
        packets: list[av.Packet] = []
        context = self.stream.codec_context
        if self._too_early and (early := self._fifo.read(self._too_early, partial=True)) is not None:
            self._too_early -= early.samples
        while (frame := self._fifo.read(context.frame_size, partial=partial)) is not None:
            frame.pts, frame.time_base = self._sent, Fraction(1, context.sample_rate)
            self._sent = (self._sent or 0) + frame.samples
            packets += self.stream.encode(frame)
        return packets

    def rest(self) -> list[av.Packet]:
        """See `Track`."""
        packets = self._encode(self._decoded(None))
        if self._resampler:
            self._store(self._resampler.resample(None))
        return [*packets, *self._ready(partial=True), *self.stream.encode(None)]


def _delay(stream: Any) -> Fraction:
    """Seconds of sound before 0 s of which the stream says that decoders throw them away."""
    context = stream.codec_context
    return Fraction(context.delay or 0, context.sample_rate or 48_000)


def _rate(encoder: str, rate: int) -> int:
    """The samples per second that an encoder takes, for sound of so many: as many, or else the next more."""
    rates: Sequence[int] = av.Codec(encoder, "w").audio_rates or [rate]
    return min((known for known in rates if known >= rate), default=max(rates)) if rate else 48_000


class EncodedSubtitles(Track):
    """Subtitles of text in another form.

    MP4 shows one at a time: the next one ends the last one, and those that begin together become one.
    """

    def __init__(self, source: Any, output: Any, encoder: str) -> None:
        super().__init__(output.add_stream(encoder))
        self._decoder = source.codec_context
        self._decoder.open(strict=False)
        self.stream.codec_context.subtitle_header = self._decoder.subtitle_header
        self.stream.codec_context.time_base = _MILLISECONDS
        self._one_at_a_time = encoder == "mov_text"
        self._shown: Any = None  # not written before it is known when the next one begins

    def packets(self, packet: Any) -> list[av.Packet]:
        """See `Track`."""
        encoded = self._encoded(packet)
        if encoded is None or not self._one_at_a_time:
            return [] if encoded is None else [encoded]
        last, self._shown = self._shown, encoded
        if last is None or encoded.pts >= last.pts + last.duration:
            return [] if last is None else [last]
        if encoded.pts <= last.pts:
            self._shown = self._timed(_both_texts(last, encoded), last, max(last.duration, encoded.duration))
            return []
        last.duration = encoded.pts - last.pts
        return [last]

    def _encoded(self, packet: Any) -> Any:
        """The packet in its new form; None if it shows nothing or is damaged."""
        if not packet.size:
            return None
        try:
            subtitles = self._decoder.decode2(packet)
            if subtitles is None:
                return None
            encoded = self.stream.codec_context.encode_subtitle(subtitles)
        except (av.error.FFmpegError, ValueError):
            return None
        return self._timed(encoded, packet, packet.duration or 0)

    def _timed(self, packet: Any, like: Any, duration: int) -> Any:
        packet.time_base, packet.duration = like.time_base, duration
        packet.pts, packet.dts = like.pts, like.dts
        packet.stream = self.stream
        return packet

    def rest(self) -> list[av.Packet]:
        """See `Track`."""
        return [] if self._shown is None else [self._shown]


def _both_texts(*packets: Any) -> av.Packet:
    """Subtitles of MP4 (3GPP TS 26.245: the length of the text, the text, styles) as one, one below the other."""
    contents = [bytes(packet) for packet in packets]
    text = b"\n".join(content[2 : 2 + int.from_bytes(content[:2], "big")] for content in contents)
    return av.Packet(len(text).to_bytes(2, "big") + text)
