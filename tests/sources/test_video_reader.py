"""Video files read: every frame at its time, upright, in the right colours, and what remains of damaged files."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from video_files import (
    audio_packets,
    boxes,
    cut,
    eight_bits,
    exact_yuv,
    make_plain_video,
    make_video,
    number_of,
    numbered,
)

from live_gradcam.errors import SourceError
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.reader import VideoReader
from live_gradcam.sources.silence import silence_opencv
from live_gradcam.sources.wholeness import breaks

pytestmark = pytest.mark.versions

_B_FRAMES = {"bf": "3", "g": "25"}


def _read(path: Path) -> tuple[list[Frame], Loss]:
    with VideoReader(path) as reader:
        return list(reader.frames()), reader.loss


def _numbers(frames: Sequence[Frame]) -> list[int]:
    return [number_of(frame.image) for frame in frames]


# --- every frame at its time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt", "options"),
    [
        ("mp4", "libx264", "yuv420p", _B_FRAMES),
        ("mkv", "libx264", "yuv420p", _B_FRAMES),
        ("mov", "mjpeg", "yuvj422p", {}),
        ("webm", "libvpx-vp9", "yuv420p", {"lag-in-frames": "16"}),
        ("avi", "mpeg4", "yuv420p", {}),
        ("flv", "libx264", "yuv420p", _B_FRAMES),
        ("gif", "gif", "gray", {}),
    ],
)
def test_every_frame_of_every_format(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str, options: dict[str, str]
) -> None:
    count = 61
    path = tmp_path / f"in.{ending}"
    make_video(path, [numbered(i) for i in range(count)], codec=codec, pix_fmt=pix_fmt, codec_options=options)
    frames, loss = _read(path)
    assert _numbers(frames) == list(range(count))
    assert [frame.index for frame in frames] == list(range(count))
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {Fraction(1, 25)}
    assert loss == Loss(0, 0.0)


def test_the_last_frames_come_out_of_the_decoder(tmp_path: Path) -> None:
    path = make_video(tmp_path / "b.mp4", [numbered(i) for i in range(9)], codec_options={"bf": "8", "b-adapt": "0"})
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        before_the_end = sum(len(packet.decode()) for packet in container.demux(stream) if packet.size)
    assert before_the_end < 9  # the decoder does hold some back
    assert _numbers(_read(path)[0]) == list(range(9))


def test_variable_times_are_exact(tmp_path: Path) -> None:
    ticks = [0, 3003, 3004, 9000, 9001, 450_000, 451_501, 900_000]
    images = [numbered(i) for i in range(len(ticks))]
    path = make_video(tmp_path / "v.mp4", images, ticks=ticks, time_base=Fraction(1, 90_000), codec_options=_B_FRAMES)
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        assert reader.time_base == Fraction(1, 90_000)
        assert not reader.loss
    assert [frame.pts for frame in frames] == [Fraction(tick, 90_000) for tick in ticks]
    assert _numbers(frames) == list(range(len(ticks)))


def test_a_file_without_times_has_its_frame_rate(tmp_path: Path) -> None:
    path = make_video(tmp_path / "raw.h264", [numbered(i) for i in range(30)], codec_options=_B_FRAMES)
    with av.open(str(path)) as container:
        assert {picture.pts for picture in container.decode(video=0)} == {None}
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        assert (reader.expected_frames, reader.duration) == (None, None)
        assert not reader.loss
    assert [frame.pts for frame in frames] == [Fraction(i, 25) for i in range(30)]
    assert _numbers(frames) == list(range(30))


def test_a_file_that_says_no_rate_has_that_of_its_frames(tmp_path: Path) -> None:
    """As browsers record it, with times that are not quite even. FFmpeg says 1000, which is how fine the clock is."""
    ticks = [round(1000 * i / 30) + 3 * (i * 7 % 4) for i in range(60)]
    pictures = [numbered(i) for i in range(60)]
    source = make_video(tmp_path / "in.webm", pictures, codec="libvpx", ticks=ticks, time_base=Fraction(1, 1000))
    recorded = tmp_path / "recorded.webm"
    with av.open(str(source)) as container, av.open(str(recorded), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    with av.open(str(recorded)) as container:
        stream = container.streams.video[0]
        assert 1000 in (stream.average_rate, stream.guessed_rate)
    with VideoReader(recorded) as reader:
        assert float(reader.frame_rate) == pytest.approx(30, abs=0.5)
        assert reader.expected_frames == pytest.approx(60, abs=1)
        assert len(list(reader.frames())) == 60


def test_a_file_whose_clock_counts_frames_has_the_rate_of_its_header(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 3, 8, 9, 14, 15]  # some were dropped
    path = make_video(tmp_path / "in.avi", [numbered(i) for i in range(8)], codec="mpeg4", ticks=ticks)
    with VideoReader(path) as reader:
        assert reader.time_base == Fraction(1, 25)
        assert reader.frame_rate == 25


def test_recordings_put_together_go_on(tmp_path: Path) -> None:
    first, second = tmp_path / "1.ts", tmp_path / "2.ts"
    make_video(first, [numbered(i) for i in range(50)])
    make_video(second, [numbered(50 + i) for i in range(30)])
    first.write_bytes(first.read_bytes() + second.read_bytes())
    frames, loss = _read(first)
    assert _numbers(frames) == list(range(80))
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {Fraction(1, 25)}
    assert not loss


def test_what_the_header_says(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "h.mp4", [numbered(i) for i in range(45)], rate=30, audio_codec="aac", audio_seconds=1.5
    )
    with VideoReader(str(path)) as reader:
        assert reader.path == path
        assert reader.frame_rate == 30
        assert reader.expected_frames == 45
        assert reader.duration == 1.5
        assert reader.others[0].codec_context.name == "aac"


def test_sound_comes_by_in_order(tmp_path: Path) -> None:
    images = [numbered(i) for i in range(45)]
    path = make_video(tmp_path / "s.mp4", images, audio_codec="aac", audio_seconds=1.8)
    heard: list[av.Packet] = []
    with VideoReader(path) as reader:
        frames = list(reader.frames(on_packet=heard.append))
    assert [(packet.pts * packet.time_base, bytes(packet)) for packet in heard] == audio_packets(path)
    assert _numbers(frames) == list(range(45))


# --- colours ------------------------------------------------------------------------------------------------------

_BT709, _BT470BG, _SMPTE170M, _YCGCO = 1, 5, 6, 8  # ITU-T H.273; the two in the middle are both BT.601
_COLOURS = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (60, 60, 60), (120, 160, 220), (90, 200, 30)]


@pytest.mark.parametrize(
    ("standard", "tags"),
    [
        pytest.param("BT.709", {"matrix": _BT709}, id="BT.709"),
        pytest.param("BT.601", {"matrix": _BT470BG}, id="BT.601 as in Europe"),
        pytest.param("BT.601", {"matrix": _SMPTE170M}, id="BT.601 as in America"),
        pytest.param("BT.601", {}, id="untagged SD"),
        pytest.param("BT.709", {"size": 720}, id="untagged HD"),
        pytest.param("BT.601", {"matrix": _YCGCO}, id="a matrix that swscale does not know"),
        pytest.param("BT.601", {"matrix": _SMPTE170M, "pix_fmt": "yuvj420p", "full_range": True}, id="full BT.601"),
        pytest.param("BT.709", {"matrix": _BT709, "full_range": True}, id="full BT.709"),
        pytest.param("BT.709", {"matrix": _BT709, "pix_fmt": "yuv444p", "full_range": False}, id="4:4:4"),
    ],
)
def test_colours_are_read_with_the_files_own_matrix_and_range(tmp_path: Path, standard: str, tags: dict) -> None:
    for colour in _COLOURS:
        yuv = eight_bits(exact_yuv(colour, standard, full_range=tags.get("full_range", False)))
        frames, _ = _read(make_plain_video(tmp_path / "plain.mp4", yuv, **tags))
        error = frames[0].image.astype(int) - colour
        assert np.abs(error).max() <= 3, colour  # the planes' rounding, 0.6 + 1.1 levels, and the converter's


def test_the_matrices_differ_enough_to_be_told_apart() -> None:
    pairs = [(exact_yuv(colour, "BT.601"), exact_yuv(colour, "BT.709")) for colour in _COLOURS]
    assert max(np.abs(np.subtract(*pair)).max() for pair in pairs) > 25


# --- upright and square -------------------------------------------------------------------------------------------


def _quarters(height: int = 96, width: int = 128) -> np.ndarray:
    """Red, green, blue and grey quarters, uint8 BGR: all turns look different."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (0, 0, 220)
    image[: height // 2, width // 2 :] = (0, 200, 0)
    image[height // 2 :, : width // 2] = (220, 0, 0)
    image[height // 2 :, width // 2 :] = (128, 128, 128)
    return image


def _middles(image: np.ndarray) -> np.ndarray:
    """The colours in the middles of the four quarters."""
    rows, columns = (np.array([1, 3]) * side // 4 for side in image.shape[:2])
    return image[np.ix_(rows, columns)].astype(int)


def _as_opencv_reads(path: Path) -> np.ndarray:
    silence_opencv()
    capture = cv2.VideoCapture(str(path))
    delivered, image = capture.read()
    capture.release()
    assert delivered
    return image


@pytest.mark.parametrize("counterclockwise", [0, 90, 180, 270])
def test_a_turned_recording_comes_upright(tmp_path: Path, counterclockwise: int) -> None:
    path = make_video(tmp_path / "r.mp4", [_quarters()] * 3, rotation=counterclockwise)
    image = _read(path)[0][0].image
    upright = np.rot90(_quarters(), counterclockwise // 90)
    assert image.shape == upright.shape
    assert image.flags.c_contiguous
    assert np.abs(_middles(image) - _middles(upright)).max() <= 6
    reference = _as_opencv_reads(path)
    assert reference.shape == image.shape
    assert np.abs(_middles(image) - _middles(reference)).max() <= 6


def test_the_turn_is_read_from_the_track_header(tmp_path: Path) -> None:
    path = make_video(tmp_path / "r.mp4", [_quarters()] * 3)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12, 8.3.2: version 0, then 40 bytes of other fields
    identity = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]
    phone_held_upright = [0, 1 << 16, 0, -1 << 16, 0, 0, 96 << 16, 0, 1 << 30]  # 90° clockwise, then to the right
    assert [int.from_bytes(content[matrix + 4 * i :][:4], "big", signed=True) for i in range(9)] == identity
    for place, value in enumerate(phone_held_upright):
        content[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    image = _read(path)[0][0].image
    assert np.abs(_middles(image) - _middles(np.rot90(_quarters(), -1))).max() <= 6
    assert np.abs(_middles(image) - _middles(_as_opencv_reads(path))).max() <= 6


@pytest.mark.parametrize(
    ("aspect", "rotation", "shape"),
    [
        (Fraction(16, 11), 0, (96, 186, 3)),
        (Fraction(8, 9), 0, (96, 114, 3)),
        (Fraction(2), 90, (256, 96, 3)),
        (Fraction(101, 100), 0, (96, 128, 3)),  # not worth a resampling
    ],
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, rotation: int, shape: tuple[int, int, int]) -> None:
    path = make_video(tmp_path / "dv.mp4", [_quarters()] * 2, pixel_aspect=aspect, rotation=rotation)
    image = _read(path)[0][0].image
    assert image.shape == shape
    assert np.abs(_middles(image) - _middles(np.rot90(_quarters(), rotation // 90))).max() <= 6


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_pixels_whose_shape_changes_on_the_way_become_square(tmp_path: Path, codec: str) -> None:
    """From 4:3 to 16:9, as broadcasts do it between a film and the news."""
    parts = []
    for aspect in (Fraction(16, 15), Fraction(64, 45)):
        part = make_video(
            tmp_path / "part.ts", [_quarters(96, 120)] * 12, codec=codec, pixel_aspect=aspect, codec_options={"bf": "2"}
        )
        parts.append(part.read_bytes())
    (tmp_path / "tv.ts").write_bytes(b"".join(parts))
    widths = [frame.image.shape[1] for frame in _read(tmp_path / "tv.ts")[0]]
    assert widths == [128] * 12 + [171] * 12


# --- what is not a video ------------------------------------------------------------------------------------------


def _text(path: Path) -> None:
    path.write_text("This is not a video, whatever its name says.\n" * 100)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(50_000))


def _only_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(20):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.sample_rate, frame.pts = 48_000, 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _sound_with_a_cover(path: Path) -> None:
    sound = path.with_suffix(".aac")
    _only_sound(sound)
    cover = b"\0image/png\0\x03\0" + cv2.imencode(".png", _quarters())[1].tobytes()
    frame = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + sound.read_bytes())


def _unknown_codec(path: Path) -> None:
    make_video(path, [numbered(i) for i in range(5)])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))


def _nothing(path: Path) -> None:
    """Leave it missing."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_nothing, "cannot read {path}: there is no such file"),
        (Path.mkdir, "cannot read {path}: it is a folder"),
        pytest.param(
            getattr(os, "mkfifo", None),
            "cannot read {path}: it is not a file",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes"),
        ),
        (Path.touch, "{path} is not a video that can be read (Invalid data found when processing input)"),
        (_text, "{path} is not a video that can be read (Invalid data found when processing input)"),
        (_zeros, "{path} is not a video that can be read (Invalid data found when processing input)"),
        (_only_sound, "{path} has no pictures"),
        (_sound_with_a_cover, "{path} has no pictures"),
        (_unknown_codec, "{path} is not a video that can be read (its codec is unknown)"),
    ],
)
def test_what_is_not_a_video(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(SourceError) as caught:
        VideoReader(path)
    assert str(caught.value) == message.format(path=path)


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(SourceError, match=r"^cannot read x+\.mp4: File name too long$"):
        VideoReader("x" * 300 + ".mp4")


# --- what remains of damaged files --------------------------------------------------------------------------------


def test_a_truncated_file_gives_what_it_has(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    count = 100
    path = tmp_path / "cut.mp4"
    images = [numbered(i, noise=20) for i in range(count)]
    make_video(path, images, codec_options={"bf": "0"}, container_options={"movflags": "+faststart"})
    with VideoReader(cut(path, 0.6)) as reader:
        frames = list(reader.frames())
        assert reader.expected_frames == count
        loss = reader.loss
    read = len(frames)
    assert 50 < read < 70
    assert _numbers(frames) == list(range(read))
    assert [frame.pts for frame in frames] == [Fraction(i, 25) for i in range(read)]
    assert loss.missing_seconds == pytest.approx((count - read) / 25, abs=1e-6)
    assert loss.corrupt_packets in (0, 1)  # the one that was cut in two
    assert str(loss).startswith(f"the last {(count - read) / 25:.1f} s are missing")
    assert capfd.readouterr() == ("", "")


def test_the_last_frames_before_a_cut_keep_their_variable_times(tmp_path: Path) -> None:
    steps = random.Random(7)
    ticks = [0]
    while len(ticks) < 100:
        ticks.append(ticks[-1] + steps.choice([500, 3000, 9000]))
    path = make_video(
        tmp_path / "cut.mp4",
        [numbered(i, noise=20) for i in range(100)],
        ticks=ticks,
        time_base=Fraction(1, 90_000),
        codec_options=_B_FRAMES,
        container_options={"movflags": "+faststart"},
    )
    frames, loss = _read(cut(path, 0.6))
    assert loss.missing_seconds > 0
    assert 50 < len(frames) < 70
    assert [frame.pts * 90_000 for frame in frames] == [ticks[number] for number in _numbers(frames)]
    assert _numbers(frames)[:-1] == list(range(len(frames) - 1))  # the last one may have been needed for those before


@pytest.mark.parametrize("ending", ["mkv", "flv", "avi", "ts"])
def test_a_truncated_file_of_another_format(tmp_path: Path, ending: str) -> None:
    codec, pix_fmt = ("mjpeg", "yuvj420p") if ending == "avi" else ("libx264", "yuv420p")
    images = [numbered(i, noise=20) for i in range(100)]
    path = make_video(tmp_path / f"cut.{ending}", images, codec=codec, pix_fmt=pix_fmt)
    frames, loss = _read(cut(path, 0.5))
    assert 30 < len(frames) < 70
    assert _numbers(frames[:-1]) == [(frame.pts - frames[0].pts) * 25 for frame in frames[:-1]]
    if ending in ("mkv", "flv"):  # of the others FFmpeg guesses the duration from the size of what there is
        assert loss.missing_seconds == pytest.approx((100 - len(frames)) / 25, abs=0.3)
        assert str(loss).startswith(f"the last {loss.missing_seconds:.1f} s are missing")


def test_an_index_without_pictures_loses_everything(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "cut.mp4", [numbered(i) for i in range(50)], container_options={"movflags": "+faststart"}
    )
    content = path.read_bytes()
    begin = next(begin for name, begin, _ in boxes(content) if name == "mdat")
    path.write_bytes(content[: begin + 8])
    frames, loss = _read(path)
    assert frames == []
    assert loss.missing_seconds == 2.0
    assert str(loss).startswith("the last 2.0 s are missing")


@pytest.mark.parametrize("seed", range(5))
def test_damaged_packets_do_not_end_the_video(tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    count = 100
    path = make_video(tmp_path / "bad.mp4", [numbered(i) for i in range(count)], codec_options=_B_FRAMES)
    content = bytearray(path.read_bytes())
    begin, end = next((begin, end) for name, begin, end in boxes(bytes(content)) if name == "mdat")
    chance = random.Random(seed)
    for _ in range(20):
        content[chance.randrange(begin + (end - begin) // 5, end - (end - begin) // 5)] ^= 0xFF
    path.write_bytes(content)
    frames, loss = _read(path)
    assert len(frames) >= count // 2
    times = [frame.pts for frame in frames]
    assert all(a < b for a, b in pairwise(times))
    assert times[-1] == Fraction(count - 1, 25)  # damage does not shift what comes after it
    on_time = sum(time * 25 == int(time * 25) for time in times)
    assert on_time >= 0.9 * len(frames)
    assert _numbers(frames[-5:]) == list(range(count - 5, count))
    assert loss.missing_seconds == 0
    assert loss.mended_frames
    assert "the decoder repaired" in str(loss)
    assert str(loss).startswith(f"{loss.corrupt_packets} damaged packet") or not loss.corrupt_packets
    assert capfd.readouterr() == ("", "")


def test_a_hole_in_the_middle_is_counted(tmp_path: Path) -> None:
    path = make_video(tmp_path / "hole.mp4", [numbered(i) for i in range(100)], codec_options={"g": "20"})
    content = bytearray(path.read_bytes())
    begin, end = next((begin, end) for name, begin, end in boxes(bytes(content)) if name == "mdat")
    middle = (begin + end) // 2
    content[middle : middle + 500] = bytes(500)
    path.write_bytes(content)
    frames, loss = _read(path)
    assert loss.corrupt_packets > 0
    assert len(frames) == 100 - loss.corrupt_packets
    assert _numbers(frames)[-1] == 99
    assert frames[-1].pts == Fraction(99, 25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "codec"), [("mkv", "libx264"), ("webm", "libvpx-vp9"), ("ts", "libx264"), ("gif", "gif")]
)
def test_bytes_that_are_lost_on_the_way_are_told(tmp_path: Path, ending: str, codec: str) -> None:
    """FFmpeg finds the next place where it can go on, and tells nobody."""
    path, pixels = tmp_path / f"hole.{ending}", "rgb8" if codec == "gif" else "yuv420p"
    images = [numbered(i, noise=20) for i in range(100)]
    make_video(path, images, codec=codec, pix_fmt=pixels, codec_options={} if codec == "gif" else {"g": "20"})
    whole, loss = _read(path)
    assert (len(whole), loss) == (100, Loss(0, 0.0))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[len(content) // 2 + 700 :])
    frames, loss = _read(path)
    assert len(frames) < 100
    assert loss.breaks == 1
    assert str(loss).endswith("the file is broken in one place, where frames may be missing")


def test_a_break_before_the_end_that_is_wanted_is_told(tmp_path: Path) -> None:
    path = make_video(tmp_path / "x.ts", [numbered(i, noise=20) for i in range(100)], codec_options={"g": "20"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[len(content) // 2 + 700 :])
    with VideoReader(path) as reader:
        begin = reader.begin
        assert len(list(reader.frames(end=begin + Fraction(1)))) == 25
        assert not reader.loss
    with VideoReader(path) as reader:
        assert list(reader.frames(end=begin + Fraction(3)))
        assert reader.loss.breaks == 1


@pytest.mark.parametrize("options", [{"live": "1"}, {"cluster_time_limit": "200"}, {"cues_to_front": "1"}])
def test_a_whole_matroska_file_is_not_broken(tmp_path: Path, options: dict[str, str]) -> None:
    """Clusters of unknown length, many of them, and an index in front."""
    path = tmp_path / "whole.mkv"
    make_video(path, [numbered(i) for i in range(60)], container_options=options, audio_codec="aac", audio_seconds=2)
    assert breaks(path, "matroska,webm") == 0


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_bytes_that_are_missing_or_too_many_break_a_matroska_file_once(tmp_path: Path, share: float) -> None:
    """The same file each time: FFmpeg's own random numbers would move the place, and at 2 of 6712 places of such a file
    what follows looks by chance like a whole element.
    """
    path = tmp_path / "x.mkv"
    images = [numbered(i, noise=20) for i in range(60)]
    options = {"cluster_time_limit": "200", "fflags": "+bitexact"}
    make_video(path, images, codec_options={"g": "10"}, container_options=options)
    content = path.read_bytes()
    place = int(share * content.rfind(bytes.fromhex("1F43B675")))  # so that a cluster follows
    for number, damaged in enumerate(
        [content[:place] + content[place + 1 :], content[:place] + b"x" + content[place:]]
    ):
        path = tmp_path / f"{number}.mkv"
        path.write_bytes(damaged)
        assert breaks(path, "matroska,webm") == 1
    path.write_bytes(content[:place])
    assert breaks(path, "matroska,webm") == 1


def test_a_gif_without_its_end_is_broken(tmp_path: Path) -> None:
    path = make_video(tmp_path / "x.gif", [numbered(i) for i in range(20)], codec="gif", pix_fmt="rgb8")
    assert breaks(path, "gif") == 0
    path.write_bytes(path.read_bytes()[:-1])
    assert breaks(path, "gif") == 1


def test_an_flv_file_that_another_one_was_appended_to_is_broken(tmp_path: Path) -> None:
    """FFmpeg reads the first one, and says nothing of the others."""
    one = make_video(tmp_path / "one.flv", [numbered(i) for i in range(20)])
    path = tmp_path / "joined.flv"
    for parts in (1, 3):
        path.write_bytes(parts * one.read_bytes())
        with VideoReader(path) as reader:
            assert len(list(reader.frames())) == 20
            assert reader.loss.breaks == parts - 1


def test_a_title_in_another_encoding_than_utf_8(tmp_path: Path) -> None:
    path = make_video(tmp_path / "x.avi", [numbered(0)], codec="mpeg4", metadata={"title": "cafe au lait"})
    path.write_bytes(path.read_bytes().replace(b"cafe au lait", b"caf\xe9 au lait"))
    with VideoReader(path) as reader:
        assert reader.metadata["title"] == "caf\N{REPLACEMENT CHARACTER} au lait"
        assert len(list(reader.frames())) == 1


def test_a_stream_that_appears_on_the_way(tmp_path: Path) -> None:
    """Sound that a broadcast has from its second part on is not known to PyAV, which falls over it at the end."""
    first, second = tmp_path / "1.ts", tmp_path / "2.ts"
    make_video(first, [numbered(i) for i in range(50)])
    make_video(second, [numbered(50 + i) for i in range(30)], audio_codec="aac", audio_seconds=1.2)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    frames, loss = _read(first)
    assert _numbers(frames) == list(range(80))
    assert not loss
    with VideoReader(first) as reader:
        assert reader.key_times(None) is None  # the clock is set back


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "flv"])
def test_sound_that_goes_on_after_the_pictures_is_no_loss(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"long.{ending}"
    make_video(path, [numbered(i) for i in range(25)], audio_codec="aac", audio_seconds=3)
    frames, loss = _read(path)
    assert _numbers(frames) == list(range(25))
    assert loss == Loss(0, 0.0)


def test_a_long_last_frame_is_no_loss(tmp_path: Path) -> None:
    ticks = [*range(20), 200]
    images = [numbered(i) for i in range(21)]
    for ending in ("mp4", "mkv", "gif"):
        codec, pix_fmt = ("gif", "gray") if ending == "gif" else ("libx264", "yuv420p")
        path = tmp_path / f"slow.{ending}"
        make_video(path, images, codec=codec, pix_fmt=pix_fmt, ticks=ticks, time_base=Fraction(1, 25))
        frames, loss = _read(path)
        assert _numbers(frames) == list(range(21))
        assert frames[-1].pts - frames[0].pts == 8
        assert not loss, ending


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (Loss(0, 0.0), ""),
        (Loss(0, 2.26), "the last 2.3 s are missing"),
        (Loss(3, 0.0), "3 damaged packets were skipped"),
        (Loss(1, 0.0), "1 damaged packet was skipped"),
        (Loss(1, 0.0, 2), "1 damaged packet was skipped and the decoder repaired 2 damaged frames, perhaps badly"),
        (Loss(0, 0.0, 0, 2), "the file is broken in 2 places, where frames may be missing"),
        (Loss(1, 0.0, pictures="a.png"), "1 picture cannot be read (a.png)"),
        (Loss(4, 12.0), "the last 12.0 s are missing and 4 damaged packets were skipped"),
    ],
)
def test_a_loss_in_words(loss: Loss, text: str) -> None:
    assert str(loss) == text
    assert bool(loss) == bool(text)
