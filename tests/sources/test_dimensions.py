"""The size of a picture, by its first bytes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from live_gradcam.sources.dimensions import picture_size

_PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_the_size_is_that_of_the_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    cv2.imwrite(str(path), _PICTURE)
    assert picture_size(path) == (37, 53)


def test_webp_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "picture.webp"
    cv2.imwrite(str(path), _PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert picture_size(path) == (37, 53)


@pytest.mark.parametrize(("big", "order"), [(False, ">"), (True, "<"), (True, ">")])
def test_tiffs_of_each_form(tmp_path: Path, big: bool, order: str) -> None:
    tifffile.imwrite(tmp_path / "picture.tif", _PICTURE, photometric="rgb", bigtiff=big, byteorder=order)
    assert picture_size(tmp_path / "picture.tif") == (37, 53)


def test_a_jpeg_with_a_large_comment_first(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    cv2.imwrite(str(path), _PICTURE)
    content = path.read_bytes()
    comment = b"\xff\xfe" + (60_002).to_bytes(2, "big") + b"\xff\xc0" * 30_000
    path.write_bytes(content[:2] + comment + content[2:])
    assert picture_size(path) == (37, 53)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0\xff\xff\xff\xff",
        b"II+\0\x08\0\0\0" + b"\xff" * 30,
    ],
)
def test_what_does_not_say_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert picture_size(path) is None
    assert picture_size(tmp_path / "nothing") is None
