"""One scale for several pictures, and which of them levels are for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from shades import shades_of

from live_gradcam.annotating.jobs import plan_jobs
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.errors import UsageError
from live_gradcam.sources import shared_levels as sharing
from live_gradcam.sources.image import may_need_levels
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.live import refuse_options_of_files
from live_gradcam.sources.options import SourceOptions
from live_gradcam.sources.pictures import PictureReader
from live_gradcam.sources.shared_levels import shared_levels


def _file(path: Path, values: list[int], dtype: type = np.uint16) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, np.array([values], dtype))[1].tobytes())
    return path


def test_the_most_bits_that_one_of_them_needs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dark, light = _file(tmp_path / "a.png", [5, 900]), _file(tmp_path / "b.png", [2, 5000])
    levels = shared_levels([dark, light, _file(tmp_path / "c.png", [255], np.uint8), tmp_path / "gone.png"])
    assert levels == Levels(0, 16_383, "whole")
    assert caplog.messages == [
        "2 pictures have values from 2 to 5000 (14 of 16 bits): 0 is shown as black and 16383 as white; --levels "
        "LOW:HIGH changes that"
    ]
    assert shades_of(dark, levels) == [0, 14]  # 900 / 64
    assert shades_of(tmp_path / "c.png", levels) == [255]


def test_a_single_one_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _file(tmp_path / "a.png", [0, 900])
    assert shared_levels([path]) == Levels(0, 1023, "whole")
    assert caplog.messages[0].startswith(f"{path} has values from 0 to 900 (10 of 16 bits)")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fractions_share_one_too(tmp_path: Path, dtype: type) -> None:
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    tifffile.imwrite(paths[0], np.array([[0, 10]], dtype))
    tifffile.imwrite(paths[1], np.array([[-10, 0]], dtype))
    levels = shared_levels(paths)
    assert levels == Levels(-10, 10, "fractions")
    assert [shades_of(path, levels) for path in paths] == [[128, 255], [0, 128]]
    whole = _file(tmp_path / "c.png", [0, 1000])
    assert shared_levels([*paths, whole]) == Levels(0, 1023, "whole")
    assert shades_of(paths[0], Levels(0, 1023, "whole")) == [0, 255]  # as without levels
    assert shades_of(whole, levels) == [0, 250]


def test_what_is_surely_8_bits_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [_file(tmp_path / f"a{ending}", [0, 9], np.uint8) for ending in (".png", ".jpg", ".bmp", ".webp")]
    plain.append(tmp_path / "no file.png")
    plain[-1].mkdir()
    assert not any(map(may_need_levels, plain))
    monkeypatch.setattr(sharing, "read_pixels", lambda path: pytest.fail(f"{path} is read"))
    assert shared_levels(plain) is None
    deep = [_file(tmp_path / f"b{ending}", [0, 9]) for ending in (".png", ".tif", ".pgm")]
    assert all(map(may_need_levels, deep))


def test_those_of_a_model_are_for_pictures_and_refuse_nothing_else(tmp_path: Path) -> None:
    video, of_model = tmp_path / "talk.mp4", Levels(0, 4095, "pictures")
    video.touch()
    assert len(plan_jobs([video], None, AnnotateOptions(levels=of_model))) == 1
    refuse_options_of_files("camera 0", SourceOptions(levels=of_model))
    with pytest.raises(UsageError):
        refuse_options_of_files("camera 0", SourceOptions(levels=Levels(0, 4095)))
    deep, plain = _file(tmp_path / "a.png", [0, 4095]), _file(tmp_path / "b.png", [0, 255], np.uint8)
    assert [shades_of(path, of_model) for path in (deep, plain)] == [[0, 255], [0, 15]]


def test_a_folder_that_is_lighter_than_a_models_pictures_says_so(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.png", [0, 5000])
    with PictureReader(tmp_path, Fraction(25), Levels(0, 4095, "whole")) as reader:
        assert [frame.image[0, :, 0].tolist() for frame in reader.frames()] == [[0, 255]]
        assert reader.notes == [
            f"{path} has values up to 5000, and the model was fitted with 4095 as white; --levels LOW:HIGH changes that"
        ]
