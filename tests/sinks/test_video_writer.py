"""Video files written: times, colours, sound, and what is left behind when something fails."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import audio_packets, boxes, exact_yuv, make_video, number_of, numbered

from live_gradcam.errors import OutputError
from live_gradcam.sinks.sink import Extras
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.reader import VideoReader

pytestmark = pytest.mark.versions

_COLOURS = {
    "red": (0, 0, 255),
    "green": (0, 255, 0),
    "blue": (255, 0, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "grey": (60, 60, 60),
    "skin": (120, 160, 220),
    "leaf": (90, 200, 30),
}
#: Half a step of each of Y', Cb and Cr is 0.6 + 1.1 levels of blue at most (255/219 and 1.8556 · 255/224, halved), and
#: the way back may cut off another.
_ROUNDING = 3


def _write(path: Path, frames: Iterable[tuple[np.ndarray, Fraction]], time_base: Fraction) -> Path:
    frames = list(frames)
    size = frames[0][0].shape[:2]
    with VideoWriter(path, size=size, frame_rate=Fraction(25), time_base=time_base) as writer:
        for image, pts in frames:
            writer.write(image, pts)
    return path


def _plain(colour: tuple[int, int, int], height: int = 64, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


# --- times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_a_constant_frame_rate_survives_exactly(tmp_path: Path, rate: Fraction) -> None:
    count = 70
    path = tmp_path / "constant.mp4"
    with VideoWriter(path, size=(48, 64), frame_rate=rate, time_base=1 / rate) as writer:
        for index in range(count):
            writer.write(numbered(index), index / rate)
        assert writer.frames_written == count
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        assert reader.frame_rate == rate
        assert reader.expected_frames == count
        assert not reader.loss
    assert [frame.pts for frame in frames] == [index / rate for index in range(count)]
    assert [number_of(frame.image) for frame in frames] == list(range(count))


@pytest.mark.parametrize("ticks_a_second", [600, 1000, 12_800, 90_000, 1_000_000])
def test_a_variable_frame_rate_survives_exactly(tmp_path: Path, ticks_a_second: int) -> None:
    time_base = Fraction(1, ticks_a_second)
    steps = random.Random(ticks_a_second)
    ticks = [0]
    while len(ticks) < 60:
        ticks.append(ticks[-1] + steps.choice([1, 7, ticks_a_second // 60, ticks_a_second // 30, 3 * ticks_a_second]))
    _write(tmp_path / "v.mp4", ((numbered(i), tick * time_base) for i, tick in enumerate(ticks)), time_base)
    with VideoReader(tmp_path / "v.mp4") as reader:
        frames = list(reader.frames())
    assert [frame.pts for frame in frames] == [tick * time_base for tick in ticks]
    assert [number_of(frame.image) for frame in frames] == list(range(60))


@pytest.mark.parametrize("begin", [Fraction(1, 30), Fraction(7, 90_000), Fraction(1_234_567, 90_000)])
def test_a_first_frame_after_0_keeps_its_time(tmp_path: Path, begin: Fraction) -> None:
    times = [begin + Fraction(i, 30) for i in range(12)]
    _write(tmp_path / "late.mp4", ((numbered(i), pts) for i, pts in enumerate(times)), Fraction(1, 90_000))
    with VideoReader(tmp_path / "late.mp4") as reader:
        assert [frame.pts for frame in reader.frames()] == times


def test_times_that_do_not_increase_become_the_next_tick(tmp_path: Path) -> None:
    time_base = Fraction(1, 1000)
    given = [Fraction(-40, 1000), Fraction(0), Fraction(40, 1000), Fraction(40, 1000), Fraction(20, 1000), Fraction(1)]
    _write(tmp_path / "back.mp4", ((numbered(i), pts) for i, pts in enumerate(given)), time_base)
    with VideoReader(tmp_path / "back.mp4") as reader:
        frames = list(reader.frames())
    assert [frame.pts / time_base for frame in frames] == [0, 1, 40, 41, 42, 1000]
    assert [number_of(frame.image) for frame in frames] == list(range(6))


def test_a_key_frame_comes_every_two_seconds(tmp_path: Path) -> None:
    _write(tmp_path / "k.mp4", ((numbered(0), Fraction(i, 25)) for i in range(120)), Fraction(1, 25))
    with av.open(str(tmp_path / "k.mp4")) as container:
        stream = container.streams.video[0]
        keys = [packet.pts * stream.time_base for packet in container.demux(stream) if packet.is_keyframe]
    assert keys == [0, 2, 4]


# --- the file -----------------------------------------------------------------------------------------------------


def test_codec_and_colour_tags(tmp_path: Path) -> None:
    _write(tmp_path / "tags.mp4", ((numbered(i), Fraction(i, 25)) for i in range(3)), Fraction(1, 25))
    with av.open(str(tmp_path / "tags.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        bt709, limited = 1, 1  # ITU-T H.273
        assert (context.colorspace, context.color_primaries, context.color_trc) == (bt709, bt709, bt709)
        assert context.color_range == limited


def test_the_index_comes_before_the_pictures(tmp_path: Path) -> None:
    path = _write(tmp_path / "fast.mp4", ((numbered(i), Fraction(i, 25)) for i in range(30)), Fraction(1, 25))
    names = [name for name, _, _ in boxes(path.read_bytes())]
    assert names[0] == "ftyp"
    assert names.index("moov") < names.index("mdat")


def test_the_file_appears_when_it_is_finished(tmp_path: Path) -> None:
    path, part = tmp_path / "new.mp4", tmp_path / "new.mp4.part"
    with VideoWriter(path, size=(48, 64), frame_rate=Fraction(25), time_base=Fraction(1, 25)) as writer:
        assert part.exists()
        writer.write(numbered(0), Fraction(0))
        assert not path.exists()
    assert path.exists()
    assert not part.exists()


def test_an_exception_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "old.mp4"
    path.write_text("precious")
    with pytest.raises(TypeError):
        _write(path, [(numbered(0), Fraction(0)), (numbered(1), "not a time")], Fraction(1, 25))
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["old.mp4"]


def test_a_file_is_replaced_when_the_new_one_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "old.mp4"
    path.write_text("obsolete")
    _write(path, [(numbered(5), Fraction(0))], Fraction(1, 25))
    with VideoReader(path) as reader:
        assert [number_of(frame.image) for frame in reader.frames()] == [5]


@pytest.mark.parametrize("name", ["12:30:05.mp4", "a b – ü 猫.mp4", "50 %d.mp4", "-.mp4"])
def test_any_name_that_a_folder_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    _write(Path(name), [(numbered(77), Fraction(0))], Fraction(1, 25))
    assert os.listdir(tmp_path) == [name]
    with VideoReader(name) as reader:
        assert [number_of(frame.image) for frame in reader.frames()] == [77]


# --- what cannot be written ---------------------------------------------------------------------------------------


def _failure(path: Path) -> str:
    with pytest.raises(OutputError) as caught:
        VideoWriter(path, size=(48, 64), frame_rate=Fraction(25), time_base=Fraction(1, 25))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_that_does_not_exist_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "out.mp4"
    assert _failure(path) == f"cannot write {path}: No such file or directory"


def test_a_part_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.part").mkdir()
    assert _failure(tmp_path / "out.mp4") == f"cannot write {tmp_path / 'out.mp4'}: Is a directory"


def test_a_name_that_is_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "folder.mp4"
    path.mkdir()
    writer = VideoWriter(path, size=(48, 64), frame_rate=Fraction(25), time_base=Fraction(1, 25))
    writer.write(numbered(0), Fraction(0))
    with pytest.raises(OutputError, match=r"^cannot write .*folder\.mp4: "):
        writer.finish()
    assert os.listdir(tmp_path) == ["folder.mp4"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.part").symlink_to("/dev/full")
    assert _failure(tmp_path / "out.mp4") == f"cannot write {tmp_path / 'out.mp4'}: No space left on device"
    assert os.listdir(tmp_path) == []


_WRITE_UNTIL_IT_FAILS = """
import resource, sys
sys.dont_write_bytecode = True  # a part of it would be written
from fractions import Fraction
import numpy as np
from live_gradcam.errors import OutputError
from live_gradcam.sinks.writer import VideoWriter

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
try:
    with VideoWriter(sys.argv[1], size=(120, 160), frame_rate=Fraction(25), time_base=Fraction(1, 25)) as writer:
        for index in range(400):
            writer.write(np.roll(noise, 7 * index), Fraction(index, 25))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_while_frames_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    run = subprocess.run([sys.executable, "-c", _WRITE_UNTIL_IT_FAILS, path], capture_output=True, text=True)
    assert run.stdout == f"cannot write {path}: File too large\n"
    assert run.stderr == ""
    assert os.listdir(tmp_path) == []


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(121, 161), (120, 161), (121, 160), (17, 3), (1, 1)])
def test_an_odd_side_is_padded_by_repeating_its_last_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    ramp = np.linspace(40, 200, width).round().astype(np.uint8)
    image = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (height, width, 3)))
    path = _write(tmp_path / "odd.mp4", ((image, Fraction(i, 25)) for i in range(3)), Fraction(1, 25))
    with VideoReader(path) as reader:
        read = next(iter(reader.frames())).image.astype(int)
    assert read.shape == (height + height % 2, width + width % 2, 3)
    step = int(np.diff(ramp.astype(int)).max(initial=0))
    assert np.abs(read[:height, :width] - image).max() <= _ROUNDING + step + 2  # a ramp's neighbours share their colour
    assert np.abs(read[:, -1] - int(ramp[-1])).max() <= _ROUNDING + step + 2
    assert np.abs(read[-1, :width] - image[-1]).max() <= _ROUNDING + step + 2


