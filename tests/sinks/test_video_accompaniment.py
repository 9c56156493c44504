"""What goes along with the pictures: sound and subtitles at their time, chapters and what the file says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from video_files import SAMPLE_RATE, audio_packets, make_video, number_of, numbered

from live_gradcam.sinks.accompaniment import kept_chapters, kept_metadata
from live_gradcam.sinks.sink import Extras
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.reader import VideoReader

pytestmark = pytest.mark.versions

_MILLISECOND = Fraction(1, 1000)
_SECONDS = 2
_CLICK = Fraction(8, 5)  # seconds


def _annotate(
    source: Path, target: Path, start: Fraction | None = None, end: Fraction | None = None
) -> tuple[list[str], list[str]]:
    """Write a file again, as `annotating` does it. Returns what was converted and what was left out."""
    waiting: list[av.Packet] = []
    with VideoReader(source) as reader:
        shift = Fraction(0) if start is None else start // reader.time_base * reader.time_base
        writer: VideoWriter | None = None
        for frame in reader.frames(start=start, end=end, on_packet=waiting.append):
            writer = writer or VideoWriter(
                target,
                size=frame.image.shape[:2],
                frame_rate=reader.frame_rate,
                time_base=reader.time_base,
                extras=Extras(
                    reader.others,
                    shift,
                    kept_metadata(reader.metadata),
                    kept_chapters(reader.chapters, start, end),
                ),
            )
            writer.write(frame.image, frame.pts - shift)
            while waiting:
                writer.write_packet(waiting.pop(0))
        assert writer is not None
        while waiting:
            writer.write_packet(waiting.pop(0))
        writer.finish()
    return writer.carried


def _times(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [frame.pts for frame in reader.frames()]


def _wave(seconds: float = _SECONDS, frequency: float = 440.0, channels: int = 2) -> np.ndarray:
    """A soft tone and a loud click, float32 (channels, samples)."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = 0.1 * np.sin(2 * np.pi * frequency * time)
    click = round(float(_CLICK) * SAMPLE_RATE)
    wave[click : click + 48] = 0.9
    return np.stack([wave] * channels).astype(np.float32)


def _sounding(
    path: Path,
    codecs: Sequence[str],
    *,
    wave: np.ndarray | None = None,
    rate: int = SAMPLE_RATE,
    layout: str = "stereo",
    video: str = "libx264",
    languages: Sequence[str] = (),
    dispositions: Sequence[Disposition] = (),
    metadata: dict[str, str] | None = None,
    chapters: Sequence[Any] = (),
) -> Path:
    """A video of numbered pictures and a sound, once for each codec."""
    wave = _wave() if wave is None else wave
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        container.set_chapters(list(chapters))
        pictures: Any = container.add_stream(video, rate=25, options={"cpu-used": "8"} if "vpx" in video else {})
        pictures.height, pictures.width, pictures.pix_fmt = 48, 64, "yuv420p"
        tracks: list[Any] = []
        for index, codec in enumerate(codecs):
            options = {"strict": "experimental"} if codec == "vorbis" else {}
            track: Any = container.add_stream(codec, rate=rate, layout=layout, options=options)
            track.codec_context.bit_rate = 192_000
            if languages:
                track.metadata["language"] = languages[index]
                track.metadata["title"] = f"Track {index}"
            if dispositions:
                track.disposition = dispositions[index]
            tracks.append(track)
        container.start_encoding()
        for index in range(round(wave.shape[1] / SAMPLE_RATE * 25)):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="bgr24").reformat(format="yuv420p")
            picture.pts = index
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        for track in tracks:
            _encode(container, track, wave, rate, layout)
    return path


