"""What people have pictures in becomes the same pixels: BGR, 8 bits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from live_gradcam import Levels, UsageError
from live_gradcam.pictures.given import given, is_batch

#: Red, green; blue, white.
RGB = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
BGR = RGB[..., ::-1]


def pixels(picture: Any, channels: Any = "rgb", levels: Levels | None = None) -> np.ndarray:
    (one,) = given([picture], channels, levels)
    image = one.read(levels)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    return image


class OnADevice:
    """As a tensor of PyTorch is, with a gradient, on another device."""

    def detach(self) -> OnADevice:
        return self

    def cpu(self) -> np.ndarray:
        return RGB


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(lambda: RGB, id="bytes"),
        pytest.param(lambda: RGB.astype(np.int64), id="whole-numbers"),
        pytest.param(lambda: RGB / 255, id="fractions"),
        pytest.param(lambda: (RGB / 255).astype(np.float16), id="half-precision"),
        pytest.param(lambda: RGB.astype(np.float32), id="fractions-up-to-255"),
        pytest.param(lambda: RGB > 0, id="yes-and-no"),
        pytest.param(lambda: Image.fromarray(RGB), id="PIL"),
        pytest.param(lambda: Image.fromarray(RGB).convert("P"), id="PIL-with-a-palette"),
        pytest.param(lambda: tf.constant(RGB), id="tensor"),
        pytest.param(lambda: tf.constant(RGB / 255, tf.bfloat16), id="bfloat16"),
        pytest.param(OnADevice, id="on-a-device"),
        pytest.param(lambda: np.dstack([RGB, np.full((2, 2), 255, np.uint8)]), id="with-opacity"),
    ],
)
def test_colours_are_red_first_by_default(picture: Callable[[], Any]) -> None:
    np.testing.assert_array_equal(pixels(picture()), BGR)


def test_an_array_of_opencv_is_blue_first() -> None:
    np.testing.assert_array_equal(pixels(BGR, "bgr"), BGR)
    np.testing.assert_array_equal(pixels(Image.fromarray(RGB), "bgr"), BGR)  # which knows its own order


def test_the_pixels_are_a_copy() -> None:
    mine = BGR.copy()
    kept = pixels(mine, "bgr")
    mine[:] = 0
    np.testing.assert_array_equal(kept, BGR)


def test_grey_becomes_three_channels_and_transparency_white() -> None:
    grey = np.array([[0, 100]], np.uint8)
    expected = [[[0] * 3, [100] * 3]]
    for picture in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(pixels(picture), expected)
    half = np.array([[[200, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)  # 51 of 255 are a fifth
    for picture in (half, Image.fromarray(half)):
        np.testing.assert_array_equal(pixels(picture), [[[0, 0, 200], [255] * 3, [204] * 3]])


def test_more_bits_are_what_they_can_hold(caplog: pytest.LogCaptureFixture) -> None:
    deep = np.array([[0, 2048, 4095]], np.uint16)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(pixels(deep)[0, :, 0], [0, 128, 255])
    assert (
        "(12 of 16 bits): 0 is shown as black and 4095 as white; PictureOptions(levels=Levels(LOW, HIGH)) changes"
        in caplog.text
    )
    np.testing.assert_array_equal(pixels(Image.fromarray(deep))[0, :, 0], [0, 128, 255])


def test_values_that_may_mean_anything_are_refused_until_somebody_says() -> None:
    scaled = np.array([[-1.0, 0.0, 1.0]], np.float32)
    with pytest.raises(UsageError, match=r"values from -1 to 1: say .+PictureOptions\(levels=Levels\(-1, 1\)\)"):
        pixels(scaled)
    np.testing.assert_array_equal(pixels(scaled, levels=Levels(-1, 1))[0, :, 0], [0, 128, 255])
    with pytest.raises(UsageError, match="values from 0 to 300: say"):
        pixels(np.array([[0.0, 300.0]]))
    with pytest.raises(UsageError, match="values from -5 to 7: say"):
        pixels(np.array([[-5, 7]]))


@pytest.mark.parametrize(
    ("least", "greatest", "white"),
    [(0, 1.0001, 1), (-0.0001, 1, 1), (-0.2, 1.25, 1), (0, 2, 1), (0, 2.5, 255), (0, 15, 255)],
)
def test_fractions_that_may_be_of_1_or_of_255_are_shown_with_a_warning(
    caplog: pytest.LogCaptureFixture, least: float, greatest: float, white: int
) -> None:
    values = np.full((2, 2, 3), 0.5 * white, np.float32)
    values[0, 0], values[0, 1] = least, greatest
    if white == 255:
        values[1] = 1
    shown = pixels(values)[..., 0]
    assert shown[1].tolist() == [128 if white == 1 else 1] * 2
    assert shown[0].tolist() == [0, round(min(255, 255 / white * greatest))]
    assert f": 0 is shown as black and {white} as white; PictureOptions(levels=Levels(LOW, HIGH))" in caplog.text


@pytest.mark.parametrize("greatest", [0, 0.3, 1, 16, 255])
def test_fractions_that_are_clear_give_no_warning(caplog: pytest.LogCaptureFixture, greatest: float) -> None:
    pixels(np.full((2, 2), greatest, np.float32))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([-0.2, 0.3], "-0.2, 0.3"),  # of a network's mean 0, and not of 0 to 1
        ([-0.5, 0.5], "-0.5, 0.5"),
        ([-2.1, 2.6], "-2.1, 2.6"),
    ],
)
def test_values_about_0_are_refused(values: list[float], levels: str) -> None:
    with pytest.raises(UsageError, match=rf"say which .+Levels\({levels}\)\)$"):
        pixels(np.array([values]))


def test_the_levels_of_an_error_are_levels() -> None:
    with pytest.raises(UsageError, match=r"values from -5 to -5: say .+Levels\(-5, -4\)\)$"):
        pixels(np.full((8, 8, 3), -5, np.int16))


def test_what_is_no_number_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert pixels(np.array([[0.5, np.nan, np.inf]]))[0, :, 0].tolist() == [128, 0, 255]
    assert "the picture has values that are no numbers (NaN or infinite), 2 of 3" in caplog.text


def test_an_image_is_turned_as_its_file_is(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((8, 16, 3), np.uint8))
    picture.paste((255, 255, 255), (0, 0, 8, 8))  # the left half is white
    exif = picture.getexif()
    exif[0x0112] = 6  # shown turned to the right
    picture.save(tmp_path / "turned.png", exif=exif)
    from_file = pixels(tmp_path / "turned.png")
    np.testing.assert_array_equal(pixels(Image.open(tmp_path / "turned.png")), from_file)
    assert from_file.shape == (16, 8, 3)
    assert from_file[0, 0, 0] == 255


def test_of_a_batch_all_values_together_say_what_is_white() -> None:
    dark, light = np.zeros((1, 2, 2, 3)), np.full((1, 2, 2, 3), 200.0)
    dark[..., 0] = 1.0
    first, second = given(np.concatenate([dark, light]), "rgb", None)
    assert first.image is not None
    assert second.image is not None
    assert first.image[0, 0].tolist() == [0, 0, 1]  # of 255, although it would be white alone
    assert second.image[0, 0].tolist() == [200, 200, 200]
    assert [str(one.name) for one in (first, second)] == ["picture-0", "picture-1"]


def test_what_is_a_batch() -> None:
    path = Path("a.png")
    for batch in ([RGB], (path, path), np.zeros((3, 8, 8, 3)), tf.zeros((1, 2, 2, 3)), iter([path])):
        assert is_batch(batch)
    for one in (RGB, path, "a.png", Image.fromarray(RGB), tf.constant(RGB), 3, None, b"abc"):
        assert not is_batch(one)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((3, 8, 9)), r"an array of \(3, 8, 9\) has not; put the channels last$"),
        (np.zeros((8, 9, 7)), r"an array of \(8, 9, 7\) has not$"),
        (np.zeros((0, 9, 3)), r"the picture is empty: its array is of \(0, 9, 3\)$"),
        (np.zeros((2, 2), complex), "an array of complex128 is no picture: give one of whole numbers or of fractions$"),
        (np.zeros((2, 2), object), "an array of object is no picture: give one of whole numbers"),
        (np.full((2, 2), np.nan), "the picture has no values that are numbers: all are NaN or infinite$"),
        (b"abc", "a bytes is no picture: give a path, an array"),
        (None, "a NoneType is no picture"),
        ({"a": 1}, "a dict is no picture"),
    ],
)
def test_what_is_no_picture(picture: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pixels(picture)
    with pytest.raises(UsageError, match="there is no order of channels 'rbg'; did you mean rgb or bgr"):
        given([RGB], "rbg", None)  # type: ignore[arg-type]


def test_a_file_is_read_when_it_is_its_turn(tmp_path: Path) -> None:
    (one,) = given([str(tmp_path / "late.png")], "rgb", None)
    cv2.imwrite(str(tmp_path / "late.png"), BGR)
    assert one.source == tmp_path / "late.png"
    np.testing.assert_array_equal(one.read(None), BGR)
