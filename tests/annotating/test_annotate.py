"""Recordings annotated: every frame at its own time, with all that goes along, and the numbers that belong to it."""

from __future__ import annotations

import csv
import json
import math
import random
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from command_line import run
from fake_engine import FakeEngine, annotated, evidence_of, heatmap_of
from video_files import audio_packets, make_video, number_of, numbered

from live_gradcam.annotating.explaining import TimedExplanation
from live_gradcam.annotating.jobs import plan_jobs
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.tracking import Tracker
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import LAYOUTS
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.panels import three_panels
from live_gradcam.drawing.views import compose
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.explanations.boxes import BoxOptions, SteadyBoxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sources.reader import VideoReader

TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"
#: Real recordings, by name: how many frames, and the class of one of them. They are not part of the project.
FOOTAGE = Path(__file__).parents[3] / "shared" / "videos"
RECORDINGS = {"cockatoo.mp4": (280, (210, 89)), "car-detection.mp4": (377, None)}
RATE = 25


def pictures(count: int, **size: int) -> list[np.ndarray]:
    """Pictures of the numbers from 0 on; so narrow that nothing is written over them."""
    return [numbered(index % 256, **{"width": 48, **size}) for index in range(count)]


def shown(path: Path) -> list[tuple[int, Fraction]]:
    """The number that each frame of a video shows, and its time."""
    with VideoReader(path) as reader:
        frames = [(number_of(frame.image), frame.pts) for frame in reader.frames()]
        assert not reader.loss
    return frames


def times_of(path: Path) -> list[Fraction]:
    """Of each frame."""
    return [time for _, time in shown(path)]


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- times --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "mov", "ts", "avi"])
def test_every_frame_keeps_its_time(tmp_path: Path, ending: str) -> None:
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(ending, "libx264")
    source = make_video(tmp_path / f"in.{ending}", pictures(60), codec=codec, rate=Fraction(30000, 1001))
    summary = annotated(source, tmp_path / "out.mp4", jsonl=tmp_path / "out.jsonl")
    assert [number for number, _ in shown(tmp_path / "out.mp4")] == list(range(60))
    first = times_of(source)[0]
    assert (first > 0) == (ending == "ts")
    assert times_of(tmp_path / "out.mp4") == [time - first for time in times_of(source)]
    assert (summary.frames, summary.explained, bool(summary.loss), summary.stopped) == (60, 60, False, False)
    assert [record["frame"] for record in records(tmp_path / "out.jsonl")] == list(range(60))
    assert [record["target"] for record in records(tmp_path / "out.jsonl")] == list(range(60))
    assert [record["time"] for record in records(tmp_path / "out.jsonl")] == [
        round(float(time), 6) for time in times_of(source)
    ]


@pytest.mark.parametrize("name", ["in.mkv", "in.ts", "in.flv", "in.mp4"])
def test_a_clock_that_begins_late_makes_a_recording_no_longer(tmp_path: Path, name: str) -> None:
    """Matroska and FLV say how long the whole file is, from 0 on."""
    codec = "flv" if name == "in.flv" else "libx264"
    late = make_video(tmp_path / name, pictures(50), codec=codec, ticks=[3600 * 25 + index for index in range(50)])
    with VideoReader(late) as reader:
        assert reader.expected_frames in (50, None) if name == "in.ts" else reader.expected_frames == 50
    summary = annotated(late, tmp_path / "out.mp4", end=Fraction(10), output_fps=Fraction(25))
    assert (summary.frames, bool(summary.loss)) == (50, False)


@pytest.mark.parametrize("begin", [0, 45_000])
def test_a_variable_frame_rate_and_a_first_frame_after_0(tmp_path: Path, begin: int) -> None:
    steps = random.Random(begin)
    ticks = [begin]
    while len(ticks) < 80:
        ticks.append(ticks[-1] + steps.choice([1, 1500, 3000, 9001, 200_000]))
    source = make_video(tmp_path / "in.mp4", pictures(80), ticks=ticks, time_base=Fraction(1, 90_000))
    annotated(source, tmp_path / "out.mp4", jsonl=tmp_path / "out.jsonl")
    expected = [Fraction(tick, 90_000) for tick in ticks]
    assert shown(tmp_path / "out.mp4") == [(number, time - expected[0]) for number, time in enumerate(expected)]
    assert [record["time"] for record in records(tmp_path / "out.jsonl")] == [
        round(float(time), 6) for time in expected
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDINGS)
def test_real_footage_with_its_sound(tmp_path: Path, name: str, quick_network: list[str]) -> None:
    source, output, lines = FOOTAGE / name, tmp_path / "out.mp4", tmp_path / "out.jsonl"
    if not source.exists():
        pytest.skip(f"needs {source}")
    count, named = RECORDINGS[name]
    flags = ["--fit", "crop"] if named else quick_network
    finished = run(
        *("annotate", source, "-o", output, "--jsonl", lines, "--size", "320x", "--preset", "ultrafast"), *flags
    )
    assert finished.code == 0, finished
    expected = times_of(source)
    assert len(expected) == count
    assert times_of(output) == expected
    assert [record["time"] for record in records(lines)] == [round(float(time), 6) for time in expected]
    assert audio_packets(output) == audio_packets(source) != []
    if named is not None:
        frame, class_index = named
        best = records(lines)[frame]["predictions"][0]
        assert (best["index"], best["probability"] > 0.7) == (class_index, True)