def _encode(container: Any, track: Any, wave: np.ndarray, rate: int, layout: str) -> None:
    context = track.codec_context
    length = context.frame_size or 1024
    resampler = av.AudioResampler(context.format, layout, rate)
    for begin in range(0, wave.shape[1], length):
        piece = wave[:, begin : begin + length]
        frame = av.AudioFrame.from_ndarray(piece.T.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        for resampled in resampler.resample(frame):
            container.mux(track.encode(resampled))
    container.mux(track.encode(None))


def _heard(path: Path, track: int = 0) -> tuple[np.ndarray, int, float]:
    """The samples of all channels together as they lie in time, the rate, and the time of the first one in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        rate = stream.codec_context.sample_rate
        resampler = av.AudioResampler("fltp", "mono", rate)
        frames = [mono for frame in container.decode(stream) for mono in resampler.resample(frame)]
    begin = frames[0].pts * frames[0].time_base
    samples = np.zeros(0)
    for frame in frames:  # of several in a packet only the first has a time
        place = samples.size if frame.pts is None else round((frame.pts * frame.time_base - begin) * rate)
        samples = np.concatenate([samples[:place], np.zeros(max(0, place - samples.size)), frame.to_ndarray()[0]])
    return samples, rate, float(begin)


def _click_time(path: Path, track: int = 0) -> float:
    samples, rate, begin = _heard(path, track)
    return begin + float(np.abs(samples).argmax()) / rate


def _frequency(path: Path, track: int = 0) -> float:
    """The loudest frequency, in Hz, of the second before the click."""
    samples, rate, begin = _heard(path, track)
    first = round((0.4 - begin) * rate)
    spectrum = np.abs(np.fft.rfft(samples[first : first + rate] * np.hanning(rate)))
    return float(spectrum.argmax())  # a second has bins of 1 Hz


# --- sound that is copied -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3", "flac", "libopus", "alac"])
@pytest.mark.parametrize("source_ending", ["mp4", "mkv"])
def test_sound_is_copied(tmp_path: Path, codec: str, source_ending: str) -> None:
    source = _sounding(tmp_path / f"in.{source_ending}", [codec])
    given = audio_packets(source)
    assert len(given) > 15
    warming_up = sum(time < 0 for time, _ in given)
    assert warming_up <= 1
    for ending in ("mp4", "mkv"):
        target = tmp_path / f"out.{ending}"
        assert _annotate(source, target) == ([], [])
        # Matroska has no times before 0: what MP4's edit list takes away at the beginning is left out there
        is_left_out = (source_ending, ending) == ("mp4", "mkv") and codec != "libopus"
        expected, taken = given[warming_up if is_left_out else 0 :], audio_packets(target)
        assert [payload for _, payload in taken] == [payload for _, payload in expected]
        difference = [abs(ours - theirs) for (ours, _), (theirs, _) in zip(taken, expected, strict=True)]
        assert max(difference) <= (0 if ending == "mp4" else _MILLISECOND / 2)
        assert _times(target) == _times(source) == [Fraction(i, 25) for i in range(25 * _SECONDS)]
        assert _click_time(target) == pytest.approx(float(_CLICK), abs=0.005)


def test_opus_in_webm_is_copied(tmp_path: Path) -> None:
    source = _sounding(tmp_path / "in.webm", ["libopus"], video="libvpx-vp9")
    assert _annotate(source, tmp_path / "out.webm") == ([], [])
    assert audio_packets(tmp_path / "out.webm") == audio_packets(source)
    assert _times(tmp_path / "out.webm") == _times(source)


def test_a_beginning_that_an_edit_list_cuts_off_shifts_nothing(tmp_path: Path) -> None:
    source, trimmed = _sounding(tmp_path / "in.mp4", ["aac"]), tmp_path / "trimmed.mp4"
    cut = Fraction(12, 25)
    with av.open(str(source)) as container, av.open(str(trimmed), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                ticks = round(cut / packet.time_base)
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    times = [Fraction(i, 25) for i in range(25 * _SECONDS - 12)]
    for ending in ("mp4", "mkv", "webm"):
        target = tmp_path / f"out.{ending}"
        _annotate(trimmed, target)
        assert _times(target) == times, ending
        assert _click_time(target) == pytest.approx(float(_CLICK - cut), abs=0.005), ending


@pytest.mark.slow
@pytest.mark.parametrize("source_ending", ["mkv", "mp4"])
def test_several_tracks_keep_their_language_and_disposition(tmp_path: Path, source_ending: str) -> None:
    source = tmp_path / f"in.{source_ending}"
    languages = ["deu", "fra", "eng"]
    dispositions = [Disposition(0), Disposition.default, Disposition.forced]
    _sounding(source, ["aac", "libopus", "ac3"], languages=languages, dispositions=dispositions)
    for ending in ("mp4", "mkv", "webm"):
        target = tmp_path / f"out.{ending}"
        converted, left_out = _annotate(source, target)
        assert converted == (["audio aac → opus", "audio ac3 → opus"] if ending == "webm" else [])
        assert left_out == []
        with av.open(str(target)) as container:
            tracks = container.streams.audio
            assert [track.metadata["language"] for track in tracks] == languages
            titles = [track.metadata.get("title") or track.metadata["name"] for track in tracks]
            assert titles == ["Track 0", "Track 1", "Track 2"]
            kept = [track.disposition & (Disposition.default | Disposition.forced) for track in tracks]
            assert kept == dispositions
            assert not any({"HANDLER_NAME", "NAME"} & set(track.metadata) for track in tracks)
        for track in range(3):
            assert _click_time(target, track) == pytest.approx(float(_CLICK), abs=0.01)


# --- sound that is encoded anew -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source_ending", "codec"),
    [
        ("mkv", "pcm_s16le"),
        ("mov", "pcm_s16le"),
        ("avi", "pcm_s16le"),
        ("wmv", "wmav2"),
        ("mkv", "mp2"),
        ("mkv", "vorbis"),
    ],
)
def test_what_mp4_does_not_carry_becomes_aac(tmp_path: Path, source_ending: str, codec: str) -> None:
    source, target = tmp_path / f"in.{source_ending}", tmp_path / "out.mp4"
    _sounding(source, [codec], video="mpeg4")
    _becomes(source, target, "aac", codec)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "pcm_s16le", "flac", "ac3"])
def test_what_webm_does_not_carry_becomes_opus(tmp_path: Path, codec: str) -> None:
    source, target = _sounding(tmp_path / "in.mkv", [codec]), tmp_path / "out.webm"
    _becomes(source, target, "opus", codec)


def _becomes(source: Path, target: Path, to: str, codec: str) -> None:
    names = {"libmp3lame": "mp3float"}
    assert _annotate(source, target) == ([f"audio {names.get(codec, codec)} → {to}"], [])
    assert _times(target) == _times(source)
    (given, rate, theirs), (taken, _, ours) = _heard(source), _heard(target)
    frame = 1024 / SAMPLE_RATE + 0.001  # with which AAC warms up, and Matroska's and WMV's milliseconds
    assert ours == pytest.approx(theirs, abs=frame)
    assert ours + taken.size / SAMPLE_RATE == pytest.approx(theirs + given.size / rate, abs=frame)
    assert _click_time(target) == pytest.approx(_click_time(source), abs=0.003)
    assert _click_time(target) == pytest.approx(float(_CLICK), abs=0.06)  # AVI and WMV tell no encoder's delay
    assert _frequency(target) == pytest.approx(440, abs=1)
    second = slice(SAMPLE_RATE // 4, SAMPLE_RATE)
    assert np.std(taken[second]) == pytest.approx(np.std(given[second]), rel=0.1)  # as loud as it was


@pytest.mark.parametrize(("rate", "expected"), [(8000, 8000), (22_050, 22_050), (37_800, 44_100), (192_000, 96_000)])
def test_rates_that_aac_does_not_know(tmp_path: Path, rate: int, expected: int) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    time = np.arange(2 * rate) / rate
    wave = np.stack([0.3 * np.sin(2 * np.pi * 440 * time)] * 2).astype(np.float32)
    _sounding(source, ["pcm_s16le"], wave=wave, rate=rate)
    _annotate(source, target)
    samples, out_rate, begin = _heard(target)
    assert out_rate == expected
    assert begin == pytest.approx(0, abs=1024 / expected)
    assert samples.size / expected == pytest.approx(2, abs=2 * 1024 / expected)
    spectrum = np.abs(np.fft.rfft(samples[expected // 2 : expected // 2 + expected]))
    assert spectrum.argmax() == pytest.approx(440, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "channels", "expected"),
    [("mono", 1, 1), ("5.1(side)", 6, 6), ("5.1", 6, 6), ("7.1", 8, 8), ("2.1", 3, 3)],
)
@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_channels_that_an_encoder_does_not_know(
    tmp_path: Path, layout: str, channels: int, expected: int, ending: str
) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out.{ending}"
    _sounding(source, ["pcm_s16le"], wave=_wave(1, channels=channels), layout=layout)
    _annotate(source, target)
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.layout.nb_channels == expected
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 0.97 * SAMPLE_RATE


def test_a_damaged_packet_is_silence_and_shifts_nothing(tmp_path: Path) -> None:
    source = _sounding(tmp_path / "in.mkv", ["flac"])
    content = source.read_bytes()
    for _, payload in audio_packets(source)[3:7]:
        assert content.count(payload) == 1
        content = content.replace(payload, bytes(len(payload)))
    source.write_bytes(content)
    for target in (tmp_path / "out.webm", tmp_path / "out.mkv"):
        _annotate(source, target)
        assert _times(target) == [Fraction(i, 25) for i in range(25 * _SECONDS)]
    samples, rate, begin = _heard(tmp_path / "out.webm")
    assert _click_time(tmp_path / "out.webm") == pytest.approx(float(_CLICK), abs=0.005)
    hole = samples[round((0.31 - begin) * rate) : round((0.64 - begin) * rate)]  # frames of 4608 samples, 0.096 s
    assert np.abs(hole).max() < 0.02
    assert np.abs(samples[round((0.7 - begin) * rate) : round((1.0 - begin) * rate)]).max() > 0.08


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_packets_whose_times_tremble_do_not_drift(tmp_path: Path, ending: str) -> None:
    """Every tenth has the time of the one before, as a clock of whole milliseconds may say."""
    source, shaky, target = tmp_path / "in.mkv", tmp_path / "shaky.mkv", tmp_path / f"out.{ending}"
    _sounding(source, ["aac"])
    with av.open(str(source)) as container, av.open(str(shaky), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        count = last = 0
        for packet in container.demux():
            if packet.size and packet.stream.type == "audio":
                count += 1
                if count % 10 == 0:
                    packet.pts = packet.dts = last
                last = packet.pts
            if packet.size:
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    given = audio_packets(shaky)
    assert sum(b[0] == a[0] for a, b in pairwise(given)) > 5
    _annotate(shaky, target)
    taken = audio_packets(target)
    assert [payload for _, payload in taken] == [payload for _, payload in given]
    assert max(abs(ours - theirs) for (ours, _), (theirs, _) in zip(taken, given, strict=True)) <= 2 * _MILLISECOND


def test_a_pause_of_the_sound_stays_one(tmp_path: Path) -> None:
    source, paused, target = _sounding(tmp_path / "in.mkv", ["pcm_s16le"]), tmp_path / "paused.mkv", tmp_path / "o.mp4"
    with av.open(str(source)) as container, av.open(str(paused), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.size and not (packet.stream.type == "audio" and 500 <= packet.pts < 1200):
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    _annotate(paused, target)
    samples, rate, begin = _heard(target)
    assert _click_time(target) == pytest.approx(float(_CLICK), abs=0.005)
    assert np.abs(samples[round((0.56 - begin) * rate) : round((1.15 - begin) * rate)]).max() < 0.005


def test_sound_of_recordings_put_together_is_encoded_on(tmp_path: Path) -> None:
    part, both, target = tmp_path / "part.ts", tmp_path / "both.ts", tmp_path / "out.webm"
    make_video(part, [numbered(i) for i in range(50)], codec_options={"bf": "0"}, audio_codec="aac", audio_seconds=2)
    both.write_bytes(part.read_bytes() * 2)
    assert _annotate(both, target) == (["audio aac → opus"], [])
    samples, rate, _ = _heard(target)
    assert samples.size / rate == pytest.approx(4, abs=0.1)
    with av.open(str(target)) as container:
        times = [packet.pts for packet in container.demux(audio=0) if packet.size]
    assert max(b - a for a, b in pairwise(times)) <= 21  # milliseconds; Opus has frames of 20


# --- a part of a recording ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source_ending", "codec", "ending"),
    [
        ("mp4", "aac", "mp4"),
        ("mkv", "ac3", "mkv"),
        ("mkv", "pcm_s16le", "mp4"),
        ("mp4", "flac", "webm"),
        ("mp4", "aac", "mkv"),
    ],
)
def test_a_part_is_shifted_as_a_whole(tmp_path: Path, source_ending: str, codec: str, ending: str) -> None:
    source, target = tmp_path / f"in.{source_ending}", tmp_path / f"out.{ending}"
    _sounding(source, [codec], wave=_wave(3))
    start, end = Fraction(26, 25), Fraction(61, 25)
    _annotate(source, target, start, end)
    with VideoReader(target) as reader:
        frames = list(reader.frames())
    assert [number_of(frame.image) for frame in frames] == list(range(26, 61))
    assert [frame.pts for frame in frames] == [Fraction(i, 25) for i in range(35)]
    assert _click_time(target) == pytest.approx(float(_CLICK - start), abs=0.005)
    samples, rate, begin = _heard(target)
    assert 0 <= begin + 0.0005 <= 0.1
    assert begin + samples.size / rate == pytest.approx(float(end - start), abs=0.1)


# --- subtitles ----------------------------------------------------------------------------------------------------

_LINES = [(500, 1700, "Hello world"), (2100, 3000, "Two\nlines & more: ü 猫")]
_ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,0,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.70,Default,,0,0,0,,Hello {\\i1}world{\\i0}
Dialogue: 0,0:00:02.10,0:00:03.00,Default,,0,0,0,,Two\\Nlines & more: ü 猫
"""
_SRT = """1
00:00:00,500 --> 00:00:01,700
Hello <i>world</i>

2
00:00:02,100 --> 00:00:03,000
Two
lines & more: ü 猫

"""
_VTT = """WEBVTT

00:00:00.500 --> 00:00:01.700
Hello <i>world</i>

00:00:02.100 --> 00:00:03.000
Two
lines &amp; more: ü 猫
"""


_OVERLAPPING = """1
00:00:00,500 --> 00:00:01,500
A

2
00:00:00,500 --> 00:00:02,000
B

3
00:00:01,800 --> 00:00:03,000
C

"""


_LONG = """1
00:00:00,500 --> 00:00:03,900
A

"""


def _subtitled(tmp_path: Path, kind: str, *, key_frames: int = 250) -> Path:
    """A video of 4 s with `_LINES` as subtitles in German, which are to be shown in any case."""
    options = {"bf": "0", "g": str(key_frames)}
    video = make_video(tmp_path / "plain.mp4", [numbered(i) for i in range(100)], codec_options=options)
    if kind == "mov_text":
        return _with_mov_text(video, tmp_path / "in.mp4")
    text = tmp_path / f"lines.{kind}"
    texts = {"srt": _SRT, "ass": _ASS, "vtt": _VTT, "overlapping.srt": _OVERLAPPING, "long.srt": _LONG}
    text.write_text(texts[kind], encoding="utf-8")
    path = tmp_path / "in.mkv"
    with av.open(str(video)) as pictures, av.open(str(text)) as subtitles, av.open(str(path), "w") as output:
        streams = [output.add_stream_from_template(pictures.streams[0])]
        streams.append(output.add_stream_from_template(subtitles.streams[0]))
        streams[1].metadata["language"] = "deu"
        streams[1].disposition = Disposition.forced
        packets = [(packet, streams[0]) for packet in pictures.demux() if packet.size]
        packets += [(packet, streams[1]) for packet in subtitles.demux() if packet.size]
        for packet, stream in sorted(packets, key=lambda each: each[0].dts * each[0].time_base):
            packet.stream = stream
            output.mux(packet)
    return path


def _with_mov_text(video: Path, path: Path) -> Path:
    with av.open(str(video)) as pictures, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(pictures.streams[0])
        subtitles: Any = output.add_stream("mov_text")
        subtitles.time_base = _MILLISECOND
        subtitles.metadata["language"] = "deu"
        subtitles.disposition = Disposition.forced
        subtitles.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n"
        output.start_encoding()
        for packet in pictures.demux():
            if packet.size:
                packet.stream = stream
                output.mux(packet)
        for begin, end, line in _LINES:
            text = line.encode()
            packet = av.Packet(len(text).to_bytes(2, "big") + text)
            packet.pts = packet.dts = begin
            packet.duration, packet.time_base, packet.stream = end - begin, _MILLISECOND, subtitles
            output.mux(packet)
    return path


def _lines(path: Path) -> tuple[str, str, Disposition, list[tuple[float, float, str]]]:
    """Codec, language, disposition; begin and end in milliseconds, and text, of each subtitle that is not blank."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.subtitles
        name = stream.codec_context.name
        lines = []
        for packet in container.demux(stream):
            content = bytes(packet)
            if name == "mov_text":
                content = content[2 : 2 + int.from_bytes(content[:2], "big")]
            if content:
                begin = packet.pts * packet.time_base * 1000
                lines.append((float(begin), float(begin + packet.duration * packet.time_base * 1000), content.decode()))
        return name, stream.metadata["language"], stream.disposition & Disposition.forced, lines


@pytest.mark.parametrize("kind", ["srt", "ass", "vtt", "mov_text"])
def test_subtitles_in_mp4(tmp_path: Path, kind: str) -> None:
    source, target = _subtitled(tmp_path, kind), tmp_path / "out.mp4"
    names = {"srt": "srt", "ass": "ssa", "vtt": "webvtt"}
    converted = [] if kind == "mov_text" else [f"subtitles {names[kind]} → mov_text"]
    assert _annotate(source, target) == (converted, [])
    assert _lines(target) == ("mov_text", "deu", Disposition.forced, _LINES)
    with av.open(str(target)) as container:  # blanks only where nothing is shown
        durations = [packet.duration for packet in container.demux(subtitles=0) if packet.size]
    assert min(durations) > 0
    assert _times(target) == _times(source)


@pytest.mark.parametrize("kind", ["srt", "ass", "vtt"])
def test_subtitles_are_copied_in_mkv(tmp_path: Path, kind: str) -> None:
    source, target = _subtitled(tmp_path, kind), tmp_path / "out.mkv"
    assert _annotate(source, target) == ([], [])
    assert _lines(target) == _lines(source)
    with av.open(str(source)) as before, av.open(str(target)) as after:  # the styles of ASS
        contexts = [container.streams.subtitles[0].codec_context for container in (before, after)]
        assert contexts[0].extradata == contexts[1].extradata


def test_subtitles_of_mp4_in_mkv(tmp_path: Path) -> None:
    source, target = _subtitled(tmp_path, "mov_text"), tmp_path / "out.mkv"
    assert _annotate(source, target) == (["subtitles mov_text → subrip"], [])
    name, language, disposition, lines = _lines(target)
    assert (name, language, disposition) == ("srt", "deu", Disposition.forced)
    assert [(begin, end) for begin, end, _ in lines] == [(begin, end) for begin, end, _ in _LINES]
    assert all(text in line for (_, _, line), (_, _, text) in zip(lines, _LINES, strict=True))  # and a font


@pytest.mark.parametrize("kind", ["srt", "ass", "vtt", "mov_text"])
def test_subtitles_in_webm(tmp_path: Path, kind: str) -> None:
    source, target = _subtitled(tmp_path, kind), tmp_path / "out.webm"
    converted, left_out = _annotate(source, target)
    assert [text.endswith(" → webvtt") for text in converted] == [True] * (kind != "vtt")
    assert left_out == []
    name, language, _, lines = _lines(target)
    assert (name, language) == ("webvtt", "deu")
    hello = "Hello world" if kind == "mov_text" else "Hello <i>world</i>"
    assert [(b, e, line.replace("&amp;", "&")) for b, e, line in lines] == [(500, 1700, hello), _LINES[1]]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_subtitles_of_a_part_are_shifted(tmp_path: Path, ending: str) -> None:
    source, target = _subtitled(tmp_path, "srt"), tmp_path / f"out.{ending}"
    _annotate(source, target, Fraction(2), Fraction(7, 2))
    _, _, _, lines = _lines(target)
    assert lines == [(100, 1000, _LINES[1][2])]
    assert _times(target) == [Fraction(i, 25) for i in range(38)][: round(1.5 * 25 + 0.5)]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_a_subtitle_that_is_shown_at_the_start_is_shown_from_there_on(tmp_path: Path, ending: str) -> None:
    source, target = _subtitled(tmp_path, "srt"), tmp_path / f"out.{ending}"
    _annotate(source, target, Fraction(1), Fraction(7, 2))
    lines = [(begin, end) for begin, end, _ in _lines(target)[3]]
    assert lines == [(0, 700), (1100, 2000)]


def test_a_subtitle_that_began_before_the_key_frames_is_shown_too(tmp_path: Path) -> None:
    source = _subtitled(tmp_path, "long.srt", key_frames=10)
    _annotate(source, tmp_path / "out.mkv", Fraction(7, 2))
    assert _lines(tmp_path / "out.mkv")[3] == [(0, 400, "A")]


@pytest.mark.parametrize("ending", ["mkv", "webm"])
def test_subtitles_that_overlap_keep_their_times(tmp_path: Path, ending: str) -> None:
    _annotate(_subtitled(tmp_path, "overlapping.srt"), tmp_path / f"out.{ending}")
    assert _lines(tmp_path / f"out.{ending}")[3] == [(500, 1500, "A"), (500, 2000, "B"), (1800, 3000, "C")]


def test_subtitles_that_overlap_come_one_at_a_time_in_mp4(tmp_path: Path) -> None:
    _annotate(_subtitled(tmp_path, "overlapping.srt"), tmp_path / "out.mp4")
    assert _lines(tmp_path / "out.mp4")[3] == [(500, 1800, "A\nB"), (1800, 3000, "C")]


#: A picture of nothing, in Blu-ray's form: its composition (16 × 16 pixels, no objects), and the end.
_PGS_PICTURE = bytes.fromhex("16 000b 0010 0010 10 0000 80 00 00 00" + "80 0000")


def _with_pictures(tmp_path: Path, codec: str, subtitles: list[tuple[int, int, bytes]], *, frames: int) -> Path:
    """A video of 25 frames per second with subtitles that are pictures: begin and duration in milliseconds, content."""
    options = {"bf": "0", "g": "10"}
    video = make_video(tmp_path / "plain.mp4", [numbered(i) for i in range(frames)], codec_options=options)
    path = tmp_path / "in.mkv"
    with av.open(str(video)) as pictures, av.open(str(path), "w") as output:
        streams = output.add_stream_from_template(pictures.streams[0]), output.add_mux_stream(codec)
        packets: list[tuple[Any, Any]] = [(packet, streams[0]) for packet in pictures.demux() if packet.size]
        for begin, duration, content in subtitles:
            packet = av.Packet(content)
            packet.pts = packet.dts = begin
            packet.duration, packet.time_base = duration, _MILLISECOND
            packets.append((packet, streams[1]))
        for packet, stream in sorted(packets, key=lambda each: each[0].dts * each[0].time_base):
            packet.stream = stream
            output.mux(packet)
    return path


def _pictures_of(path: Path) -> list[tuple[float, bytes]]:
    """When subtitles that are pictures begin, in milliseconds, and their content."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.subtitles[0]) if packet.size]
        return [(float(packet.pts * packet.time_base * 1000), bytes(packet)) for packet in packets]


def _pgs(*, state: int, objects: int) -> bytes:
    """Blu-ray's form: a composition in a state (128: a new one, 0: a change) of so many objects, and its end."""
    shown = bytes.fromhex("0000 00 00 0000 0000") * objects
    said = bytes.fromhex("0010 0010 10 0000") + bytes([state, 0, 0, objects]) + shown
    return b"\x16" + len(said).to_bytes(2, "big") + said + bytes.fromhex("80 0000")


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_picture_of_blu_ray_is_shown_from_the_start_on_until_the_next_one(tmp_path: Path, is_alone: bool) -> None:
    """What changes a picture comes with the picture. One that is over by then does not come."""
    old, new, change, empty = (_pgs(state=s, objects=n) for s, n in ((128, 2), (128, 1), (0, 1), (0, 0)))
    said = [(200, 0, old), (400, 0, new), (800, 0, change), (3000, 0, empty)]
    source, target = _with_pictures(tmp_path, "hdmv_pgs_subtitle", said, frames=100), tmp_path / "out.mkv"
    if is_alone:
        with VideoReader(source) as reader:
            packets = list(reader.other_packets(Fraction(2), None))
            assert [(packet.pts, bytes(packet)) for packet in packets] == [(2000, new), (2000, change), (3000, empty)]
        return
    _annotate(source, target, Fraction(2))
    assert _pictures_of(target) == [(0, new), (0, change), (1000, empty)]
    _annotate(source, target, Fraction(7, 2))
    assert _pictures_of(target) == []


def test_a_picture_of_a_dvd_that_is_shown_at_the_start_ends_when_it_did(tmp_path: Path) -> None:
    """Its content says when it ends, in 1024/90000 s since it began: 3 s are 264 of them, and 1 s 88."""

    def spu(ticks: int) -> bytes:
        lists = bytes.fromhex("0000 000a 01 ff") + ticks.to_bytes(2, "big") + bytes.fromhex("000a 02 ff")
        return (4 + len(lists)).to_bytes(2, "big") + b"\x00\x04" + lists

    source = _with_pictures(tmp_path, "dvdsub", [(500, 3000, spu(264))], frames=100)
    _annotate(source, tmp_path / "out.mkv", Fraction(5, 2))
    assert _pictures_of(tmp_path / "out.mkv") == [(0, spu(88))]


@pytest.mark.parametrize(
    ("codec", "picture"), [("dvdsub", bytes(100)), ("hdmv_pgs_subtitle", _PGS_PICTURE)], ids=["dvdsub", "pgs"]
)
def test_subtitles_that_are_pictures_are_left_out_by_name(tmp_path: Path, codec: str, picture: bytes) -> None:
    source = _with_pictures(tmp_path, codec, [(500, 500, picture)], frames=50)
    with VideoReader(source) as reader:
        name = reader.others[0].codec_context.name
    assert _annotate(source, tmp_path / "out.webm") == ([], [f"subtitles {name}"])
    assert _annotate(source, tmp_path / "out.mkv") == ([], [])
    for ending, count in (("webm", 0), ("mkv", 1)):
        with av.open(str(tmp_path / f"out.{ending}")) as container:
            assert len(container.streams.subtitles) == count
        assert len(_times(tmp_path / f"out.{ending}")) == 50


# --- chapters and what the file says ------------------------------------------------------------------------------

_SAID = {"title": "Ünterwegs 猫", "artist": "A. Nonym", "comment": "two words", "date": "2026-01-02"}


def _chapter(number: int, begin: int, end: int, title: str) -> dict[str, Any]:
    return {"id": number, "start": begin, "end": end, "time_base": _MILLISECOND, "metadata": {"title": title}}


_CHAPTERS = [_chapter(1, 0, 1000, "One"), _chapter(2, 1000, 2500, "Zwei ü"), _chapter(3, 2500, 3000, "Three")]


def _said(path: Path) -> tuple[dict[str, str], list[tuple[Fraction, Fraction, str]]]:
    with av.open(str(path)) as container:
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        chapters = [
            (each["start"] * each["time_base"], each["end"] * each["time_base"], each["metadata"]["title"])
            for each in container.chapters()
        ]
        return metadata, chapters


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("source_ending", ["mp4", "mkv"])
def test_chapters_and_metadata_are_kept(tmp_path: Path, source_ending: str, ending: str) -> None:
    source = _sounding(tmp_path / f"in.{source_ending}", [], wave=_wave(3), metadata=_SAID, chapters=_CHAPTERS)
    _annotate(source, tmp_path / f"whole.{ending}")
    metadata, chapters = _said(tmp_path / f"whole.{ending}")
    assert {key: metadata[key] for key in _SAID} == _SAID
    own = {"mp4": {"major_brand", "minor_version", "compatible_brands", "encoder"}}.get(ending, {"encoder"})
    assert set(metadata) == own | set(_SAID)
    assert chapters == [
        (Fraction(0), Fraction(1), "One"),
        (Fraction(1), Fraction(5, 2), "Zwei ü"),
        (Fraction(5, 2), Fraction(3), "Three"),
    ]
    _annotate(source, tmp_path / f"part.{ending}", Fraction(1, 2), Fraction(2))
    _, chapters = _said(tmp_path / f"part.{ending}")
    assert chapters == [(Fraction(0), Fraction(1, 2), "One"), (Fraction(1, 2), Fraction(3, 2), "Zwei ü")]


def test_chapters_of_a_span() -> None:
    def spans(start: Fraction | None, end: Fraction | None) -> list[tuple[int, int, str]]:
        return [
            (each["start"], each["end"], each["metadata"]["title"]) for each in kept_chapters(_CHAPTERS, start, end)
        ]

    assert spans(None, None) == [(0, 1000, "One"), (1000, 2500, "Zwei ü"), (2500, 3000, "Three")]
    assert spans(Fraction(1), None) == [(0, 1500, "Zwei ü"), (1500, 2000, "Three")]
    assert spans(None, Fraction(1)) == [(0, 1000, "One")]
    assert spans(Fraction(11, 10), Fraction(12, 10)) == [(0, 100, "Zwei ü")]
    assert spans(Fraction(3), None) == []
    assert all(each["time_base"] == _MILLISECOND for each in kept_chapters(_CHAPTERS, None, None))


def test_what_is_true_of_the_source_alone_is_not_kept() -> None:
    technical = {
        "major_brand": "isom",
        "minor_version": "512",
        "compatible_brands": "isomiso2",
        "encoder": "Lavf",
        "ENCODER": "Lavf",
        "DURATION": "00:00:03.0",
        "rotate": "90",
        "handler_name": "SoundHandler",
        "BPS-eng": "1000",
        "NUMBER_OF_FRAMES": "75",
        "_STATISTICS_TAGS": "BPS",
    }
    assert kept_metadata({**technical, **_SAID, "creation_time": "2026-01-02T03:04:05Z"}) == {
        **_SAID,
        "creation_time": "2026-01-02T03:04:05Z",
    }
