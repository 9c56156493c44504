"""Still pictures: every kind that people have, as 8-bit BGR, and what is said of those that cannot be read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from live_gradcam.errors import OutputError, SourceError
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.animation import is_animated
from live_gradcam.sources.image import read_image, read_opacity

pytestmark = pytest.mark.versions


def _noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def _store(path: Path, image: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm", "PNG"])
def test_colours_are_read_exactly_whatever_the_size(tmp_path: Path, ending: str) -> None:
    image = _noise(13, 7, 3)
    np.testing.assert_array_equal(read_image(_store(tmp_path / f"colour.{ending}", image)), image)


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_a_photograph_comes_back(tmp_path: Path, ending: str, coffee: np.ndarray) -> None:
    image = read_image(str(_store(tmp_path / f"photo.{ending}", coffee)))
    assert image.shape == coffee.shape
    assert np.abs(image.astype(int) - coffee).mean() < 3


@pytest.mark.parametrize("ending", ["png", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_animated_and_read_as_one_picture_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str, mode: str, count: int
) -> None:
    path = tmp_path / f"moving.{ending}"
    pictures = [Image.new(mode, (9, 5), color) for color in ("red", "lime", "blue")[:count]]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True)
    image = read_image(path)
    assert image.shape == (5, 9, 3)
    np.testing.assert_allclose(image, np.broadcast_to([0, 0, 255], image.shape), atol=2)
    told = [f"{path} is animated: only its first picture is read"] if count > 1 else []
    assert caplog.messages == told


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_what_is_animated_and_cut_short_is_no_other_error(tmp_path: Path, ending: str) -> None:
    whole = tmp_path / f"moving.{ending}"
    pictures = [Image.new("RGB", (9, 5), color) for color in ("red", "blue")]
    pictures[0].save(whole, save_all=True, append_images=pictures[1:])
    content = whole.read_bytes()
    for length in range(1, len(content)):
        is_animated(content[:length])  # raises nothing
    assert is_animated(content)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = _noise(5, 9)
    image = read_image(_store(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(image, np.stack([grey] * 3, axis=-1))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.array([[(0, 0, 200, 255), (0, 0, 200, 0), (0, 0, 200, 128), (10, 100, 250, 51)]], np.uint8)
    image = read_image(_store(tmp_path / "clear.png", pixels))
    # 128/255 of 200 and the rest of white: 200 · 0.50196 + 255 · 0.49804 = 227.39; 51/255 is a fifth
    expected = [(0, 0, 200), (255, 255, 255), (127, 127, 227), (206, 224, 254)]
    np.testing.assert_array_equal(image, [expected])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_soft_transparency_in_a_tiff(tmp_path: Path, dtype: type, kind: str) -> None:
    colours, opacity = np.array([[(200, 100, 0), (10, 20, 250)]]), np.array([[[128], [51]]])
    stored = np.rint(colours * opacity / 255) if kind == "assocalpha" else colours
    values = (np.dstack([stored, opacity]) * (np.iinfo(dtype).max // 255)).astype(dtype)
    tifffile.imwrite(tmp_path / "soft.tif", values, photometric="rgb", extrasamples=[kind])
    # by hand: 200 · 128/255 + 127 = 227, and 250 · 51/255 + 204 = 254
    image = read_image(tmp_path / "soft.tif")[..., ::-1].astype(int)
    np.testing.assert_allclose(image, [[(227, 177, 127), (206, 208, 254)]], atol=1)
    np.testing.assert_array_equal(read_opacity(tmp_path / "soft.tif"), opacity[..., 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_with_opacity_in_a_tiff(tmp_path: Path, dtype: type, kind: str, order: str) -> None:
    grey, opacity = np.array([[200, 10, 0]]), np.array([[128, 51, 255]])
    stored = np.rint(grey * opacity / 255) if kind == "assocalpha" else grey
    values = (np.dstack([stored, opacity]) * (np.iinfo(dtype).max // 255)).astype(dtype)
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [kind], "byteorder": order}
    tifffile.imwrite(tmp_path / "grey.tif", values, **options)
    image = read_image(tmp_path / "grey.tif").astype(int)
    np.testing.assert_allclose(image, [[[227] * 3, [206] * 3, [0] * 3]], atol=1)
    np.testing.assert_array_equal(read_opacity(tmp_path / "grey.tif"), opacity)


def test_grey_with_opacity_that_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "grey.tif", np.full((3, 4, 2), 100, np.uint8), bigtiff=True, **options)
    assert (read_image(tmp_path / "grey.tif") == 100).all()
    assert caplog.messages == [f"{tmp_path / 'grey.tif'} has transparency that is not read"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_of_planes(tmp_path: Path, dtype: type, order: str, compression: str | None) -> None:
    """As tifffile writes an array of (3, height, width)."""
    colours = _noise(40, 23, 3)
    colours[0, 0] = 0, 128, 255
    values = colours.astype(np.float32) / 255 if dtype is np.float32 else colours.astype(dtype)
    planes = (values * dtype(257) if dtype is np.uint16 else values).transpose(2, 0, 1)
    kind = {"photometric": "rgb", "planarconfig": "separate"}
    for orientation in (1, 6):
        path, tag = tmp_path / f"{orientation}.tif", (274, "H", 1, orientation, False)
        tifffile.imwrite(
            path, planes, **kind, byteorder=order, compression=compression, rowsperstrip=9, extratags=[tag]
        )
        upright = colours if orientation == 1 else np.rot90(colours, -1)
        np.testing.assert_array_equal(read_image(path)[..., ::-1], upright)


def test_planes_with_opacity(tmp_path: Path) -> None:
    planes = np.array([200, 100, 0, 128], np.uint16)[:, None, None] * np.full((1, 5, 6), 257, np.uint16)
    kind = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "soft.tif", planes, **kind)
    image = read_image(tmp_path / "soft.tif")[..., ::-1].astype(int)
    np.testing.assert_allclose(image, np.broadcast_to((227, 177, 127), image.shape), atol=1)


@pytest.mark.parametrize(
    ("dtype", "options", "length"),
    [
        (np.uint16, {"tile": (16, 16)}, None),
        (np.uint16, {"bigtiff": True}, None),
        (np.int16, {}, None),
        (np.uint32, {}, None),
        (np.uint16, {}, -100),
    ],
)
def test_planes_that_cannot_be_read(tmp_path: Path, dtype: type, options: dict[str, Any], length: int | None) -> None:
    path = tmp_path / "planes.tif"
    tifffile.imwrite(path, np.ones((3, 40, 50), dtype), photometric="rgb", planarconfig="separate", **options)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SourceError) as caught:
        read_image(path)
    with pytest.raises(SourceError) as caught_of_opacity:
        read_opacity(path)
    assert (
        str(caught.value)
        == str(caught_of_opacity.value)
        == (
            f"cannot read {path}: it is damaged, or holds each colour in a plane of its own in a way that is not read: "
            "save it with PlanarConfiguration 1"
        )
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_opacity_as_opencv_writes_it(tmp_path: Path, dtype: type) -> None:
    """It does not say what the fourth channel is, nor multiplies."""
    pixels = (np.array([[(0, 100, 200, 128), (1, 2, 3, 255)]]) * (np.iinfo(dtype).max // 255)).astype(dtype)
    image = read_image(_store(tmp_path / "soft.tif", pixels)).astype(int)
    np.testing.assert_allclose(image, [[(127, 177, 227), (1, 2, 3)]], atol=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_fourth_band_is_no_opacity(tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: type) -> None:
    """As aerial photographs have, near infrared for instance."""
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    values = (np.array([[(255, 51, 0, 20), (0, 102, 255, 0)]]) / 255 * white).astype(dtype)
    path = tmp_path / "aerial.tif"
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unspecified"])
    assert read_image(path)[..., ::-1].tolist() == [[[255, 51, 0], [0, 102, 255]]]
    assert read_opacity(path) is None
    assert f"{path} has four channels: only the first three are read, as red, green and blue" in caplog.messages


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    levels = np.array([[0, 255, 256, 257 * 100, 32_767, 32_768, 65_279, 65_535]], np.uint16)
    expected = [0, 0, 1, 100, 127, 128, 254, 255]
    for channels in (1, 3, 4):
        pixels = np.repeat(levels[..., None], channels, axis=-1)
        if channels == 4:
            pixels[..., 3] = 65_535  # opaque
        image = read_image(_store(tmp_path / "deep.png", pixels))
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, np.repeat(np.array(expected)[None, :, None], 3, axis=-1))


def test_sixteen_bits_of_transparency(tmp_path: Path) -> None:
    pixels = np.array([[(0, 0, 65_535, 65_535), (0, 0, 65_535, 0), (0, 0, 0, 128 << 8)]], np.uint16)
    image = read_image(_store(tmp_path / "deep.png", pixels))
    np.testing.assert_array_equal(image, [[(0, 0, 255), (255, 255, 255), (127, 127, 127)]])


def _exif(orientation: int) -> bytes:
    """An APP1 segment with one field, the orientation (EXIF 2.3, tag 0x0112, a SHORT)."""
    field = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", 1) + field  # some leave out where the next ones are
    content = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda image: image),
        (2, np.fliplr),
        (3, lambda image: np.rot90(image, 2)),
        (4, np.flipud),
        (6, lambda image: np.rot90(image, -1)),
        (8, lambda image: np.rot90(image, 1)),
    ],
)
def test_a_photograph_is_turned_as_its_exif_says(
    tmp_path: Path, orientation: int, upright: Callable[[np.ndarray], np.ndarray]
) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24], stored[:16, 24:], stored[16:, :24] = (0, 0, 220), (0, 200, 0), (220, 0, 0)
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + _exif(orientation) + jpeg[2:])
    image, expected = read_image(path), upright(stored)
    assert image.shape == expected.shape
    quarters = np.ix_(*(np.array([1, 3]) * side // 4 for side in expected.shape[:2]))
    assert np.abs(image[quarters].astype(int) - expected[quarters]).max() <= 4


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_transparent_pictures_are_turned_too(tmp_path: Path, ending: str) -> None:
    upright = _noise(32, 48, 4)
    upright[..., 3] = np.where(upright[..., 3] < 128, 0, 255)
    upright[upright[..., 3] == 0] = 255, 255, 255, 0
    stored = [upright, np.fliplr(upright), np.rot90(upright, 2), np.flipud(upright)]
    stored += [upright.swapaxes(0, 1), np.rot90(upright), np.rot90(upright.swapaxes(0, 1), 2), np.rot90(upright, -1)]
    for orientation, image in enumerate(stored, 1):
        path, exif = tmp_path / f"{orientation}.{ending}", Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(image).save(path, exif=exif, lossless=True)
        np.testing.assert_array_equal(read_image(path), upright[..., 2::-1])
        np.testing.assert_array_equal(read_opacity(path), upright[..., 3])


def test_any_name_that_a_folder_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = _noise(4, 4, 3)
    for name in ("12:30.png", "a b – ü 猫.png", "50 %d.png"):
        write_image(name, image)
        np.testing.assert_array_equal(read_image(name), image)


# --- what cannot be read ------------------------------------------------------------------------------------------


def _gigantic(path: Path) -> None:
    """A PNG of 60 000 × 60 000 pixels, by its header."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