@pytest.mark.parametrize("name", _COLOURS)
def test_colours_come_back(tmp_path: Path, name: str) -> None:
    colour = _COLOURS[name]
    path = _write(tmp_path / "c.mp4", ((_plain(colour), Fraction(i, 25)) for i in range(2)), Fraction(1, 25))
    with VideoReader(path) as reader:
        image = next(iter(reader.frames())).image.astype(int)
    assert np.abs(image - colour).max() <= _ROUNDING


def test_colours_are_stored_as_bt709_says_and_not_darker(tmp_path: Path) -> None:
    errors = []
    for colour in _COLOURS.values():
        path = _write(tmp_path / "c.mp4", ((_plain(colour), Fraction(i, 25)) for i in range(2)), Fraction(1, 25))
        with av.open(str(path)) as container:
            stored = [np.frombuffer(plane, np.uint8)[0] for plane in next(container.decode(video=0)).planes]
        errors.append(np.subtract(stored, exact_yuv(colour, "BT.709")))
    assert np.abs(errors).max() <= 1
    assert np.abs(np.mean(errors, axis=0)).max() < 0.25  # cutting off instead of rounding gives -0.5


def test_a_photograph_is_stored_without_a_tint(tmp_path: Path, coffee: np.ndarray) -> None:
    path = _write(tmp_path / "p.mp4", ((coffee, Fraction(i, 25)) for i in range(3)), Fraction(1, 25))
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).planes
    stored = [np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].mean() for plane in planes]
    exact = exact_yuv(coffee.mean(axis=(0, 1)), "BT.709")  # linear, so the mean colour's is the mean
    assert np.abs(np.subtract(stored, exact)).max() < 0.2  # cutting off instead of rounding gives -0.5


