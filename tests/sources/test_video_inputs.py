"""What recordings can be like: deep colours, high dynamic range, two half pictures a frame, transparency, odd sizes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_files import deep_yuv, make_plain_video, make_video, number_of, numbered

from live_gradcam.sources.frame import Frame
from live_gradcam.sources.reader import VideoReader

_BT709, _BT470BG, _BT2020 = 1, 5, 9  # ITU-T H.273, as are the transfer functions
_TRANSFER_BT709, _TRANSFER_10_BIT, _PQ, _HLG = 1, 14, 16, 18
_COLOURS = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (60, 60, 60), (120, 160, 220), (90, 200, 30)]
_INTERLACED = 0x00040000 | 0x20000000  # AV_CODEC_FLAG_INTERLACED_DCT and _ME


def _read(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader.frames())


# --- ten bits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize(
    ("standard", "matrix", "full_range"),
    [
        ("BT.709", _BT709, False),
        ("BT.709", _BT709, True),
        ("BT.601", _BT470BG, False),
        ("BT.2020", _BT2020, False),
    ],
)
def test_colours_of_ten_bits(tmp_path: Path, codec: str, standard: str, matrix: int, full_range: bool) -> None:
    for colour in _COLOURS:
        yuv = deep_yuv(colour, standard, full_range=full_range)
        path = tmp_path / "deep.mp4"
        make_plain_video(path, yuv, codec=codec, pix_fmt="yuv420p10le", matrix=matrix, full_range=full_range)
        frames = _read(path)
        assert len(frames) == 4
        error = frames[0].image.astype(int) - colour
        # half a step of ten bits is a quarter of that of eight, 0.4 levels; the encoder adds two at crf 1, and the
        # converter cuts off at most one
        assert np.abs(error).max() <= 3, colour


def test_the_matrices_of_ten_bits_differ() -> None:
    differences = [np.subtract(deep_yuv(colour, "BT.2020"), deep_yuv(colour, "BT.709")) for colour in _COLOURS]
    assert np.abs(differences).max() > 4 * 8  # eight levels of eight bits


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("transfer", "name"), [(_PQ, "PQ"), (_HLG, "HLG"), (_TRANSFER_BT709, None), (_TRANSFER_10_BIT, None), (None, None)]
)
def test_high_dynamic_range_is_told(tmp_path: Path, ending: str, transfer: int | None, name: str | None) -> None:
    path = tmp_path / f"hdr.{ending}"
    make_plain_video(path, (500, 512, 512), pix_fmt="yuv420p10le", matrix=_BT2020, transfer=transfer)
    with VideoReader(path) as reader:
        assert reader.hdr == name
        assert len(list(reader.frames())) == 4


# --- two half pictures a frame ------------------------------------------------------------------------------------

_FRAMES = 40


def _bar(field: int) -> np.ndarray:
    """A bright bar that moves by three pixels a half picture."""
    image = np.full((48, 64, 3), 60, np.uint8)
    left = 3 * field % 48
    image[:, left : left + 12] = 200
    return image


def _woven(index: int) -> np.ndarray:
    """A frame of two half pictures, the lower lines' first: so FFmpeg's encoders call what does not say."""
    image = _bar(2 * index)
    image[::2] = _bar(2 * index + 1)[::2]
    return image


def _combing(image: np.ndarray) -> float:
    """How much a line differs from the mean of its neighbours, in levels."""
    green = image[:, :, 1].astype(float)
    return float(np.abs(green[1:-1] - (green[:-2] + green[2:]) / 2).mean())


_INTERLACED_FILES = [
    pytest.param("mp4", "libx264", {"crf": "5", "x264-params": "bff=1"}, 0, id="mp4 H.264"),
    pytest.param("ts", "libx264", {"crf": "5", "x264-params": "bff=1:bframes=3"}, 0, id="ts H.264"),
    pytest.param("mpg", "mpeg2video", {"b": "3000000", "bf": "2", "threads": "1"}, _INTERLACED, id="mpg MPEG-2"),
    pytest.param("mkv", "mpeg2video", {"b": "3000000", "threads": "1"}, _INTERLACED, id="mkv MPEG-2"),
]


@pytest.mark.parametrize(("ending", "codec", "options", "flags"), _INTERLACED_FILES)
def test_interlaced_frames_become_whole_pictures(
    tmp_path: Path, ending: str, codec: str, options: dict[str, str], flags: int
) -> None:
    path = tmp_path / f"in.{ending}"
    make_video(path, [_woven(i) for i in range(_FRAMES)], codec=codec, codec_options=options, flags=flags)
    with av.open(str(path)) as container:
        stored = [(picture.interlaced_frame, picture.pts * picture.time_base) for picture in container.decode(video=0)]
    assert [interlaced for interlaced, _ in stored] == [True] * _FRAMES
    frames = _read(path)
    assert [frame.pts for frame in frames] == [time for _, time in stored]
    combing = [_combing(_woven(i)) for i in range(_FRAMES)]
    assert min(combing) > 12
    assert max(_combing(frame.image) for frame in frames) < 1
    from_first = [np.abs(frames[i].image.astype(int) - _bar(2 * i)).mean() for i in range(1, _FRAMES)]
    assert np.mean(from_first) < 4  # each is the picture of its first half's time
    from_second = [np.abs(frames[i].image.astype(int) - _bar(2 * i + 1)).mean() for i in range(1, _FRAMES)]
    assert np.mean(from_second) > 12


def test_a_span_of_interlaced_frames(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    options = {"crf": "5", "g": "6", "x264-params": "bff=1"}
    make_video(path, [_woven(i) for i in range(80)], codec_options=options)
    whole = _read(path)
    for begin in (0, 30, 60, 66, 75):
        with VideoReader(path) as reader:
            frames = list(reader.frames(start=Fraction(begin, 25), end=Fraction(begin + 4, 25)))
        assert [frame.pts for frame in frames] == [Fraction(begin + i, 25) for i in range(4)]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, whole[begin:], strict=False))


def test_interlaced_colours_and_turns(tmp_path: Path) -> None:
    images = [np.full((48, 64, 3), (40, 160, 220), np.uint8)] * 6
    images = [image.copy() for image in images]
    for image in images:
        image[:24] = (200, 60, 40)
    make_video(tmp_path / "whole.mp4", images, codec_options={"crf": "1"}, rotation=90)
    make_video(tmp_path / "halves.mp4", images, codec_options={"crf": "1", "x264-params": "bff=1"}, rotation=90)
    whole, halves = _read(tmp_path / "whole.mp4"), _read(tmp_path / "halves.mp4")
    assert len(halves) == len(whole) == 6
    assert halves[3].image.shape == (64, 48, 3)
    for columns in (slice(4, 18), slice(30, 44)):  # away from the edge
        difference = halves[3].image[:, columns].astype(int) - whole[3].image[:, columns]
        assert np.abs(difference).max() <= 2


def test_progressive_frames_are_let_be(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mp4", [_woven(i) for i in range(10)], codec_options={"crf": "5"})
    with av.open(str(path)) as container:
        stored = [
            picture.reformat(format="bgr24", src_colorspace=_BT470BG, threads=1).to_ndarray()
            for picture in container.decode(video=0)
        ]
    frames = _read(path)
    assert min(_combing(frame.image) for frame in frames) > 12
    assert all(np.array_equal(frame.image, image) for frame, image in zip(frames, stored, strict=True))


def test_progressive_frames_after_interlaced_ones(tmp_path: Path) -> None:
    first, second = tmp_path / "1.ts", tmp_path / "2.ts"
    options = {"crf": "5", "bf": "0"}
    make_video(first, [_woven(i) for i in range(20)], codec_options={**options, "x264-params": "bff=1"})
    make_video(second, [_woven(20 + i) for i in range(20)], codec_options=options)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    frames = _read(both)
    assert len(frames) == 40
    assert {b.pts - a.pts for a, b in pairwise(frames)} == {Fraction(1, 25)}
    assert max(_combing(frame.image) for frame in frames[:20]) < 1
    assert min(_combing(frame.image) for frame in frames[21:]) > 12
    alone = _read(second)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames[20:], alone, strict=True))


# --- transparency -------------------------------------------------------------------------------------------------


def _see_through() -> np.ndarray:
    """Red, uint8 BGRA: opaque at the upper left, half so at the lower left, not at all at the right."""
    image = np.zeros((48, 64, 4), np.uint8)
    image[...] = (0, 0, 200, 255)
    image[24:, :32, 3] = 128
    image[:, 32:, 3] = 0
    return image


def _with_transparency(path: Path, codec: str, pix_fmt: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pix_fmt
        for index in range(3):
            picture = av.VideoFrame.from_ndarray(_see_through(), format="bgra").reformat(format=pix_fmt)
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt", "options", "tolerance"),
    [
        pytest.param("mov", "png", "rgba", {}, 1, id="PNG in MOV"),
        pytest.param("mov", "qtrle", "argb", {}, 1, id="QuickTime animation"),
        pytest.param("mov", "prores_ks", "yuva444p10le", {}, 3, id="ProRes 4444"),
        pytest.param("webm", "libvpx-vp9", "yuva420p", {"crf": "5", "b": "0"}, 3, id="VP9"),
        pytest.param("webm", "libvpx", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b": "2000000"}, 3, id="VP8"),
    ],
)
def test_transparency_lies_on_white(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str, options: dict[str, str], tolerance: int
) -> None:
    frames = _read(_with_transparency(tmp_path / f"clear.{ending}", codec, pix_fmt, options))
    assert len(frames) == 3
    middles = frames[1].image[np.ix_([12, 36], [16, 48])].astype(int)
    half = 127  # 255 · (1 − 128/255); red is there with 200 · 128/255 more
    expected = [[(0, 0, 200), (255, 255, 255)], [(half, half, 227), (255, 255, 255)]]
    assert np.abs(middles - expected).max() <= tolerance


def test_a_gif_that_is_transparent_lies_on_white(tmp_path: Path) -> None:
    """Written by hand: two pixels, the second of the colour that the first extension makes transparent."""
    header = b"GIF89a" + bytes([2, 0, 1, 0, 0x80, 0, 0]) + bytes([200, 0, 0, 0, 0, 255])  # a table of red and blue
    control = b"\x21\xf9\x04" + bytes([1, 4, 0, 1, 0])  # index 1 is transparent; 4/100 s
    # LZW of code size 2: clear (4), 0, 1, end (5) in 3 bits each, from the lowest up
    image = b"\x2c" + bytes([0, 0, 0, 0, 2, 0, 1, 0, 0, 2, 2, 0b01000100, 0b00001010, 0])
    path = tmp_path / "clear.gif"
    path.write_bytes(header + control + image + b"\x3b")
    (frame,) = _read(path)
    assert frame.image.tolist() == [[[0, 0, 200], [255, 255, 255]]]


# --- sizes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt", "size"),
    [
        ("webm", "libvpx-vp9", "yuv420p", (49, 65)),
        ("mkv", "ffv1", "yuv420p", (51, 67)),
        ("avi", "mjpeg", "yuvj420p", (49, 65)),
        ("mp4", "libx264", "yuv444p", (49, 65)),
        ("gif", "gif", "gray", (49, 65)),
    ],
)
def test_odd_sizes(tmp_path: Path, ending: str, codec: str, pix_fmt: str, size: tuple[int, int]) -> None:
    height, width = size
    images = [np.pad(numbered(i, height=height), ((0, 0), (0, width - 64), (0, 0)), "edge") for i in range(12)]
    path = make_video(tmp_path / f"odd.{ending}", images, codec=codec, pix_fmt=pix_fmt)
    frames = _read(path)
    assert [frame.image.shape for frame in frames] == [(height, width, 3)] * 12
    assert [number_of(frame.image) for frame in frames] == list(range(12))


def test_a_size_that_changes_on_the_way(tmp_path: Path) -> None:
    parts = []
    for number, size in enumerate([(48, 64), (96, 128)]):
        part = tmp_path / f"{number}.ts"
        make_video(part, [numbered(10 * number + i, height=size[0], width=size[1]) for i in range(10)])
        parts.append(part.read_bytes())
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    frames = _read(path)
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 10 + [(96, 128, 3)] * 10
    assert [number_of(frame.image) for frame in frames] == list(range(20))


# --- headers that say more, or other things, than there is --------------------------------------------------------


@pytest.mark.parametrize(("marked", "read"), [(0, 0), (1, 1), (None, 0)])
def test_of_several_streams_the_marked_one_is_read_and_a_note_says_so(
    tmp_path: Path, marked: int | None, read: int
) -> None:
    path = tmp_path / "two.mkv"
    parts = [make_video(tmp_path / f"{n}.mp4", [numbered(100 * n + i) for i in range(6)]) for n in range(2)]
    with av.open(str(path), "w") as whole:
        opened = [av.open(str(part)) for part in parts]
        streams = [whole.add_stream_from_template(one.streams.video[0]) for one in opened]
        for number, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition.default if number == marked else av.stream.Disposition.dub
        for one, stream in zip(opened, streams, strict=True):
            for packet in one.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    whole.mux(packet)
            one.close()
    with VideoReader(path) as reader:
        assert reader.notes == [f"{path} has 2 streams of pictures: only stream {read} is read"]
        assert [number_of(frame.image) for frame in reader.frames()] == [100 * read + i for i in range(6)]
        assert not reader.loss


def test_an_average_rate_that_the_clock_cannot_tell_is_not_believed(tmp_path: Path) -> None:
    ticks = [40 * i for i in range(12)]
    images = [numbered(i) for i in range(12)]
    path = make_video(tmp_path / "in.mkv", images, rate=25_000, ticks=ticks, time_base=Fraction(1, 1000))
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25_000
    with VideoReader(path) as reader:
        assert (reader.frame_rate, reader.expected_frames) == (25, 11)  # the last is said to last no time


def test_a_high_speed_recording_keeps_its_rate(tmp_path: Path) -> None:
    ticks = [8 * i for i in range(12)]
    images = [numbered(i) for i in range(12)]
    path = make_video(tmp_path / "in.mp4", images, rate=2000, ticks=ticks, time_base=Fraction(1, 16_000))
    with VideoReader(path) as reader:
        assert (reader.frame_rate, reader.expected_frames) == (2000, 12)


def test_one_frame_in_a_transport_stream_lasts_as_long_as_one_of_25_per_second(tmp_path: Path) -> None:
    path = make_video(tmp_path / "one.ts", [numbered(7)], rate=25_000)  # as an encoder has it that was told no rate
    with VideoReader(path) as reader:
        assert (reader.frame_rate, reader.expected_frames) == (25, 1)
        assert [number_of(frame.image) for frame in reader.frames()] == [7]
