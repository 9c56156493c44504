"""Encoded parts made one file: as if the whole had been written at once, but for the encoder's choices at the seams."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_files import audio_packets, boxes, make_video, moving, number_of_moving

from live_gradcam.errors import OutputError
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.join import join
from live_gradcam.sinks.sink import Companion, Extras
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.reader import VideoReader

_FAST = {"h264": "veryfast", "hevc": "ultrafast", "av1": "13", "vp9": "8"}
_PAIRS = [
    *((codec, ending) for ending in (".mp4", ".mkv") for codec in ("h264", "hevc", "av1", "vp9")),
    ("vp9", ".webm"),
    ("av1", ".webm"),
]
_TICK = Fraction(1, 90_000)
_COUNT = 47
_CUTS = [0, 1, 20, 33, 46, _COUNT]  # parts of one frame, too
_STEPS = np.random.default_rng(5).choice([1001, 3003, 3600, 9000, 45_000], _COUNT)
_VARIABLE = [int(tick) * _TICK for tick in np.cumsum(_STEPS)]
_CONSTANT = [Fraction(i, 25) for i in range(_COUNT)]


def _write(
    path: Path, times: Sequence[Fraction], first: int, codec: str, time_base: Fraction = _TICK, **more: Any
) -> Path:
    """Pictures numbered from `first` on, each at its time."""
    encoding = Encoding(codec, preset=_FAST[codec], **more)
    with VideoWriter(path, size=(48, 64), frame_rate=Fraction(25), time_base=time_base, encoding=encoding) as writer:
        for index, time in enumerate(times):
            writer.write(moving(first + index), time)
    return path


def _parts(folder: Path, times: Sequence[Fraction], codec: str, ending: str, time_base: Fraction = _TICK) -> list[Path]:
    folder.mkdir()
    return [
        _write(folder / f"{begin}{ending}", times[begin:end], begin, codec, time_base) for begin, end in pairwise(_CUTS)
    ]


def _companion(path: Path, *, sound: float = 0) -> VideoReader:
    audio = {"audio_codec": "aac", "audio_seconds": sound} if sound else {}
    make_video(path, [moving(i) for i in range(5)], codec_options={"bf": "0"}, **audio)
    return VideoReader(path)


def _frames(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        assert not reader.loss
    return frames


def _packet_times(path: Path) -> list[tuple[int, int]]:
    """Presentation and decoding time of each packet of the pictures, which FFmpeg leaves out in Matroska."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [(packet.pts, packet.dts) for packet in packets if packet.dts is not None]


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "ending"), _PAIRS)
@pytest.mark.parametrize(
    ("times", "time_base"), [(_VARIABLE, _TICK), (_CONSTANT, Fraction(1, 25))], ids=["variable", "constant"]
)
def test_the_parts_are_the_whole(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    codec: str,
    ending: str,
    times: list[Fraction],
    time_base: Fraction,
) -> None:
    whole = _write(tmp_path / f"whole{ending}", times, 0, codec, time_base)
    parts, path = _parts(tmp_path / "parts", times, codec, ending, time_base), tmp_path / f"out{ending}"
    with _companion(tmp_path / "in.mp4") as companion:
        carried = join(parts, path, time_base=time_base, companion=Companion(companion))
    assert carried == ([], [])
    frames, expected = _frames(path), _frames(whole)
    assert [frame.pts for frame in frames] == [frame.pts for frame in expected]
    if ending == ".mp4":
        assert [frame.pts for frame in frames] == times
    assert [number_of_moving(frame.image) for frame in frames] == list(range(_COUNT))
    ours = [image for part in parts for image in (frame.image for frame in _frames(part))]
    assert all(np.array_equal(frame.image, image) for frame, image in zip(frames, ours, strict=True))
    packets = _packet_times(path)
    assert all(decoded <= shown for shown, decoded in packets)
    assert all(a < b for (_, a), (_, b) in pairwise(packets))
    with av.open(str(path)) as joined, av.open(str(whole)) as at_once:
        streams = [container.streams.video[0] for container in (joined, at_once)]
        tags = [
            (c.name, c.codec_tag, c.colorspace, c.color_primaries, c.color_trc, c.color_range)
            for c in (stream.codec_context for stream in streams)
        ]
        assert tags[0] == tags[1]
        assert streams[0].time_base == streams[1].time_base
        assert streams[0].start_time == streams[1].start_time
        assert joined.duration == pytest.approx(at_once.duration, abs=40_000)  # microseconds; a frame
    if ending == ".mp4":
        names = [name for name, _, _ in boxes(path.read_bytes())]
        assert names.index("moov") < names.index("mdat")
    assert not list(tmp_path.glob("*.part"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("codec", "ending"), [("h264", ".mp4"), ("hevc", ".mkv"), ("vp9", ".webm")])
def test_the_last_frame_stays_as_long_as_in_the_last_part(tmp_path: Path, codec: str, ending: str) -> None:
    """However many frames there are: of some numbers the one that is decoded last is not the last one shown."""
    encoding, path = Encoding(codec, preset=_FAST[codec]), tmp_path / f"out{ending}"
    for count in range(12, 19):
        parts = []
        for frames in (range(10), range(10, count)):
            parts.append(tmp_path / f"{frames[0]}{ending}")
            with VideoWriter(
                parts[-1], size=(48, 64), frame_rate=Fraction(25), time_base=_TICK, encoding=encoding
            ) as writer:
                for index in frames:
                    writer.show_for(Fraction(3 if index == count - 1 else _CONSTANT[1]))
                    writer.write(moving(index), _CONSTANT[index])
        with _companion(tmp_path / "in.mp4") as companion:
            join(parts, path, time_base=_TICK, companion=Companion(companion))
        for file, end in ((path, _CONSTANT[count - 1] + 3), (parts[0], _CONSTANT[10])):
            with av.open(str(file)) as container:
                assert container.duration == pytest.approx(float(end) * av.time_base, abs=2000)


@pytest.mark.parametrize(("codec", "ending"), [("h264", ".mp4"), ("hevc", ".mp4"), ("h264", ".mkv"), ("vp9", ".webm")])
def test_one_part_of_one_frame(tmp_path: Path, codec: str, ending: str) -> None:
    part = _write(tmp_path / f"part{ending}", [Fraction(7)], 9, codec)
    with _companion(tmp_path / "in.mp4") as companion:
        join([part], tmp_path / f"out{ending}", time_base=_TICK, companion=Companion(companion))
    (frame,) = _frames(tmp_path / f"out{ending}")
    assert (frame.pts, number_of_moving(frame.image)) == (7, 9)


# --- what goes along ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_the_sound_is_there_once(tmp_path: Path, ending: str) -> None:
    parts, path = _parts(tmp_path / "parts", _CONSTANT, "h264", ending), tmp_path / f"out{ending}"
    with _companion(tmp_path / f"in{ending}", sound=1.9) as companion:
        join(parts, path, time_base=_TICK, companion=Companion(companion))
    assert audio_packets(path) == audio_packets(tmp_path / f"in{ending}")
    assert len(audio_packets(path)) > 80
    assert [frame.pts for frame in _frames(path)] == _CONSTANT


def test_sound_and_pictures_lie_side_by_side_in_the_file(tmp_path: Path) -> None:
    parts, path = _parts(tmp_path / "parts", _CONSTANT, "h264", ".mp4"), tmp_path / "out.mp4"
    with _companion(tmp_path / "in.mp4", sound=1.9) as companion:
        join(parts, path, time_base=_TICK, companion=Companion(companion))
    with av.open(str(path)) as container:
        order = [(packet.pos, float(packet.dts * packet.time_base)) for packet in container.demux() if packet.size]
    times = [time for _, time in sorted(order)]
    assert max(a - b for a, b in pairwise(times)) < 0.5  # seconds that one is ahead of the other


def test_sound_of_a_span_and_shifted(tmp_path: Path) -> None:
    start, end = Fraction(1, 2), Fraction(3, 2)
    parts, path = _parts(tmp_path / "parts", _CONSTANT, "h264", ".mp4"), tmp_path / "out.mp4"
    with _companion(tmp_path / "in.mp4", sound=1.9) as companion:
        join(parts, path, time_base=_TICK, companion=Companion(companion, start, end), extras=Extras(shift=start))
    expected = [(time - start, payload) for time, payload in audio_packets(tmp_path / "in.mp4") if start <= time < end]
    assert audio_packets(path) == expected
    assert 40 < len(expected) < 50


def test_sound_that_is_encoded_anew(tmp_path: Path) -> None:
    parts, path = _parts(tmp_path / "parts", _CONSTANT, "vp9", ".webm"), tmp_path / "out.webm"
    with _companion(tmp_path / "in.mp4", sound=1.9) as companion:
        carried = join(parts, path, time_base=_TICK, companion=Companion(companion))
    assert carried.converted == ["audio aac → opus"]
    with av.open(str(path)) as container:
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 48_000
    assert seconds == pytest.approx(1.9, abs=0.05)
    assert [frame.pts for frame in _frames(path)] == _CONSTANT


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_what_the_file_says(tmp_path: Path, ending: str) -> None:
    parts, path = _parts(tmp_path / "parts", _CONSTANT, "h264", ending), tmp_path / f"out{ending}"
    chapters = [{"id": 1, "start": 0, "end": 900, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
    extras = Extras(metadata={"comment": "ü 猫"}, chapters=chapters)
    with _companion(tmp_path / "in.mp4") as companion:
        join(parts, path, time_base=_TICK, companion=Companion(companion), extras=extras)
    with av.open(str(path)) as container:
        said = {key.lower(): value for key, value in container.metadata.items()}
        (chapter,) = container.chapters()
    assert said["comment"] == "ü 猫"
    assert (chapter["end"] * chapter["time_base"], chapter["metadata"]) == (Fraction(9, 10), {"title": "One"})


# --- what cannot be joined ----------------------------------------------------------------------------------------


def _failure(parts: Sequence[Path], path: Path, companion: Path) -> str:
    before = sorted(os.listdir(path.parent)) if path.parent.exists() else None
    with _companion(companion) as reader, pytest.raises(OutputError) as caught:
        join(parts, path, time_base=_TICK, companion=Companion(reader))
    assert before == (sorted(os.listdir(path.parent)) if path.parent.exists() else None)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("codec", "ending"), [("h264", ".mp4"), ("hevc", ".mkv"), ("vp9", ".webm"), ("av1", ".mp4")])
def test_parts_of_different_sizes(tmp_path: Path, codec: str, ending: str) -> None:
    (tmp_path / "out").mkdir()
    first = _write(tmp_path / f"1{ending}", _CONSTANT[:5], 0, codec)
    second = tmp_path / f"2{ending}"
    with VideoWriter(
        second,
        size=(96, 128),
        frame_rate=Fraction(25),
        time_base=_TICK,
        encoding=Encoding(codec, preset=_FAST[codec]),
    ) as writer:
        writer.write(moving(5, height=96, width=128), _CONSTANT[5])
    message = _failure([first, second], tmp_path / "out" / f"out{ending}", tmp_path / "in.mp4")
    assert message == f"the parts of a video were encoded in different ways: 1{ending}, 2{ending}"


def test_parts_of_different_codecs(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first = _write(tmp_path / "1.webm", _CONSTANT[:5], 0, "vp9")
    second = _write(tmp_path / "2.webm", _CONSTANT[5:10], 5, "av1")
    message = _failure([first, second], tmp_path / "out" / "out.webm", tmp_path / "in.mp4")
    assert message == "the parts of a video were encoded in different ways: 1.webm, 2.webm"


def test_parts_in_the_wrong_order(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first = _write(tmp_path / "1.mp4", _CONSTANT[:5], 0, "h264")
    second = _write(tmp_path / "2.mp4", _CONSTANT[5:10], 5, "h264")
    message = _failure([second, first], tmp_path / "out" / "out.mp4", tmp_path / "in.mp4")
    assert message.startswith(f"cannot write {tmp_path / 'out' / 'out.mp4'}: ")


def test_a_part_that_is_missing_or_none(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first = _write(tmp_path / "1.mp4", _CONSTANT[:5], 0, "h264")
    (tmp_path / "2.mp4").write_text("not a video")
    for second in (tmp_path / "2.mp4", tmp_path / "3.mp4"):
        for parts in ([first, second], [second]):
            message = _failure(parts, tmp_path / "out" / "out.mp4", tmp_path / "in.mp4")
            assert message.startswith(f"cannot write {tmp_path / 'out' / 'out.mp4'}: ")


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    part = _write(tmp_path / "1.mp4", _CONSTANT[:5], 0, "h264")
    path = tmp_path / "nowhere" / "out.mp4"
    assert _failure([part], path, tmp_path / "in.mp4") == f"cannot write {path}: No such file or directory"


def test_what_was_there_stays_when_joining_fails(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "out.mp4"
    path.write_text("precious")
    _failure([tmp_path / "missing.mp4"], path, tmp_path / "in.mp4")
    assert path.read_text() == "precious"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    part = _write(tmp_path / "1.mp4", _CONSTANT[:5], 0, "h264")
    path = tmp_path / "out" / "out.mp4"
    (tmp_path / "out" / "out.mp4.part").symlink_to("/dev/full")
    with _companion(tmp_path / "in.mp4") as companion, pytest.raises(OutputError) as caught:
        join([part], path, time_base=_TICK, companion=Companion(companion))
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert os.listdir(tmp_path / "out") == []


_JOIN_UNTIL_IT_FAILS = """
import resource, sys
sys.dont_write_bytecode = True  # a part of it would be written
from fractions import Fraction
from pathlib import Path
from live_gradcam.errors import OutputError
from live_gradcam.sinks.join import join
from live_gradcam.sinks.sink import Companion
from live_gradcam.sources.reader import VideoReader

part, companion, path = map(Path, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
try:
    with VideoReader(companion) as reader:
        join([part], path, time_base=Fraction(1, 90_000), companion=Companion(reader))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_disk_that_fills_up(tmp_path: Path, ending: str) -> None:
    (tmp_path / "out").mkdir()
    part, path = tmp_path / f"1{ending}", tmp_path / "out" / f"out{ending}"
    with VideoWriter(part, size=(48, 64), frame_rate=Fraction(25), time_base=_TICK) as writer:
        for seed in range(25):
            noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            writer.write(noise, _CONSTANT[seed])
    assert part.stat().st_size > 40_000
    _companion(tmp_path / "in.mp4", sound=1).close()
    run = subprocess.run(
        [sys.executable, "-c", _JOIN_UNTIL_IT_FAILS, part, tmp_path / "in.mp4", path], capture_output=True, text=True
    )
    assert run.stdout == f"cannot write {path}: File too large\n"
    assert run.stderr == ""
    assert os.listdir(tmp_path / "out") == []