@pytest.mark.slow
def test_the_tour_with_a_network_from_the_command_line(tmp_path: Path, quick_network: list[str]) -> None:
    output, lines, table, maps, sheet = (tmp_path / f"tour.{kind}" for kind in ("mp4", "jsonl", "csv", "npz", "png"))
    finished = run(
        *("annotate", TOUR, "-o", output, "--jsonl", lines, "--csv", table, "--heatmaps", maps),
        *("--contact-sheet", sheet, "--json", "-", "--size", "320x", "--smooth", 0.3, "--preset", "ultrafast"),
        *("--end", 4, *quick_network),
    )
    assert finished.code == 0
    assert all(" FPS" in line for line in finished.err.splitlines())  # how far it is, where the machine is slow
    (file,) = json.loads(finished.out)["files"]
    assert (file["status"], file["frames"], file["explained"], file["encoder"]) == ("done", 120, 120, "libx264")
    expected = [time for time in times_of(TOUR) if time < 4]
    assert len(expected) == 120
    assert times_of(output) == expected
    numbers = records(lines)
    assert [record["frame"] for record in numbers] == list(range(120))
    assert [record["time"] for record in numbers] == [round(float(time), 6) for time in expected]
    with table.open(encoding="utf-8", newline="") as file_:
        rows = list(csv.DictReader(file_))
    assert [float(row["evidence"]) for row in rows] == [record["evidence"] for record in numbers]
    with np.load(maps) as archive:
        assert archive["heatmaps"].shape == (120, 1, 12, 12)
        assert archive["time"].tolist() == [float(time) for time in expected]
        assert archive["target"][:, 0].tolist() == [record["target"] for record in numbers]
        np.testing.assert_allclose(archive["evidence"][:, 0], [r["evidence"] for r in numbers], atol=6e-7)
    assert cv2.imread(str(sheet)).shape[1] == 1600
    with VideoReader(output) as reader:
        assert next(reader.frames()).image.shape == (180, 320, 3)


# --- what goes along ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_sound_goes_along_packet_by_packet(tmp_path: Path, ending: str) -> None:
    source = make_video(tmp_path / f"in.{ending}", pictures(100), audio_codec="aac", audio_seconds=4)
    summary = annotated(source, tmp_path / f"out.{ending}")
    expected = audio_packets(source)
    assert len(expected) > 180
    assert audio_packets(tmp_path / f"out.{ending}") == expected
    assert (summary.converted, summary.left_out) == ([], [])


def test_sound_that_begins_before_the_pictures_does_not_make_them_later(tmp_path: Path) -> None:
    """AAC of MP4 begins a frame before 0, which Matroska makes 0 if it is let."""
    source = make_video(tmp_path / "in.mp4", pictures(20), audio_codec="aac", audio_seconds=0.8)
    assert audio_packets(source)[0][0] < 0
    annotated(source, tmp_path / "out.mkv")
    assert shown(tmp_path / "out.mkv") == [(n, Fraction(n, 25)) for n in range(20)]


@pytest.mark.slow
def test_sound_that_the_file_cannot_carry_is_encoded_anew_and_sounds_as_long(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(50), audio_codec="aac", audio_seconds=2)
    summary = annotated(source, tmp_path / "out.webm")
    assert summary.converted == ["audio aac → opus"]
    with av.open(str(tmp_path / "out.webm")) as container:
        sound = sum(frame.samples for frame in container.decode(audio=0)) / 48_000
    assert sound == pytest.approx(2, abs=0.05)
    summary = annotated(source, tmp_path / "out.gif")
    assert summary.left_out == ["audio aac"]


def test_a_rotated_recording_is_upright(tmp_path: Path) -> None:
    upright = [np.rot90(picture, -1) for picture in pictures(10, height=48)]
    source = make_video(tmp_path / "in.mp4", [np.ascontiguousarray(picture) for picture in upright], rotation=90)
    annotated(source, tmp_path / "out.mp4")
    assert [number for number, _ in shown(tmp_path / "out.mp4")] == list(range(10))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def with_chapters_and_metadata(path: Path) -> Path:
    """Four seconds with two chapters, a title, and two lines of subtitles."""
    images = pictures(100)
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": "Tür", "artist": "Ω"})
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1500, "time_base": Fraction(1, 1000), "metadata": {"title": "in"}},
                {"id": 2, "start": 1500, "end": 4000, "time_base": Fraction(1, 1000), "metadata": {"title": "out"}},
            ]
        )
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        words: Any = container.add_stream("mov_text" if path.suffix == ".mp4" else "subrip")
        words.metadata["language"] = "deu"
        words.codec_context.subtitle_header = b"[Script Info]\n"
        words.codec_context.time_base = Fraction(1, 1000)
        container.start_encoding()
        for index, image in enumerate(images):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(picture))
            if index in (25, 75):
                text = f"line {index}".encode()
                packet = av.Packet(len(text).to_bytes(2, "big") + text if path.suffix == ".mp4" else text)
                packet.stream, packet.time_base = words, Fraction(1, 1000)
                packet.pts = packet.dts = index * 40
                packet.duration = 500
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


