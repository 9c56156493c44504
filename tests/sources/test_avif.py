"""AVIF: turned as its own boxes say, and with as many bits as it says."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from live_gradcam.sources.avif import AvifPicture, main_picture
from live_gradcam.sources.image import read_image, read_opacity, read_pixels
from live_gradcam.sources.levels import Levels

pytestmark = pytest.mark.versions

_BEST = [cv2.IMWRITE_AVIF_QUALITY, 100]


def _avif(path: Path, image: np.ndarray, orientation: int = 1, options: list[int] | None = None) -> Path:
    """Saves a picture that stands upright once it is turned; of its EXIF, which only repeats it, nothing is left."""
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    metadata = [np.frombuffer(exif, np.uint8)]
    done, encoded = cv2.imencodeWithMetadata(".avif", image, [cv2.IMAGE_METADATA_EXIF], metadata, options or _BEST)
    assert done
    upright = exif.replace(struct.pack(">IHH", 1, orientation, 0), struct.pack(">IHH", 1, 1, 0))
    path.write_bytes(encoded.tobytes().replace(exif, upright))
    return path


def _corners(channels: int = 3) -> np.ndarray:
    image = np.full((64, 96, channels), 255, np.uint8)
    image[:32, :48, :3], image[:32, 48:, :3], image[32:, :48, :3] = (0, 0, 220), (0, 200, 0), (220, 0, 0)
    return image


def test_it_is_turned_as_it_says(tmp_path: Path) -> None:
    upright = _corners()
    stored = [upright, np.fliplr(upright), np.rot90(upright, 2), np.flipud(upright)]
    stored += [upright.swapaxes(0, 1), np.rot90(upright), np.rot90(upright.swapaxes(0, 1), 2), np.rot90(upright, -1)]
    for orientation, image in enumerate(stored, 1):
        path = _avif(tmp_path / f"{orientation}.avif", np.ascontiguousarray(image), orientation)
        assert bool(main_picture(path.read_bytes()).turns) == (orientation > 1)
        found = read_image(path)
        assert found.shape == upright.shape
        assert np.abs(found[8::16, 8::16].astype(int) - upright[8::16, 8::16]).max() < 12


def test_its_opacity_is_turned_too(tmp_path: Path) -> None:
    upright = _corners(4)
    upright[:16, :16] = 255, 255, 255, 0
    path = _avif(tmp_path / "a.avif", np.ascontiguousarray(np.rot90(upright)), 6)
    opacity = read_opacity(path)
    assert opacity is not None
    assert np.abs(opacity[4::8, 4::8].astype(int) - upright[4::8, 4::8, 3]).max() < 12
    assert np.abs(read_image(path)[8::16, 8::16].astype(int) - upright[8::16, 8::16, :3]).max() < 12


@pytest.mark.parametrize("depth", [10, 12])
@pytest.mark.parametrize("with_opacity", [False, True])
def test_a_dark_picture_of_more_bits_stays_dark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, depth: int, with_opacity: bool
) -> None:
    dark = _corners(4 if with_opacity else 3)
    dark[..., :3] //= 5
    if with_opacity:
        dark[:, 80:, 3] = 0
    image = dark.astype(np.uint16) << (depth - 8)
    path = _avif(tmp_path / "dark.avif", image, options=[*_BEST, cv2.IMWRITE_AVIF_DEPTH, depth])
    assert main_picture(path.read_bytes()).bits == depth
    assert np.abs(read_image(path)[4::16, 4:64:16].astype(int) - dark[4::16, 4:64:16, :3]).max() < 6
    assert not read_pixels(path).need_levels
    assert caplog.messages == []
    if with_opacity:
        assert (read_image(path)[:, 88] >= 253).all()
        opacity = read_opacity(path)
        assert opacity is not None
        assert np.abs(opacity.astype(int) - dark[..., 3]).mean() < 3
    else:
        half = Levels(0, 2 ** (depth - 1) - 1)
        assert np.abs(read_image(path, half)[4::16, 4::16].astype(int) - 2 * dark[4::16, 4::16]).max() < 12


def test_a_file_that_is_cut_short_says_nothing_and_is_no_other_error(tmp_path: Path) -> None:
    content = _avif(tmp_path / "a.avif", _corners(), 7).read_bytes()
    whole = main_picture(content)
    assert whole.bits == 8
    assert {name for name, _ in whole.turns} == {b"irot", b"imir"}
    for length in range(content.index(b"mdat")):
        assert main_picture(content[:length]) in (whole, AvifPicture())
