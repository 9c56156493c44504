"""Pictures with other values than 8 bits: what becomes black and white, and what is said of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from command_line import run
from fake_engine import annotated, start_fake
from shades import shades_of

from live_gradcam.annotating.jobs import plan_jobs
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.report import Result
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.evaluating.pictures import plan_sources
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.image import read_image, read_pixels
from live_gradcam.sources.levels import Extent, Levels
from live_gradcam.sources.pictures import PictureReader


def _png(path: Path, values: Sequence[int] | np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(".png", np.atleast_2d(np.asarray(values, np.uint16)))[1].tobytes())
    return path


def _tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, values, **options)
    return path


# --- whole numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("greatest", "bits"),
    [(255, 8), (256, 10), (1000, 10), (1023, 10), (1024, 12), (3950, 12), (4096, 14), (16_383, 14)],
)
def test_the_bits_in_use_are_what_is_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, greatest: int, bits: int
) -> None:
    values = [0, 1, greatest // 2, greatest]
    path = _png(tmp_path / "deep.png", values)
    assert shades_of(path) == [value * 256 // 2**bits for value in values]
    (said,) = caplog.messages
    assert said == (
        f"{path} has values from 0 to {greatest} ({bits} of 16 bits): 0 is shown as black and {2**bits - 1} as white; "
        "--levels LOW:HIGH changes that"
    )


def test_colours_of_twelve_bits_keep_their_hue(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(cv2.imencode(".png", np.array([[(4095, 2048, 16), (0, 1024, 3000)]], np.uint16))[1].tobytes())
    assert read_image(path).tolist() == [[[255, 128, 1], [0, 64, 187]]]


@pytest.mark.parametrize("values", [[0, 16_384, 65_535], [0, 0, 40_000], [0, 1, 32_768]])
def test_nothing_is_said_of_sixteen_bits_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, values: list[int]
) -> None:
    assert shades_of(_png(tmp_path / "deep.png", values)) == [value >> 8 for value in values]
    assert caplog.messages == []


@pytest.mark.parametrize("greatest", [16_384, 16_800, 32_767])
def test_sixteen_bits_are_a_guess_where_the_highest_is_not_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, greatest: int
) -> None:
    path = _png(tmp_path / "deep.png", [0, greatest])
    assert shades_of(path) == [0, greatest >> 8]
    assert caplog.messages == [
        f"{path} has values from 0 to {greatest}: 0 is shown as black and 65535 as white; --levels LOW:HIGH changes "
        "that"
    ]


def test_all_black(tmp_path: Path) -> None:
    assert shades_of(_png(tmp_path / "deep.png", [0, 0])) == [0, 0]


def test_a_pgm_of_twelve_bits(tmp_path: Path) -> None:
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 3 1 4095\n" + np.array([0, 2048, 4095], ">u2").tobytes())
    assert shades_of(path) == [0, 128, 255]


# --- fractions and signs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "shades", "said"),
    [
        ([0.0, 0.25, 0.5], [0, 64, 128], "values from 0 to 0.5: 0 is shown as black and 1 as white"),
        ([-1.0, 0.0, 1.0], [0, 128, 255], "values from -1 to 1: -1 is shown as black and 1 as white"),
        ([100.0, 150.0, 300.5], [0, 64, 255], "values from 100 to 300.5: 100 is shown as black and 300.5 as white"),
        ([np.nan, 0.5, np.inf], [0, 128, 255], "values from 0.5 to 0.5: 0 is shown as black and 1 as white"),
        ([7.0, 7.0, np.nan], [0, 0, 0], "values from 7 to 7: 7 is shown as black and 8 as white"),
        ([-7.0, -7.0, 0.0], [0, 0, 255], "values from -7 to 0: -7 is shown as black and 0 as white"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fractions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, values: list[float], shades: list[int], said: str, dtype: type
) -> None:
    path = _tiff(tmp_path / "float.tif", np.array([values], dtype))
    assert shades_of(path) == shades
    assert caplog.messages[-1] == f"{path} has {said}; --levels LOW:HIGH changes that"
    assert len(caplog.messages) == (1 if np.isfinite(values).all() else 2)


def test_colours_of_fractions(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "float.tif", np.array([[(1.0, 0.5, 0.0)]], np.float32), photometric="rgb")
    assert read_image(path).tolist() == [[[0, 128, 255]]]


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_values_below_zero_are_shown_from_end_to_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dtype: type
) -> None:
    path = _tiff(tmp_path / "ct.tif", np.array([[-1000, 0, 1047]], dtype))
    assert shades_of(path) == [0, 125, 255]  # 1000 · 256 / 2048
    assert "values from -1000 to 1047: -1000 is shown as black and 1047 as white" in caplog.text


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int32])
def test_twelve_bits_in_any_type(tmp_path: Path, dtype: type) -> None:
    assert shades_of(_tiff(tmp_path / "deep.tif", np.array([[0, 2048, 4095]], dtype))) == [0, 128, 255]


# --- TIFF ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "depth"), [(np.uint8, 8), (np.uint16, 16), (np.uint16, 12)])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_whose_zero_is_white(tmp_path: Path, dtype: type, depth: int, order: str, big: bool) -> None:
    values = np.array([[0, 2 ** (depth - 1), 2**depth - 1]], dtype)
    path = _tiff(tmp_path / "xray.tif", values, photometric="miniswhite", byteorder=order, bigtiff=big)
    assert shades_of(path) == [255, 127, 0]


@pytest.mark.parametrize("big", [False, True])
def test_further_pages_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, big: bool) -> None:
    values = np.arange(4 * 20 * 30, dtype=np.uint8).reshape(4, 20, 30)
    path = _tiff(tmp_path / "stack.tif", values, photometric="minisblack", bigtiff=big)
    np.testing.assert_array_equal(read_image(path)[..., 0], tifffile.imread(path)[0])
    assert caplog.messages == [f"{path} has 4 pages: only the first one is read"]


@pytest.mark.parametrize("length", [4, 7, 8, 9, 20, 60])
def test_a_tiff_that_is_cut_short_is_no_picture(tmp_path: Path, length: int) -> None:
    path = _tiff(tmp_path / "cut.tif", np.arange(400, dtype=np.uint16).reshape(20, 20))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Exception, match="is not a picture that can be read"):
        read_image(path)


# --- levels by hand -----------------------------------------------------------------------------------------------


def test_levels_by_hand(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = _png(tmp_path / "deep.png", [0, 1000, 1512, 2023, 4095])
    assert shades_of(deep, Levels(1000, 2023)) == [0, 0, 128, 255, 255]
    write_image(tmp_path / "plain.png", np.repeat(np.array([[[0], [100], [150], [227]]], np.uint8), 3, axis=2))
    assert shades_of(tmp_path / "plain.png", Levels(100, 227)) == [0, 0, 100, 255]
    float_ = _tiff(tmp_path / "float.tif", np.array([[-5, 0, 5, 20]], np.float32))
    assert shades_of(float_, Levels(-10, 10)) == [64, 128, 191, 255]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "levels"), [("0:4095", (0, 4095)), ("-1000:400", (-1000, 400)), ("0.1:.9", (0.1, 0.9))]
)
def test_levels_are_parsed(text: str, levels: tuple[float, float]) -> None:
    assert Levels.parse(text) == Levels(*levels)


@pytest.mark.parametrize("text", ["", "5", "5:", ":5", "a:b", "5:5", "9:3", "nan:3", "0:inf", "1:2:3"])
def test_what_are_no_levels(text: str) -> None:
    with pytest.raises(UsageError, match="are not LOW:HIGH: give two numbers"):
        Levels.parse(text)


def test_extents_are_joined() -> None:
    one, other = Extent.of(np.array([5, 900], np.uint16)), Extent.of(np.array([2, 5000], np.uint16))
    assert one.with_(other) == Extent(np.dtype(np.uint16), 2, 5000)
    assert one.levels == Levels(0, 1023)
    assert one.with_(other).levels == Levels(0, 16_383)


# --- folders ------------------------------------------------------------------------------------------------------


def _folder(path: Path, greatest: Sequence[int]) -> Path:
    path.mkdir()
    for index, value in enumerate(greatest):
        picture = np.zeros((48, 64), np.uint16)
        picture[:, 32:] = value
        _png(path / f"{index}.png", picture)
    return path


def test_the_pictures_of_a_folder_have_one_brightness(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _folder(tmp_path / "shots", [500, 4000, 1000])
    with PictureReader(folder, Fraction(25)) as reader:
        shades = [int(frame.image[0, -1, 0]) for frame in reader.frames()]
        assert shades == [500 >> 4, 4000 >> 4, 1000 >> 4]
        assert reader.notes == [
            f"{folder} has values from 0 to 4000 (12 of 16 bits): 0 is shown as black and 4095 as white; "
            "--levels LOW:HIGH changes that"
        ]
    with PictureReader(folder, Fraction(25)) as reader:  # wherever the reading begins
        assert [int(frame.image[0, -1, 0]) for frame in reader.frames(start=Fraction(2, 25))] == [1000 >> 4]
    with PictureReader(folder, Fraction(25), Levels(0, 1023)) as reader:
        assert [int(frame.image[0, -1, 0]) for frame in reader.frames()] == [125, 255, 250]
        assert reader.notes == []
    assert caplog.messages == []


def test_pictures_of_eight_bits_stay_as_they_are_beside_deep_ones(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "shots", [500, 4000])
    write_image(folder / "plain.png", np.full((48, 64, 3), 77, np.uint8))
    with PictureReader(folder, Fraction(25)) as reader:
        assert [int(frame.image[0, -1, 0]) for frame in reader.frames()] == [31, 250, 77]


def test_annotate_says_it_once(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "shots", [500, 4000, 1000])
    summary = annotated(folder, tmp_path / "out.mp4", contact_sheet=tmp_path / "sheet.png")
    (note,) = summary.notes
    assert "values from 0 to 4000 (12 of 16 bits)" in note


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 2])
def test_annotate_by_the_command_line(tmp_path: Path, workers: int | None) -> None:
    folder = _folder(tmp_path / "shots", [500, 4000, 1000])
    options = ["-o", tmp_path / "out.mp4", "--json", tmp_path / "report.json"]
    process = start_fake("annotate", folder, *options, *(["--workers", workers] if workers else []))
    out, err = process.communicate(timeout=120)
    note = (
        f"{folder} has values from 0 to 4000 (12 of 16 bits): 0 is shown as black and 4095 as white; --levels LOW:HIGH "
        "changes that"
    )
    assert (process.returncode, err) == (0, f"live-gradcam: {note}\n"), out
    (file,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert file["notes"] == [note]
    process = start_fake("annotate", folder, *options, "--levels", "0:4095", "--overwrite")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")


def test_levels_are_not_for_videos(tmp_path: Path) -> None:
    video = tmp_path / "talk.mp4"
    video.touch()
    said = f"--levels is for pictures: {video} is a video"
    with pytest.raises(UsageError) as caught:
        plan_jobs([video], None, AnnotateOptions(levels=Levels(0, 1)))
    assert str(caught.value) == said
    with pytest.raises(UsageError) as caught:
        plan_sources([video], Levels(0, 1))
    assert str(caught.value) == said


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_explain_sees_a_dark_picture_as_the_same_in_eight_bits(
    tmp_path: Path, coffee: np.ndarray, quick_network: list[str]
) -> None:
    deep, plain = tmp_path / "deep.png", tmp_path / "plain.png"
    deep.write_bytes(cv2.imencode(".png", coffee.astype(np.uint16) << 4)[1].tobytes())
    write_image(plain, coffee)
    by_hand = run("explain", deep, "--levels", "0:4095", "--json", "-", *quick_network)
    assert (by_hand.code, by_hand.err) == (0, "")
    finished = run("explain", deep, plain, "--json", "-", *quick_network)
    assert finished.code == 0
    assert finished.err.count("\n") == 1
    assert "(12 of 16 bits): 0 is shown as black and 4095 as white" in finished.err
    of_deep, of_plain = json.loads(finished.out)
    assert of_deep["predictions"] == of_plain["predictions"] == json.loads(by_hand.out)["predictions"]


@pytest.mark.slow
def test_wrong_levels_are_told_at_once(tmp_path: Path) -> None:
    picture = _png(tmp_path / "deep.png", [1, 2])
    for command in ("explain", "annotate", "evaluate", "fit"):
        finished = run(command, picture, "--levels", "9:3")
        assert (finished.code, finished.out) == (2, "")
        assert finished.err == (
            "live-gradcam: the levels 9:3 are not LOW:HIGH: give two numbers, the lower one first, like 0:4095\n"
        )


def test_notes_are_lines(tmp_path: Path) -> None:
    summary = annotated(_folder(tmp_path / "shots", [500]), tmp_path / "out.mp4")
    (job,) = plan_jobs([tmp_path / "shots"], tmp_path / "again.mp4", AnnotateOptions())
    assert Result(job, summary).notes == summary.notes


def test_the_values_are_at_hand(tmp_path: Path) -> None:
    values = np.array([[3, 4000]], np.uint16)
    pixels = read_pixels(_png(tmp_path / "deep.png", values))
    np.testing.assert_array_equal(pixels.values, values)
    assert logging.getLogger("live_gradcam.sources.image").isEnabledFor(logging.WARNING)


def test_values_that_are_no_numbers_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    values[0, :2] = np.nan, np.inf
    cv2.imwrite(str(tmp_path / "some.tif"), values)
    cv2.imwrite(str(tmp_path / "all.tif"), np.full((3, 4), np.nan, np.float32))
    assert read_image(tmp_path / "some.tif")[0, 0, 0] == 0
    assert "has values that are no numbers (NaN or infinite), 2 of 12" in caplog.text
    with pytest.raises(SourceError, match="has no values that are numbers: all are NaN or infinite"):
        read_image(tmp_path / "all.tif")
