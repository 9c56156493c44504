"""Recordings that are turned and mirrored by a display matrix come upright, on every way in."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from command_line import finish
from fake_engine import annotated, start_fake
from video_files import make_video

from live_gradcam.benchmark import file_frames
from live_gradcam.evaluating.pictures import read_pictures
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.reader import VideoReader

_HEIGHT, _WIDTH = 32, 48  # so narrow that nothing is written over it, turned or not
_ONE = 1 << 16
_GREEN, _RED, _WHITE, _BLUE = (0, 200, 0), (0, 0, 220), (230, 230, 230), (220, 0, 0)
#: As it is stored, and where on the picture, as (left or right, top or bottom).
_STORED = {(0, 0): _RED, (1, 0): _GREEN, (0, 1): _BLUE, (1, 1): _WHITE}
#: a, b, c, d of the display matrix of each position.
_POSITIONS = {
    "as it is": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (-1, 0, 0, -1),
    "upside down and mirrored": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "turned clockwise": (0, 1, -1, 0),
    "transposed the other way": (0, -1, -1, 0),
    "turned counterclockwise": (0, -1, 1, 0),
}
_EACH_POSITION = pytest.mark.parametrize("position", _POSITIONS)


def _picture() -> np.ndarray:
    image = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    for (right, lower), colour in _STORED.items():
        rows = slice(lower * _HEIGHT // 2, (lower + 1) * _HEIGHT // 2)
        image[rows, right * _WIDTH // 2 : (right + 1) * _WIDTH // 2] = colour
    return image


def _matrix(position: str) -> list[int]:
    """ISO/IEC 14496-12, 8.3.2: a b u, c d v, x y w; 16.16 but for u, v and w, 2.30; nothing is shown below 0."""
    a, b, c, d = _POSITIONS[position]
    x = _WIDTH * max(0, -a) + _HEIGHT * max(0, -c)
    y = _WIDTH * max(0, -b) + _HEIGHT * max(0, -d)
    return [a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, x * _ONE, y * _ONE, 1 << 30]


def _expected(position: str) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Where the matrix shows the corners: p' = a p + c q + x, q' = b p + d q + y, from the middle of the picture."""
    a, b, c, d = _POSITIONS[position]
    shown = {}
    for (right, lower), colour in _STORED.items():
        p, q = 2 * right - 1, 2 * lower - 1
        shown[int(a * p + c * q > 0), int(b * p + d * q > 0)] = colour
    return shown


def _assert_upright(image: np.ndarray, position: str, *, wider: Fraction = Fraction(1)) -> None:
    height, width = (_HEIGHT, _WIDTH * wider) if _POSITIONS[position][0] else (_WIDTH, _HEIGHT)
    assert image.shape == (height, width, 3)
    assert image.flags.c_contiguous
    for (right, lower), colour in _expected(position).items():
        found = image[3 if not lower else -4, 3 if not right else -4].astype(int)
        assert np.abs(found - colour).max() <= 12, (right, lower)  # far less than from one colour to another


def _patched(path: Path, position: str) -> Path:
    """An MP4 whose track header has the matrix of a position."""
    make_video(path, [_picture()] * 4, codec_options={"crf": "1"})
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40  # version 0, then 40 bytes of other fields
    for number, value in enumerate(_matrix(position)):
        content[place + 4 * number : place + 4 * number + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    return path


def _first(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return next(reader.frames()).image


def test_the_positions_are_eight() -> None:
    shown = [tuple(sorted(_expected(position).items())) for position in _POSITIONS]
    assert len(set(shown)) == len(_POSITIONS) == 8
    determinants = [a * d - b * c for a, b, c, d in _POSITIONS.values()]
    assert sorted(determinants) == [-1] * 4 + [1] * 4


def test_a_selfie_is_mirrored() -> None:
    """Written out once: the corners of what is stored change sides."""
    assert _expected("mirrored") == {(0, 0): _GREEN, (1, 0): _RED, (0, 1): _WHITE, (1, 1): _BLUE}
    assert _expected("turned clockwise") == {(0, 0): _BLUE, (1, 0): _RED, (0, 1): _WHITE, (1, 1): _GREEN}


@_EACH_POSITION
def test_the_matrix_of_a_track_header(tmp_path: Path, position: str) -> None:
    _assert_upright(_first(_patched(tmp_path / "in.mp4", position)), position)


@_EACH_POSITION
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_the_matrix_as_ffmpeg_writes_it(tmp_path: Path, ending: str, position: str) -> None:
    path = tmp_path / f"in.{ending}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
        stream.set_display_matrix(_matrix(position))
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(), format="bgr24")))
        container.mux(stream.encode(None))
    _assert_upright(_first(path), position)