def subtitles(path: Path) -> list[tuple[float, bytes]]:
    """The time and the text of each."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        assert stream.metadata["language"] == "deu"
        packets = [packet for packet in container.demux(stream) if packet.size > 2]  # 2: nothing is shown
        found = [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]
    return [(time, text[2:] if path.suffix == ".mp4" else text) for time, text in found]


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(one["start"] * one["time_base"]), float(one["end"] * one["time_base"]), one["metadata"]["title"])
            for one in container.chapters()
        ]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_chapters_metadata_and_subtitles_go_along(tmp_path: Path, ending: str) -> None:
    source, output = with_chapters_and_metadata(tmp_path / f"in.{ending}"), tmp_path / f"out.{ending}"
    annotated(source, output)
    assert chapters(output) == [(0, 1.5, "in"), (1.5, 4, "out")]
    assert subtitles(output) == subtitles(source) == [(1.0, b"line 25"), (3.0, b"line 75")]
    with av.open(str(output)) as container:
        kept = {key.lower(): value for key, value in container.metadata.items()}
    assert (kept["title"], kept["artist"]) == ("Tür", "Ω")


def test_chapters_and_subtitles_are_cut_along(tmp_path: Path) -> None:
    source, output = with_chapters_and_metadata(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    annotated(source, output, start=Fraction(1), end=Fraction(2))
    assert chapters(output) == [(0, 0.5, "in"), (0.5, 1, "out")]
    assert subtitles(output) == [(0.0, b"line 25")]


# --- which frames -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("begin", [0, 45_000])
def test_a_span_begins_at_0_and_its_numbers_stay_on_the_recordings_clock(tmp_path: Path, begin: int) -> None:
    ticks = [begin + 3600 * index for index in range(200)]
    source = make_video(
        *(tmp_path / "in.mp4", pictures(200)),
        ticks=ticks,
        time_base=Fraction(1, 90_000),
        codec_options={"g": "20"},
        audio_codec="aac",
        audio_seconds=8,
    )
    summary = annotated(
        *(source, tmp_path / "out.mp4"), jsonl=tmp_path / "n.jsonl", start=Fraction("2.5"), end=Fraction(5)
    )
    offset = Fraction(begin, 90_000)
    inside = [index for index in range(200) if Fraction("2.5") <= Fraction(index, 25) < 5]
    assert summary.frames == len(inside)
    # the span begins between two frames: the first is shown half a period after its beginning
    expected = [Fraction(index, 25) - Fraction("2.5") for index in inside]
    assert shown(tmp_path / "out.mp4") == list(zip(inside, expected, strict=True))
    numbers = records(tmp_path / "n.jsonl")
    assert [record["frame"] for record in numbers] == list(range(len(inside)))
    assert [record["time"] for record in numbers] == [round(float(offset + Fraction(i, 25)), 6) for i in inside]
    packets = {payload: time for time, payload in audio_packets(source)}
    kept = audio_packets(tmp_path / "out.mp4")
    before = offset + Fraction("2.5")
    assert len(kept) == sum(before <= time < offset + 5 for time in packets.values())
    for time, payload in kept:
        assert abs(packets[payload] - before - time) <= Fraction(1, 48_000)  # a tick of the sound's clock


@pytest.mark.slow
@pytest.mark.parametrize(("start", "end"), [("1.5", None), (None, "1.5"), ("3.96", "90")])
def test_a_span_open_at_one_side(tmp_path: Path, start: str | None, end: str | None) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(100))
    edges = {name: Fraction(time) for name, time in (("start", start), ("end", end)) if time}
    annotated(source, tmp_path / "out.mp4", **edges)
    first, last = edges.get("start", Fraction(0)), edges.get("end", Fraction(90))
    inside = [index for index in range(100) if first <= Fraction(index, 25) < last]
    assert shown(tmp_path / "out.mp4") == [(index, Fraction(index, 25) - first) for index in inside]


def test_a_span_without_frames(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(10))
    with pytest.raises(SourceError) as failure:
        annotated(source, tmp_path / "out.mp4", jsonl=tmp_path / "n.jsonl", start=Fraction(7))
    said = f"{source} has no readable frame that begins at --start {{}}: give an earlier time"
    assert str(failure.value) == said.format("7 s or later")
    for span, where in (
        ((Fraction("0.37"), None), "0.37 s or later"),  # the frame of 0.36 s is shown then
        ((Fraction("0.17"), Fraction("0.19")), "0.17 s or later and before --end 0.19 s"),
    ):
        with pytest.raises(SourceError) as failure:
            annotated(source, tmp_path / "out.mp4", start=span[0], end=span[1])
        assert str(failure.value) == said.format(where)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    with pytest.raises(UsageError, match=r"^--end is 2 s, which is not after --start 2 s$"):
        AnnotateOptions(start=Fraction(2), end=Fraction(2))
    with pytest.raises(UsageError, match=r"^--end is 0 s: give a time after 0$"):
        AnnotateOptions(end=Fraction(0))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_stride_holds_the_map_and_keeps_all_frames(tmp_path: Path, batch: int) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(50))
    engine = FakeEngine()
    summary = annotated(
        *(source, tmp_path / "out.mp4"),
        engine=engine,
        stride=3,
        batch=batch,
        jsonl=tmp_path / "n.jsonl",
        heatmaps=tmp_path / "n.npz",
    )
    due = list(range(0, 50, 3))
    assert [number for numbers, _, _ in engine.calls for number in numbers] == due
    assert {(place, size) for _, place, size in engine.calls} == {(0, batch)}
    assert [len(numbers) for numbers, _, _ in engine.calls] == ([1] * 17 if batch == 1 else [4, 4, 4, 4, 1])
    assert (summary.frames, summary.explained) == (50, 17)
    assert shown(tmp_path / "out.mp4") == [(index, Fraction(index, 25)) for index in range(50)]
    assert [record["frame"] for record in records(tmp_path / "n.jsonl")] == due
    with np.load(tmp_path / "n.npz") as archive:
        assert archive["frame"].tolist() == due
        np.testing.assert_array_equal(archive["heatmaps"][:, 0], [heatmap_of(n, n) for n in due])


def test_the_map_that_is_held_is_drawn_over_the_frames_until_the_next(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", [numbered(index, width=48) for index in range(12)])
    annotated(source, tmp_path / "each.mp4", layout="heatmap", encoding=Encoding(crf=1))
    annotated(source, tmp_path / "held.mp4", layout="heatmap", encoding=Encoding(crf=1), stride=4)
    each, held = (frames_of(tmp_path / name) for name in ("each.mp4", "held.mp4"))
    for index in range(12):
        assert np.abs(held[index] - held[index - index % 4]).max() <= 6
    assert np.abs(held[4] - held[3]).max() > 100
    assert np.abs(each[1] - each[0]).max() > 100


def frames_of(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image.astype(int) for frame in reader.frames()]


def test_a_long_file_is_explained_in_the_fastest_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live_gradcam.annotating.run._WORTH_TIMING", 20)
    engine = FakeEngine()
    annotated(make_video(tmp_path / "in.mp4", pictures(22)), tmp_path / "out.mp4", engine=engine)
    assert [numbers for numbers, _, _ in engine.calls] == [
        *([n, n + 1, n + 2, n + 3] for n in range(0, 20, 4)),
        [20, 21],
    ]
    engine = FakeEngine()
    annotated(make_video(tmp_path / "in.mp4", pictures(19)), tmp_path / "out.mp4", engine=engine)
    assert [numbers for numbers, _, _ in engine.calls] == [[n] for n in range(19)]


class TwoAtATime(FakeEngine):
    """Explains a frame when another thread does so too, the later frame first."""

    def __init__(self) -> None:
        super().__init__(callers=2)
        self.both = threading.Barrier(2)
        self.later_is_done = threading.Event()

    def explain_batch(self, images: Sequence[np.ndarray], size: int, *, place: int = 0) -> list[Explanation]:
        is_earlier = number_of(images[0]) % 2 == 0
        self.both.wait(60)
        if is_earlier:
            assert self.later_is_done.wait(60)
            self.later_is_done.clear()
        explanations = super().explain_batch(images, size, place=place)
        if not is_earlier:
            self.later_is_done.set()
        return explanations


def test_two_frames_at_a_time_give_the_same_files_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live_gradcam.annotating.run._WORTH_TIMING", 20)
    source = make_video(tmp_path / "in.mp4", pictures(24))
    engine = TwoAtATime()
    for name, explains in (("one", FakeEngine()), ("two", engine)):
        path = tmp_path / name
        annotated(source, path.with_suffix(".mp4"), engine=explains, jsonl=path.with_suffix(".jsonl"), batch=1)
    assert [numbers for numbers, _, _ in engine.calls[:4]] == [[1], [0], [3], [2]]
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    # Not byte for byte: on a busy machine x264 encodes the same pictures in other ways.
    assert shown(tmp_path / "two.mp4") == shown(tmp_path / "one.mp4") != []


def test_of_two_frames_at_a_time_those_before_a_stop_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live_gradcam.annotating.run._WORTH_TIMING", 20)
    stop = StopRequest()
    jsonl = tmp_path / "out.jsonl"

    def stop_after_some(event: object) -> None:
        stop.requested = stop.requested or len(engine.calls) >= 10

    engine = FakeEngine(callers=2)
    source = make_video(tmp_path / "in.mp4", pictures(100))
    summary = annotated(
        source, tmp_path / "out.mp4", engine=engine, stop=stop, jsonl=jsonl, batch=1, on_progress=stop_after_some
    )
    numbers = [record["predictions"][0]["index"] for record in records(jsonl) if "predictions" in record]
    assert summary.stopped
    assert summary.frames < 100
    assert numbers == list(range(summary.frames))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("side-by-side")]


@pytest.mark.parametrize(
    ("rate", "numbers"),
    [
        (10, [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]),  # of 25 frames in a second
        (50, [index // 2 for index in range(50)]),
        (Fraction(75, 2), [index * 2 // 3 for index in range(38)]),
        (25, list(range(25))),
    ],
)
def test_another_frame_rate_shows_the_newest_frame_at_each_time(tmp_path: Path, rate: Fraction, numbers: list) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(25), audio_codec="aac", audio_seconds=1)
    engine = FakeEngine()
    annotated(source, tmp_path / "out.mp4", engine=engine, output_fps=Fraction(rate), jsonl=tmp_path / "n.jsonl")
    assert shown(tmp_path / "out.mp4") == [(number, index / Fraction(rate)) for index, number in enumerate(numbers)]
    assert [record["target"] for record in records(tmp_path / "n.jsonl")] == numbers
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert reader.frame_rate == rate


def test_another_frame_rate_of_a_span(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(100))
    annotated(source, tmp_path / "out.mp4", output_fps=Fraction(5), start=Fraction(1), end=Fraction(2))
    assert shown(tmp_path / "out.mp4") == [(number, Fraction(k, 5)) for k, number in enumerate([25, 30, 35, 40, 45])]


def test_another_frame_rate_of_a_span_shows_what_stands_there(tmp_path: Path) -> None:
    ticks = [0, 100, 110, 120, 1000, 3000, 3010, 5000]
    source = make_video(tmp_path / "in.mkv", pictures(8), ticks=ticks, time_base=Fraction(1, 1000))
    annotated(
        source, tmp_path / "out.mp4", output_fps=Fraction(10), start=Fraction(1, 2), end=Fraction(29, 10)
    )  # the fourth frame is shown until 1 s, and the fifth until 3 s
    expected = [3] * 5 + [4] * 19
    assert shown(tmp_path / "out.mp4") == [(number, Fraction(k, 10)) for k, number in enumerate(expected)]


def test_another_frame_rate_of_a_span_ends_before_its_end(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(50), audio_codec="aac", audio_seconds=2)
    annotated(source, tmp_path / "out.mp4", output_fps=Fraction(24), start=Fraction(37, 100), end=Fraction(177, 100))
    numbers = [(37 * 24 + 100 * k) * 25 // 2400 for k in range(34)]
    assert [number for number, _ in shown(tmp_path / "out.mp4")] == numbers
    heard = [payload for _, payload in audio_packets(tmp_path / "out.mp4")]
    whole = audio_packets(source)
    assert heard == [payload for time, payload in whole if Fraction(37, 100) <= time < Fraction(177, 100)]


# --- what is drawn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 96), (64, 96)),
        ((None, 96), (96, 96)),
        ((30, None), (30, 30)),
        ((None, 31), (32, 32)),  # padded: H.264 has no odd sides
        (None, (48, 48)),
    ],
)
def test_sizes(tmp_path: Path, size: Any, expected: tuple[int, int]) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(5))
    annotated(source, tmp_path / "out.mp4", size=size)
    with VideoReader(tmp_path / "out.mp4") as reader:
        frames = list(reader.frames())
    assert {frame.image.shape for frame in frames} == {(*expected, 3)}
    if size != (64, 96):  # there the predictions have room
        assert [number_of(frame.image) for frame in frames] == list(range(5))


WIDE = {"width": 320, "height": 240}
#: Of pictures so wide: below the predictions, and above the scale of the colours.
BARE = slice(100, 200)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    image = numbered(6, **WIDE)  # the map's bright place is in its middle
    source = make_video(tmp_path / "in.mp4", [numbered(0, **WIDE), image], codec_options={"crf": "1"})
    engine = FakeEngine(maps=4 if layout == "grid" else 1, topk=4)
    annotated(
        *(source, tmp_path / "out.mp4"),
        engine=engine,
        layout=layout,
        heatmaps=tmp_path / "n.npz",
        encoding=Encoding(crf=1),
    )
    drawn = frames_of(tmp_path / "out.mp4")[1]
    (explanation,) = engine.explain_batch([image], 1)
    if layout == "panels":
        expected = three_panels(image, explanation, Overlay())
        assert drawn.shape == (expected.shape[0], 3 * 320 + 2 * 8, 3)
    elif layout == "side-by-side":
        expected = np.hstack([image, Overlay().blend(image, explanation)])
    else:
        expected, _ = compose(layout, image, explanation, Overlay())
        assert drawn.shape == (240, 320, 3)
    assert np.abs(drawn - expected)[BARE].mean() < 4
    if drawn.shape == image.shape:
        assert (np.abs(drawn - image)[BARE].mean() < 4) == (layout == "raw")
    with np.load(tmp_path / "n.npz") as archive:
        assert archive["target"][1].tolist() == ([6, 7, 8, 9] if layout == "grid" else [6])


def test_panels_of_several_classes(tmp_path: Path) -> None:
    """A row for each, with its own map, under a line that is drawn as `explain` draws it."""
    image = numbered(6, **WIDE)
    source = make_video(tmp_path / "in.mp4", [image], codec_options={"crf": "1"})
    engine = FakeEngine(targets=[7, 30])
    annotated(source, tmp_path / "out.mp4", engine=engine, layout="panels", encoding=Encoding(crf=1))
    (drawn,) = frames_of(tmp_path / "out.mp4")
    (explanation,) = engine.explain_batch([image], 2)
    expected = [three_panels(image, explanation.of_map(k), Overlay()) for k in range(2)]
    assert drawn.shape == np.concatenate(expected).shape
    for row, panels in zip(np.split(drawn, 2), expected, strict=True):
        above_the_scale = slice(0, 200)
        assert np.abs(row.astype(int) - panels)[above_the_scale].mean() < 4
    assert np.abs(expected[0].astype(int) - expected[1])[:200].mean() > 4


def test_a_grid_of_several_classes(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(4, **WIDE))
    engine = FakeEngine(targets=[7, 30])
    annotated(
        *(source, tmp_path / "out.mp4"),
        engine=engine,
        layout="overlay",
        heatmaps=tmp_path / "n.npz",
        jsonl=tmp_path / "n.jsonl",
        csv=tmp_path / "n.csv",
    )
    with np.load(tmp_path / "n.npz") as archive:
        assert archive["target"].tolist() == [[7, 30]] * 4
        np.testing.assert_array_equal(archive["heatmaps"], [[heatmap_of(n, 7), heatmap_of(n, 30)] for n in range(4)])
    for record in records(tmp_path / "n.jsonl"):
        assert [one["target"] for one in record["maps"]] == [7, 30]
        assert record["target_label"] == "number 7"
    first = pictures(1, **WIDE)[0]
    expected, _ = compose("grid", first, engine.explain_batch([first], 1)[0], Overlay())
    assert np.abs(frames_of(tmp_path / "out.mp4")[0] - expected)[BARE].mean() < 4


def test_what_is_drawn_is_smoothed_and_what_is_written_down_is_not(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", [numbered(n, width=48) for n in (3, 60, 3, 60, 3, 60)])
    for name, smooth in (("plain", 0.0), ("calm", 1.0)):
        annotated(
            *(source, tmp_path / f"{name}.mp4"),
            engine=FakeEngine(targets=[9]),
            layout="heatmap",
            smooth=smooth,
            jsonl=tmp_path / f"{name}.jsonl",
            heatmaps=tmp_path / f"{name}.npz",
            encoding=Encoding(crf=1),
        )
    assert (tmp_path / "plain.jsonl").read_bytes() == (tmp_path / "calm.jsonl").read_bytes()
    with np.load(tmp_path / "plain.npz") as plain, np.load(tmp_path / "calm.npz") as calm:
        for name in plain:
            np.testing.assert_array_equal(plain[name], calm[name])
    assert [r["evidence"] for r in records(tmp_path / "calm.jsonl")] == [evidence_of(n) for n in (3, 60) * 3]
    jump, calm_jump = (
        np.abs(np.subtract(*frames_of(tmp_path / f"{name}.mp4")[1:3])).mean() for name in ("plain", "calm")
    )
    assert jump > 10 * calm_jump


def test_the_weight_of_a_new_frame_in_what_is_drawn() -> None:
    """After the time constant a new picture has 1 - 1/e of the weight, and the scale is that of all of them."""
    options = AnnotateOptions(smooth=0.5)
    engine = FakeEngine(targets=[0])
    first, second = (engine.explain_batch([numbered(number, width=48)], 1)[0] for number in (0, 20))
    tracker = Tracker(options, engine.vocabulary, 0.1, 1)
    before = tracker.track(TimedExplanation(0, Fraction(10), (48, 48), first), numbers=False)
    assert (before.shown.full_scale, before.numbers) == (evidence_of(0), None)
    tracked = tracker.track(TimedExplanation(1, Fraction("10.5"), (48, 48), second), numbers=True)
    drawn = tracked.shown
    new = 1 - math.exp(-1)
    values = evidence_of(0) * (1 - new) * heatmap_of(0, 0) + evidence_of(20) * new * heatmap_of(20, 0)
    scale = max(values.max(), evidence_of(0) * math.exp(-0.05))
    assert drawn.full_scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(drawn.explanation.heatmaps[0], np.clip(values / scale, 0, 1), atol=1e-6)
    assert tracked.numbers is not None
    np.testing.assert_array_equal(tracked.numbers.heatmaps[0], heatmap_of(20, 0))


def test_colours_stand_for_evidence_on_one_scale(tmp_path: Path) -> None:
    """A frame of a third of the evidence is drawn in the colour of a third."""
    source = make_video(tmp_path / "in.mp4", [numbered(n, width=48) for n in (128, 0)])
    engine = FakeEngine(targets=[0])
    annotated(source, tmp_path / "out.mp4", engine=engine, layout="heatmap", encoding=Encoding(crf=1))
    strong, weak = frames_of(tmp_path / "out.mp4")
    scale = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0].astype(int)

    def level(image: np.ndarray) -> int:
        """The highest value that a pixel's colour stands for."""
        nearest = np.abs(image.reshape(-1, 1, 3) - scale[None]).sum(axis=2).argmin(axis=1)
        return int(np.percentile(nearest, 99.5))

    assert level(strong) > 235
    assert level(weak) == pytest.approx(level(strong) * evidence_of(0) / evidence_of(128), abs=15)


