"""Clocks of recordings: they begin anywhere, jump and stand still. The output begins at 0 and loses nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from command_line import finish
from fake_engine import annotated, start_fake
from video_files import make_video, number_of, numbered

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.report import Result
from live_gradcam.annotating.source import Span
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sources.clock import Clock, ClockFaults
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.playback import Playback
from live_gradcam.sources.reader import VideoReader

_HOUR, _YEARS = 3600, 50 * 365 * 86_400
_PERIOD = Fraction(1, 25)
_CLICK = 0.48  # seconds after the first frame, which is the twelfth's time
_RATE = 48_000
_NARROW = 48  # pixels: nothing is written over such pictures


def _numbers_and_times(path: Path) -> list[tuple[int, Fraction]]:
    with VideoReader(path) as reader:
        return [(number_of(frame.image), frame.pts) for frame in reader.frames()]


def _every_frame_from_0(count: int) -> list[tuple[int, Fraction]]:
    return [(number, number * _PERIOD) for number in range(count)]


def _begin_of_pictures_and_sound(path: Path) -> tuple[float, float]:
    """As a player has them: what an edit list cuts off is not there."""
    with av.open(str(path)) as container:
        pictures, sound = container.streams.video[0], container.streams.audio[0]
        return float(pictures.start_time * pictures.time_base), float(sound.start_time * sound.time_base)


def _click_time(path: Path) -> float:
    """When the loudest sample of a file's sound is heard."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    loudest = max(frames, key=lambda frame: np.abs(frame.to_ndarray()).max())
    samples = np.abs(loudest.to_ndarray()).max(axis=0)
    return float(loudest.pts * loudest.time_base) + float(samples.argmax()) / loudest.sample_rate


def _click_times(path: Path) -> list[float]:
    """When a file's sound becomes loud."""
    times: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.3)
            if loud.size:
                time = float(frame.pts * frame.time_base) + float(loud[0]) / frame.sample_rate
                times += [time] if not times or time > times[-1] + 0.1 else []
    return times