def test_a_photograph_comes_back(tmp_path: Path, coffee: np.ndarray) -> None:
    path = _write(tmp_path / "p.mp4", ((coffee, Fraction(i, 25)) for i in range(3)), Fraction(1, 25))
    with VideoReader(path) as reader:
        difference = next(iter(reader.frames())).image.astype(float) - coffee
    assert 10 * np.log10(255**2 / np.mean(difference**2)) > 33  # dB; half of the colour's pixels are not stored


def test_a_frame_of_another_size_is_scaled(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "s.mp4", size=(48, 64), frame_rate=Fraction(25), time_base=Fraction(1, 25)) as writer:
        for index, scale in enumerate((1, 3, 1)):
            writer.write(numbered(9 + index, height=48 * scale, width=64 * scale), Fraction(index, 25))
    with VideoReader(tmp_path / "s.mp4") as reader:
        frames = list(reader.frames())
    assert [number_of(frame.image) for frame in frames] == [9, 10, 11]
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


# --- sound --------------------------------------------------------------------------------------------------------


def _copy(source: Path, target: Path) -> None:
    """As `annotating` does it."""
    waiting: list[av.Packet] = []
    with VideoReader(source) as reader:
        frames = reader.frames(on_packet=waiting.append)
        first = next(frames)
        with VideoWriter(
            target,
            size=first.image.shape[:2],
            frame_rate=reader.frame_rate,
            time_base=reader.time_base,
            extras=Extras(reader.others),
        ) as writer:
            frame = first
            while frame is not None:
                writer.write(frame.image, frame.pts)
                frame = next(frames, None)
                while waiting:
                    writer.write_packet(waiting.pop(0))