def test_boxes_are_drawn_only_if_wanted_and_written_down_steady(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(6))
    for name, drawn in (("with", True), ("without", False)):
        annotated(
            *(source, tmp_path / f"{name}.mp4"),
            engine=FakeEngine(targets=[2]),
            boxes=BoxOptions(0.4, drawn=drawn),
            jsonl=tmp_path / f"{name}.jsonl",
            encoding=Encoding(crf=1),
        )
    assert (tmp_path / "with.jsonl").read_bytes() == (tmp_path / "without.jsonl").read_bytes()
    numbers = records(tmp_path / "with.jsonl")
    steady = SteadyBoxes(threshold=0.4)
    engine = FakeEngine(targets=[2])
    for index, image in enumerate(pictures(6)):
        (explanation,) = engine.explain_batch([image], 1)
        (boxes,) = steady.steady(explanation, (48, 48), index / 25).boxes
        assert boxes
        assert numbers[index]["boxes"] == [list(box) for box in boxes]
    for index, (boxed, plain) in enumerate(
        zip(frames_of(tmp_path / "with.mp4"), frames_of(tmp_path / "without.mp4"), strict=True)
    ):
        changed = np.abs(boxed - plain).max(axis=2) > 60
        rim = 3
        for left, top, right, bottom in numbers[index]["boxes"]:
            assert changed[top:bottom, left:right].any()
            changed[max(0, top - rim) : bottom + rim, max(0, left - rim) : right + rim] = False
        assert not changed.any()