def _with_a_click(
    path: Path, count: int, *, sound_is_earlier: float = 0.0, sound_is_longer: float = 0.0, codec: str = "aac"
) -> Path:
    """Numbered pictures at 25 frames per second; sound that is silent but for a click, `_CLICK` after the first one."""
    samples = np.zeros((2, round((count / 25 + sound_is_earlier + sound_is_longer) * _RATE)), np.float32)
    samples[:, round((_CLICK + sound_is_earlier) * _RATE)] = 0.9
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25, options={"bf": "0", "g": "12"})
        video.height, video.width, video.pix_fmt = 48, _NARROW, "yuv420p"
        sound: Any = container.add_stream(codec, rate=_RATE, layout="stereo")
        sound.codec_context.open(strict=False)
        length = sound.codec_context.frame_size or 1024
        first = round(sound_is_earlier * 25)
        for index in range(count):
            picture = av.VideoFrame.from_ndarray(numbered(index, width=_NARROW), format="bgr24")
            picture.pts = first + index
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for begin in range(0, samples.shape[1] - length + 1, length):
            piece = np.ascontiguousarray(samples[:, begin : begin + length])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = _RATE, begin, Fraction(1, _RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def _retimed(source: Path, target: Path, later: Callable[[Fraction], float | Fraction]) -> Path:
    """The same packets, each so many seconds later as its time says."""
    with (
        av.open(str(source)) as container,
        av.open(str(target), "w", options={"avoid_negative_ts": "disabled", "mpegts_copyts": "1"}) as output,
    ):
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                ticks = round(Fraction(later(packet.pts * packet.time_base)) / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    return target


# --- it begins anywhere -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source_ending", "begin"),
    [
        ("mkv", Fraction("0.7")),
        ("mkv", _HOUR),
        ("mkv", _YEARS),
        ("ts", Fraction("0.7")),
        ("ts", _HOUR),
        ("mp4", Fraction("0.7")),
        ("mp4", _HOUR),
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_the_output_begins_at_0_with_its_sound_in_step(
    tmp_path: Path, source_ending: str, ending: str, begin: float
) -> None:
    whole = _with_a_click(tmp_path / "whole.mkv", 50)
    source = _retimed(whole, tmp_path / f"in.{source_ending}", lambda _: begin)
    first = _numbers_and_times(source)[0][1]
    summary = annotated(source, tmp_path / f"out.{ending}", jsonl=tmp_path / "n.jsonl")
    assert _numbers_and_times(tmp_path / f"out.{ending}") == _every_frame_from_0(50)
    pictures, sound = _begin_of_pictures_and_sound(tmp_path / f"out.{ending}")
    assert (pictures, sound) == (0, pytest.approx(0, abs=0.022))  # one packet of AAC
    assert _click_time(tmp_path / f"out.{ending}") == pytest.approx(_CLICK, abs=0.002)
    assert (bool(summary.loss), bool(summary.clock), summary.begins_at) == (False, False, float(first))
    times = [json.loads(line)["time"] for line in (tmp_path / "n.jsonl").read_text().splitlines()]
    assert times == [round(float(first + i * _PERIOD), 6) for i in range(50)]  # docs/json.md: the source's clock


def test_a_folder_of_pictures_and_a_gif_begin_at_0(tmp_path: Path) -> None:
    source = _retimed(_with_a_click(tmp_path / "whole.mkv", 20), tmp_path / "in.ts", lambda _: _HOUR)
    annotated(source, tmp_path / "out.gif")
    assert _numbers_and_times(tmp_path / "out.gif") == _every_frame_from_0(20)
    annotated(source, tmp_path / "out", encoding=Encoding("png"))
    rows = (tmp_path / "out" / "frames.csv").read_text().splitlines()
    assert rows[:3] == ["file,time", "000000.png,0.000000", "000001.png,0.040000"]


def test_a_span_counts_from_the_first_frame(tmp_path: Path) -> None:
    source = _retimed(_with_a_click(tmp_path / "whole.mkv", 50), tmp_path / "in.ts", lambda _: _HOUR)
    annotated(source, tmp_path / "out.mp4", start=Fraction("0.4"), end=Fraction("1.2"), jsonl=tmp_path / "n.jsonl")
    assert _numbers_and_times(tmp_path / "out.mp4") == [(10 + i, i * _PERIOD) for i in range(20)]
    assert _click_time(tmp_path / "out.mp4") == pytest.approx(_CLICK - 0.4, abs=0.002)
    first, *_ = (tmp_path / "n.jsonl").read_text().splitlines()
    assert json.loads(first)["time"] == _HOUR + 0.4


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_sound_that_begins_long_before_the_pictures_is_kept(tmp_path: Path, ending: str) -> None:
    whole = _with_a_click(tmp_path / "whole.mkv", 30, sound_is_earlier=0.4)
    source = _retimed(whole, tmp_path / "in.ts", lambda _: _HOUR)
    annotated(source, tmp_path / f"out.{ending}")
    frames = _numbers_and_times(tmp_path / f"out.{ending}")
    begin = float(frames[0][1])
    assert begin == pytest.approx(0.4 + 1024 / _RATE, abs=0.002)  # the encoder's first packet is earlier still
    assert [number for number, _ in frames] == list(range(30))
    pictures, sound = _begin_of_pictures_and_sound(tmp_path / f"out.{ending}")
    assert (pictures, sound) == (pytest.approx(begin, abs=1e-4), pytest.approx(0, abs=0.01))
    assert _click_time(tmp_path / f"out.{ending}") == pytest.approx(begin + _CLICK, abs=0.002)


def test_a_broadcast_that_is_cut_into_begins_with_the_first_frame_that_can_be_shown(tmp_path: Path) -> None:
    images = [numbered(i, noise=10, width=_NARROW) for i in range(75)]
    whole = make_video(tmp_path / "whole.ts", images, codec_options={"g": "25", "bf": "0", "sc_threshold": "0"})
    packets = [whole.read_bytes()[at : at + 188] for at in range(0, whole.stat().st_size, 188)]
    tables, rest = packets[:3], packets[round(0.45 * len(packets)) :]
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join([*tables, *rest]))
    annotated(source, tmp_path / "out.mp4")
    assert _numbers_and_times(tmp_path / "out.mp4") == [(50 + i, i * _PERIOD) for i in range(25)]


def test_the_contact_sheet_counts_from_the_first_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[Fraction]] = []

    def draw(samples: Any, thumbnails: Any, overlay: Any, *, title: str) -> np.ndarray:
        drawn.extend([[one.pts for one in samples], [one.pts for _, one in thumbnails]])
        assert [number_of(image) for image, _ in thumbnails] == [round(one.pts * 25) for _, one in thumbnails]
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr("live_gradcam.annotating.sidecars.contact_sheet.draw_contact_sheet", draw)
    images = [numbered(i, width=_NARROW) for i in range(10)]
    whole = make_video(tmp_path / "whole.mkv", images, codec_options={"bf": "0"})
    source = _retimed(whole, tmp_path / "in.ts", lambda _: _HOUR)
    annotated(source, tmp_path / "out.mp4", contact_sheet=tmp_path / "sheet.png")
    assert drawn == [[i * _PERIOD for i in range(10)]] * 2


@pytest.mark.slow
def test_several_workers_begin_at_0_too(tmp_path: Path) -> None:
    source = _retimed(_with_a_click(tmp_path / "whole.mkv", 100), tmp_path / "in.mkv", lambda _: _HOUR)
    report = tmp_path / "report.json"
    finished = finish(start_fake("annotate", source, "-o", tmp_path / "out.mp4", "--workers", 2, "--json", report))
    assert finished.code == 0, finished
    (file,) = json.loads(report.read_text())["files"]
    assert (file["frames"], file["begins_at"], file["clock_jumps"], file["clock_standing"]) == (100, _HOUR, 0, 0)
    assert [time for _, time in _numbers_and_times(tmp_path / "out.mp4")] == [i * _PERIOD for i in range(100)]
    assert _click_time(tmp_path / "out.mp4") == pytest.approx(_CLICK, abs=0.002)


# --- it jumps and stands still ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("jump", [_YEARS, 5 * _HOUR])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_a_clock_that_jumps_forward_loses_nothing(tmp_path: Path, ending: str, jump: int, codec: str) -> None:
    """As of a camera that is told the time while it records."""
    whole = _with_a_click(tmp_path / "whole.mkv", 50, codec="aac" if codec == "aac" else "flac")
    source = _retimed(whole, tmp_path / "in.mkv", lambda time: jump if time >= Fraction("0.28") else 0)
    summary = annotated(source, tmp_path / f"out.{ending}")
    assert _numbers_and_times(tmp_path / f"out.{ending}") == _every_frame_from_0(50)
    assert _click_time(tmp_path / f"out.{ending}") == pytest.approx(_CLICK, abs=0.03)  # a packet's length at the jump
    assert (summary.frames, summary.loss, summary.clock) == (50, Loss(0, 0.0), ClockFaults(jumps=1))
    job: Any = SimpleNamespace(source=source, output=tmp_path / f"out.{ending}")
    assert Result(job, summary).notes == [
        f"{source}: its clock jumps once: all frames are there, and go on at the usual rate"
    ]


@pytest.mark.parametrize("ending", ["mkv", "flv"])
def test_a_clock_that_stands_still_loses_nothing(tmp_path: Path, ending: str) -> None:
    ticks = [40 * min(i, 10) for i in range(50)]
    images = [numbered(i, width=_NARROW) for i in range(50)]
    source = tmp_path / f"in.{ending}"
    make_video(source, images, ticks=ticks, time_base=Fraction(1, 1000), codec_options={"bf": "0"})
    summary = annotated(source, tmp_path / "out.mp4")
    frames = _numbers_and_times(tmp_path / "out.mp4")
    assert [number for number, _ in frames] == list(range(50))
    assert frames[-1][1] == pytest.approx(49 / 25, abs=0.05)
    assert summary.clock == ClockFaults(standing=38)
    assert not summary.loss


@pytest.mark.slow
def test_several_workers_tell_of_a_jump_too(tmp_path: Path) -> None:
    whole = _with_a_click(tmp_path / "whole.mkv", 100)
    source = _retimed(whole, tmp_path / "in.mkv", lambda time: _YEARS if time >= 2 else 0)
    with VideoReader(source) as reader:
        assert reader.key_times(None) is None
    finished = finish(start_fake("annotate", source, "-o", tmp_path / "out.mp4", "--workers", 2))
    assert finished.code == 0, finished
    said = [line for line in finished.err.splitlines() if " FPS" not in line]
    assert said == [f"live-gradcam: {source}: its clock jumps once: all frames are there, and go on at the usual rate"]
    assert [time for _, time in _numbers_and_times(tmp_path / "out.mp4")] == [i * _PERIOD for i in range(100)]


@pytest.mark.slow
@pytest.mark.parametrize("sound_is_longer", [-0.3, 0.2])
@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_recordings_that_are_put_together_keep_their_sound(tmp_path: Path, ending: str, sound_is_longer: float) -> None:
    part = _with_a_click(tmp_path / "part.ts", 50, sound_is_longer=sound_is_longer).read_bytes()
    (tmp_path / "in.ts").write_bytes(part * 6)
    summary = annotated(tmp_path / "in.ts", tmp_path / f"out.{ending}")
    assert summary.clock == ClockFaults(jumps=5)
    assert _click_times(tmp_path / f"out.{ending}") == pytest.approx([2 * k + _CLICK for k in range(6)], abs=0.032)
    pictures = [(k % 50, k * _PERIOD) for k in range(300)]
    assert _numbers_and_times(tmp_path / f"out.{ending}") == pictures


@pytest.mark.parametrize("sound_is_longer", [-0.3, 0.2])
def test_the_sound_alone_of_recordings_that_are_put_together(tmp_path: Path, sound_is_longer: float) -> None:
    """What workers take for a recording that cannot be cut: the same packets at the same times as one process."""
    part = _with_a_click(tmp_path / "part.ts", 50, sound_is_longer=sound_is_longer).read_bytes()
    (tmp_path / "in.ts").write_bytes(part * 3)
    for span in [(None, None), (Fraction(1), Fraction(5))]:
        heard: list[Any] = []
        with VideoReader(tmp_path / "in.ts") as reader:
            for _ in reader.frames(start=span[0], end=span[1], on_packet=heard.append):
                pass
        with VideoReader(tmp_path / "in.ts") as reader:
            alone = list(reader.other_packets(*span))
        assert [(packet.dts, bytes(packet)) for packet in alone] == [(packet.dts, bytes(packet)) for packet in heard]
        assert len(heard) > 100


def test_what_a_decoder_hands_out_late_after_a_hole_leaves_the_clock_alone(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 48, 64, 3), np.uint8)
    whole = make_video(tmp_path / "whole.ts", list(noise), codec_options={"bf": "3", "g": "12", "b-adapt": "0"})
    content, packet = whole.read_bytes(), 188
    count = len(content) // packet
    begin, end = count * 5 // 16 * packet, (count * 5 // 16 + count // 12) * packet
    (tmp_path / "in.ts").write_bytes(content[:begin] + content[end:])
    with VideoReader(tmp_path / "in.ts") as reader:
        times = [frame.pts for frame in reader.frames()]
    assert len(times) < 200
    assert reader.clock == ClockFaults()
    with VideoReader(whole) as reader:
        assert times[-1] == [frame.pts for frame in reader.frames()][-1]