@pytest.mark.parametrize(
    ("options", "position"),
    [
        ("flip=horizontal", "mirrored"),
        ("flip=vertical", "upside down and mirrored"),
        ("rotate=90", "turned counterclockwise"),
        ("rotate=180", "upside down"),
    ],
)
def test_the_orientation_that_h264_itself_tells(tmp_path: Path, options: str, position: str) -> None:
    """Display orientation SEI (ITU-T H.264, D.2.27), for files without a matrix."""
    whole, path = make_video(tmp_path / "whole.mp4", [_picture()] * 4, codec_options={"crf": "1"}), tmp_path / "in.ts"
    with av.open(str(whole)) as container, av.open(str(path), "w") as output:
        source = container.streams.video[0]
        told = BitStreamFilterContext(f"h264_mp4toannexb,h264_metadata=display_orientation=insert:{options}", source)
        stream = output.add_stream_from_template(source)
        for packet in container.demux(source):
            for changed in told.filter(packet if packet.size else None):
                changed.stream = stream
                output.mux(changed)
    _assert_upright(_first(path), position)


def test_a_matrix_that_has_the_shape_of_the_pixels_too(tmp_path: Path) -> None:
    path = _patched(tmp_path / "in.mp4", "mirrored")
    content = path.read_bytes()
    old, new = (value.to_bytes(4, "big", signed=True) for value in (-_ONE, -_ONE * 4 // 3))
    at = content.index(b"tkhd") + 44
    assert content[at : at + 4] == old
    path.write_bytes(content[:at] + new + content[at + 4 :])
    _assert_upright(_first(path), "mirrored", wider=Fraction(4, 3))


def test_a_matrix_that_shows_nothing_is_let_be(tmp_path: Path) -> None:
    path = _patched(tmp_path / "in.mp4", "as it is")
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = bytes(36)
    path.write_bytes(content)
    _assert_upright(_first(path), "as it is")


def test_pixels_are_made_square_before_the_picture_is_turned(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        stream.set_display_matrix(_matrix("transposed"))
        container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(), format="bgr24")))
        container.mux(stream.encode(None))
    assert _first(path).shape == (2 * _WIDTH, _HEIGHT, 3)


def test_interlaced_frames_are_mirrored_too(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1", "x264-params": "bff=1"})
        stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
        stream.set_display_matrix(_matrix("transposed"))
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(), format="bgr24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    with VideoReader(path) as reader:
        for frame in reader.frames():
            _assert_upright(frame.image, "transposed")


@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_photographs_in_a_row_are_turned_as_their_exif_says(tmp_path: Path, orientation: int, quarters: int) -> None:
    exif = np.frombuffer(b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0), np.uint8)
    done, photograph = cv2.imencodeWithMetadata(".jpg", _picture(), [cv2.IMAGE_METADATA_EXIF], [exif])
    assert done
    (tmp_path / "row.mjpeg").write_bytes(3 * photograph.tobytes())
    with VideoReader(tmp_path / "row.mjpeg") as reader:
        images = [frame.image for frame in reader.frames()]
    assert len(images) == 3
    expected = np.rot90(_picture(), quarters).astype(int)
    for image in images:
        assert np.abs(image[4::8, 4::8] - expected[4::8, 4::8]).max() < 30


@_EACH_POSITION
def test_what_live_bench_and_evaluate_read(tmp_path: Path, position: str) -> None:
    path = _patched(tmp_path / "in.mp4", position)
    _assert_upright(next(open_source(str(path)).frames()).image, position)
    _assert_upright(next(file_frames(path)).image, position)
    _assert_upright(next(iter(read_pictures(path, 1))).image, position)


@_EACH_POSITION
def test_an_annotated_copy_is_upright_itself(tmp_path: Path, position: str) -> None:
    annotated(_patched(tmp_path / "in.mp4", position), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        picture = next(container.decode(video=0))
    assert picture.rotation == 0
    _assert_upright(picture.reformat(format="bgr24", src_colorspace=1).to_ndarray(), position)


@pytest.mark.slow
def test_workers_mirror_too(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "1", "g": "25"})
        stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
        stream.set_display_matrix(_matrix("transposed the other way"))
        for _ in range(75):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(), format="bgr24")))
        container.mux(stream.encode(None))
    finished = finish(start_fake("annotate", path, "-o", tmp_path / "out.mp4", "--layout", "raw", "--workers", 2))
    assert finished.code == 0, finished
    with VideoReader(tmp_path / "out.mp4") as reader:
        frames = list(reader.frames())
    assert len(frames) == 75
    for frame in frames[::10]:
        _assert_upright(frame.image, "transposed the other way")