# --- pictures in, pictures out ------------------------------------------------------------------------------------


def write_pictures(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir()
    for name, image in zip(names, pictures(len(names)), strict=True):
        cv2.imwrite(str(folder / name), image)
    return folder


def test_pictures_as_a_recording(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "shots", [f"{n:03d}.png" for n in range(12)])
    annotated(folder, tmp_path / "folder.mp4", picture_fps=Fraction(10))
    assert shown(tmp_path / "folder.mp4") == [(n, Fraction(n, 10)) for n in range(12)]
    for number in range(3, 12):
        (folder / f"{number:03d}.png").rename(folder / f"x{number - 3}.png")
    annotated(folder / "x%d.png", tmp_path / "pattern.mp4")
    assert shown(tmp_path / "pattern.mp4") == [(n, Fraction(n - 3, 25)) for n in range(3, 12)]
    annotated(folder / "002.png", tmp_path / "one.mp4")
    assert shown(tmp_path / "one.mp4") == [(2, Fraction(0))]
    annotated(folder / "002.png", tmp_path / "long.mp4", output_fps=Fraction(100), picture_fps=Fraction(2))
    assert shown(tmp_path / "long.mp4") == [(2, Fraction(n, 100)) for n in range(50)]


def test_a_picture_that_cannot_be_read_is_left_out_and_told(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "shots", [f"{n}.png" for n in range(6)])
    (folder / "3.png").write_bytes(b"torn")
    summary = annotated(folder, tmp_path / "out.mp4")
    assert shown(tmp_path / "out.mp4") == [(n, Fraction(n, 25)) for n in (0, 1, 2, 4, 5)]
    assert summary.loss.corrupt_packets == 1


def test_a_folder_of_pictures_out(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(12), ticks=[n * n for n in range(12)], time_base=Fraction(1, 50))
    summary = annotated(source, tmp_path / "out", encoding=Encoding("png"))
    assert summary.encoder == "png"
    files = sorted((tmp_path / "out").glob("*.png"))
    assert [file.name for file in files] == [f"{n:06d}.png" for n in range(12)]
    assert [number_of(cv2.imread(str(file))) for file in files] == list(range(12))
    rows = (tmp_path / "out" / "frames.csv").read_text().splitlines()
    assert rows == ["file,time", *(f"{n:06d}.png,{n * n / 50:.6f}" for n in range(12))]


@pytest.mark.parametrize(
    ("name", "codec", "encoder", "tick"),
    [
        ("x.mp4", None, "libx264", None),
        ("x.m4v", "hevc", "libx265", None),
        ("x.mp4", "av1", "libsvtav1", None),
        ("x.mkv", None, "libx264", Fraction(1, 1000)),
        ("x.webm", None, "libvpx-vp9", Fraction(1, 1000)),
        ("x.gif", None, "gif", Fraction(1, 100)),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, codec: str | None, encoder: str, tick: Fraction | None) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(24, width=64, height=64), rate=12)
    summary = annotated(source, tmp_path / name, size=(48, 48), encoding=Encoding(codec))
    assert summary.encoder == encoder
    times = [Fraction(n, 12) for n in range(24)]
    expected = [round(time / tick) * tick for time in times] if tick else times
    assert shown(tmp_path / name) == list(zip(range(24), expected, strict=True))


def test_a_gif_of_too_many_frames_a_second(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pictures(12), rate=60)
    with pytest.raises(UsageError, match=r"^a GIF shows at most 50 frames per second: add --output-fps 25$"):
        annotated(source, tmp_path / "x.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    annotated(source, tmp_path / "x.gif", output_fps=Fraction(25))
    assert len(shown(tmp_path / "x.gif")) == 5


# --- names --------------------------------------------------------------------------------------------------------

PLAIN = AnnotateOptions()


def planned(sources: Sequence[Path], output: Path | None, codec: str | None = None, **sidecars: Path) -> list[Path]:
    options = AnnotateOptions(encoding=Encoding(codec))
    return [job.output for job in plan_jobs(sources, output, options, sidecars)]


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        (None, "a.b-gradcam.mp4"),
        ("h264", "a.b-gradcam.mp4"),
        ("vp9", "a.b-gradcam.webm"),
        ("gif", "a.b-gradcam.gif"),
        ("png", "a.b-gradcam"),
    ],
)
def test_an_output_without_a_name_lies_beside_its_source(tmp_path: Path, codec: str | None, name: str) -> None:
    (tmp_path / "a.b.mov").touch()
    assert planned([tmp_path / "a.b.mov"], None, codec) == [tmp_path / name]
    if codec != "png":
        assert planned([tmp_path / "a.b.mov"], tmp_path, codec) == [tmp_path / name]