def test_sound_whose_clock_is_another_one_begins_with_the_pictures(tmp_path: Path) -> None:
    whole = _with_a_click(tmp_path / "whole.mkv", 50)
    source = tmp_path / "in.mkv"
    with av.open(str(whole)) as container, av.open(str(source), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                ticks = round(_YEARS / packet.time_base) if packet.stream.type == "video" else 0
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    for ending in ("mp4", "webm"):
        annotated(source, tmp_path / f"out.{ending}")
        assert _numbers_and_times(tmp_path / f"out.{ending}") == _every_frame_from_0(50)
        assert _click_time(tmp_path / f"out.{ending}") == pytest.approx(_CLICK, abs=0.03)


def test_a_file_that_jumps_plays_on_live(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = _retimed(
        _with_a_click(tmp_path / "whole.mkv", 20), tmp_path / "in.mkv", lambda time: _YEARS if time >= 0.4 else 0
    )
    playback = Playback(VideoReader(source), paced=False)
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        assert [frame.pts for frame in playback] == [i * _PERIOD for i in range(20)]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("live_gradcam")]
    assert said == [f"{source}: its clock jumps once; its frames go on at the usual rate"]


def test_a_rate_of_which_a_jump_makes_nothing(tmp_path: Path) -> None:
    """MP4 tells the number of frames and how long they are, 8 hours, of which FFmpeg makes an average."""
    ticks = [40 * i + (8 * _HOUR * 1000 if i >= 20 else 0) for i in range(40)]
    images = [numbered(i, width=_NARROW) for i in range(40)]
    source = make_video(
        tmp_path / "in.mp4", images, ticks=ticks, time_base=Fraction(1, 1000), codec_options={"bf": "0"}
    )
    with av.open(str(source)) as container:
        assert container.streams.video[0].average_rate < Fraction(1, 60)
    summary = annotated(source, tmp_path / "out.mp4", output_fps=Fraction(25))
    assert _numbers_and_times(tmp_path / "out.mp4") == _every_frame_from_0(40)
    assert summary.clock == ClockFaults(jumps=1)


# --- the clock itself ---------------------------------------------------------------------------------------------


def _clocked(*times: float | None) -> tuple[list[float], ClockFaults]:
    clock = Clock(tick=Fraction(1, 1000), period=Fraction(1, 10))
    return [float(clock.next(None if time is None else Fraction(str(time)))) for time in times], clock.faults


@pytest.mark.parametrize(
    ("told", "expected", "faults"),
    [
        ([5, 5.1, 5.2], [5, 5.1, 5.2], ClockFaults()),
        ([0, 0.1, 3600.1, 3600.2], [0, 0.1, 3600.1, 3600.2], ClockFaults()),  # a pause of an hour
        ([0, 0.1, 3600.2, 3600.3], [0, 0.1, 0.2, 0.3], ClockFaults(jumps=1)),
        ([9, 9.1, 1, 1.1], [9, 9.1, 9.2, 9.3], ClockFaults(jumps=1)),
        ([0, 0.1, 9000, 9000.1, 0.4, 0.5], [0, 0.1, 0.2, 0.3, 0.4, 0.5], ClockFaults(jumps=2)),
        ([None, None, None], [0, 0.1, 0.2], ClockFaults()),
        ([1, 1, 1.1], [1, 1.001, 1.1], ClockFaults()),  # two half pictures
        ([1, 1, 1, 1, 1.5], [1, 1.001, 1.101, 1.201, 1.5], ClockFaults(standing=2)),  # and is right again
        ([1, 0.9, 1.1], [1, 1.001, 1.1], ClockFaults()),  # one that comes too late
        ([4, 7, 5, 7.1, 5.1, 5.2, 7.2], [4, 7, 7.1, 7.101, 7.201, 7.301, 7.302], ClockFaults()),  # three, and far
        ([4, 7, 5, 5.1, 7, 7.1], [4, 7, 7.1, 7.2, 9.1, 9.2], ClockFaults(jumps=1)),  # a pause after a jump
    ],
)
def test_what_a_clock_makes_of_times(told: list[float | None], expected: list[float], faults: ClockFaults) -> None:
    assert _clocked(*told) == (pytest.approx(expected), faults)


def test_a_clock_that_stood_for_long_goes_on_from_there() -> None:
    times, faults = _clocked(*[1] * 40, 1.1, 1.2)
    assert times[2:] == pytest.approx([1.001 + 0.1 * i for i in range(1, 41)])
    assert all(a < b for a, b in pairwise(times))
    assert faults == ClockFaults(standing=38)


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        (ClockFaults(), ""),
        (ClockFaults(jumps=1), "its clock jumps once"),
        (ClockFaults(jumps=3, standing=1), "its clock jumps 3 times and its clock stands still for 1 frame"),
        (ClockFaults(standing=20), "its clock stands still for 20 frames"),
    ],
)
def test_faults_in_words(faults: ClockFaults, text: str) -> None:
    assert str(faults) == text
    assert bool(faults) == bool(text)


def test_a_span_knows_where_it_begins(tmp_path: Path) -> None:
    source = _retimed(_with_a_click(tmp_path / "whole.mkv", 50), tmp_path / "in.ts", lambda _: _HOUR)
    with VideoReader(source) as reader:
        span = Span(reader, AnnotateOptions(start=Fraction(1)))
        assert (span.begin, span.shift) == (reader.begin + 1, reader.begin + 1)
        assert Span(reader, AnnotateOptions()).shift == reader.begin == _HOUR