def _truncated(path: Path) -> None:
    path.write_bytes(_store(path, _noise(50, 50, 3)).read_bytes()[:-1000])


def _nothing(path: Path) -> None:
    """Leave it missing."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_nothing, "cannot read {path}: No such file or directory"),
        (Path.mkdir, "cannot read {path}: Is a directory"),
        (Path.touch, "{path} is not a picture that can be read"),
        (lambda path: path.write_text("not a picture"), "{path} is not a picture that can be read"),
        (_truncated, "{path} is not a picture that can be read"),
        (_gigantic, "cannot read {path}: 60000×60000 pixels are too many: at most 1073 million are read"),
    ],
)
def test_what_is_not_a_picture(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "picture.png"
    make(path)
    with pytest.raises(SourceError) as caught:
        read_image(path)
    assert str(caught.value) == message.format(path=path)
    assert capfd.readouterr() == ("", "")


# --- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "PNG"])
def test_what_is_written_is_what_is_read(tmp_path: Path, ending: str) -> None:
    image = _noise(11, 6, 3)
    write_image(tmp_path / f"out.{ending}", image)
    np.testing.assert_array_equal(read_image(tmp_path / f"out.{ending}"), image)


def test_the_ending_gives_the_format(tmp_path: Path) -> None:
    beginnings = {"png": b"\x89PNG", "jpg": b"\xff\xd8\xff", "webp": b"RIFF", "bmp": b"BM"}
    for ending, beginning in beginnings.items():
        write_image(str(tmp_path / f"out.{ending}"), _noise(8, 8, 3))
        assert (tmp_path / f"out.{ending}").read_bytes().startswith(beginning)


@pytest.mark.parametrize("name", ["out.txt", "out", "out.mp4", "out.pgm", ".png"])
def test_an_ending_that_is_no_colour_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(OutputError) as caught:
        write_image(tmp_path / name, _noise(4, 4, 3))
    assert str(caught.value) == f"cannot write a picture as {name!r}: give it an ending such as .png"
    assert not (tmp_path / name).exists()
    assert capfd.readouterr() == ("", "")


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path, reason in (
        (tmp_path / "nowhere" / "out.png", "No such file or directory"),
        (tmp_path / "folder.png", "Is a directory"),
    ):
        with pytest.raises(OutputError) as caught:
            write_image(path, _noise(4, 4, 3))
        assert str(caught.value) == f"cannot write {path}: {reason}"