def test_the_output_of_pictures_lies_beside_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pictures(tmp_path / "shots.new", ["1.png", "2.png"])
    assert planned([folder], None) == [tmp_path / "shots.new-gradcam.mp4"]
    assert planned([folder / "%d.png"], None) == [tmp_path / "shots.new-gradcam.mp4"]
    assert planned([folder / "1.png"], None) == [folder / "1-gradcam.mp4"]
    monkeypatch.chdir(folder)
    assert planned([Path()], None) == [tmp_path / "shots.new-gradcam.mp4"]
    assert planned([Path("%d.png")], None) == [tmp_path / "shots.new-gradcam.mp4"]


def test_a_folders_videos_go_into_a_folder_and_outputs_are_not_taken_again(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mkv", "b-gradcam.mp4", "notes.txt", "cover.jpg"):
        (tmp_path / name).touch()
    out = tmp_path / "out"
    options = AnnotateOptions()
    jobs = plan_jobs([tmp_path], out, options, {"contact-sheet": out / "sheets", "jsonl": out, "heatmaps": out})
    assert [(job.source.name, job.output) for job in jobs] == [
        ("a.mkv", out / "a-gradcam.mp4"),
        ("b.mp4", out / "b-gradcam.mp4"),
    ]
    assert list(jobs[0].sidecars.items()) == [
        ("jsonl", out / "a.jsonl"),
        ("heatmaps", out / "a.npz"),
        ("contact-sheet", out / "sheets" / "a.png"),
    ]
    with pytest.raises(UsageError, match="several videos need a folder for their outputs: add -o FOLDER"):
        plan_jobs([tmp_path], None, options)
    (tmp_path / "a.webm").touch()
    with pytest.raises(UsageError, match="several outputs would have the name"):
        plan_jobs([tmp_path], out, options)


def test_numbers_in_the_folder_of_pictures_would_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").touch()
    pictures_alone = AnnotateOptions(encoding=Encoding("png"))
    with pytest.raises(UsageError, match=r"n\.jsonl is in the folder of pictures .*: write it beside that folder"):
        plan_jobs([tmp_path / "in.mp4"], tmp_path / "out", pictures_alone, {"jsonl": tmp_path / "out" / "n.jsonl"})


def test_names_of_files_that_are_not_written(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.touch()
    with pytest.raises(UsageError, match="a video cannot be written as"):
        planned([source], tmp_path / "x.avi")
    with pytest.raises(UsageError, match="cannot hold h264, only vp9 or av1"):
        planned([source], tmp_path / "x.webm", "h264")
    with pytest.raises(UsageError, match=r"call the heatmaps NAME\.npz"):
        planned([source], None, heatmaps=tmp_path / "x.h5")
    with pytest.raises(SourceError, match="there is no file"):
        planned([tmp_path / "b.mp4"], None)


# --- the engine's share -------------------------------------------------------------------------------------------


def test_as_many_maps_are_computed_as_are_needed() -> None:
    engine = SessionOptions(topk=4)
    assert AnnotateOptions().for_session(engine).maps == 1
    assert AnnotateOptions(layout="grid").for_session(engine).maps is None
    assert AnnotateOptions(smooth=0.2).for_session(engine).maps == 3
    assert AnnotateOptions(smooth=0.2).for_session(SessionOptions(classes=("5",))).maps == 1