def _decoded_samples(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


@pytest.mark.parametrize(
    ("ending", "video_codec", "audio_codec"),
    [
        ("mp4", "libx264", "aac"),
        ("mkv", "libx264", "aac"),
        ("mp4", "libx264", "libmp3lame"),
        ("webm", "libvpx-vp9", "libopus"),
        ("mkv", "libx264", "ac3"),
    ],
)
def test_sound_is_copied_packet_by_packet(tmp_path: Path, ending: str, video_codec: str, audio_codec: str) -> None:
    source, target = tmp_path / f"in.{ending}", tmp_path / "out.mp4"
    images = [numbered(i) for i in range(40)]
    make_video(source, images, codec=video_codec, audio_codec=audio_codec, audio_seconds=1.6)
    _copy(source, target)
    expected = audio_packets(source)
    assert len(expected) > 30
    assert audio_packets(target) == expected  # the times as Fractions, the payloads byte by byte
    with VideoReader(target) as reader:
        frames = list(reader.frames())
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    assert [frame.pts for frame in frames] == [Fraction(i, 25) for i in range(40)]


def test_aac_from_a_transport_stream_is_repacked_and_sounds_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "in.ts", tmp_path / "out.mp4"
    make_video(source, [numbered(i) for i in range(40)], audio_codec="aac", audio_seconds=1.6)
    _copy(source, target)
    assert [pts for pts, _ in audio_packets(target)] == [pts for pts, _ in audio_packets(source)]
    np.testing.assert_array_equal(_decoded_samples(target), _decoded_samples(source))


def test_sound_of_recordings_put_together_stays_with_its_pictures(tmp_path: Path) -> None:
    part, both, target = tmp_path / "part.ts", tmp_path / "both.ts", tmp_path / "out.mp4"
    make_video(part, [numbered(i) for i in range(50)], audio_codec="aac", audio_seconds=2)
    both.write_bytes(part.read_bytes() * 2)
    _copy(both, target)
    of_part, packet = [pts for pts, _ in audio_packets(part)], Fraction(1024, 48_000)
    until, of_second = of_part[-1] + packet, [pts + 2 for pts in of_part]
    expected = of_part + [pts for pts in of_second if pts >= until - Fraction(1, 1000)]
    assert 2 * len(of_part) - len(expected) in (1, 2)  # AAC's whole packets, and the one with which it warms up
    times = [pts for pts, _ in audio_packets(target)]
    since_first = [[pts - each[0] for pts in each] for each in (times, expected)]
    assert since_first[0] == pytest.approx(since_first[1], abs=1e-4)
    with VideoReader(target) as reader:
        frames = list(reader.frames())
    assert [number_of(frame.image) for frame in frames] == [*range(50), *range(50)]
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {Fraction(1, 25)}
