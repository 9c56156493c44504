"""The pictures of hospitals and of phones, and what is said where their packages are missing."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pydicom
import pytest
from command_line import AT_ONCE, Finished, run, run_program
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGExtended12Bit, SecondaryCaptureImageStorage, generate_uid
from shades import shades_of

from live_gradcam.annotating.jobs import plan_jobs
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.errors import SourceError
from live_gradcam.evaluating.pictures import plan_sources, read_pictures
from live_gradcam.sources.image import read_image, read_pixels
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.pictures import PictureReader


def _dicom(path: Path, stored: Any, *, kind: str = "MONOCHROME2", bits: int = 12, **tags: Any) -> Path:
    """A file of one row of values, or of pictures."""
    pixels = np.atleast_2d(np.asarray(stored))
    pixels = pixels if pixels.dtype in (np.uint8, np.int16) else pixels.astype(np.uint16)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.PhotometricInterpretation = kind
    data.SamplesPerPixel = 3 if kind == "RGB" else 1
    if kind == "RGB":
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = pixels.shape[-3:-1] if kind == "RGB" else pixels.shape[-2:]
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * pixels.itemsize, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype == np.int16)
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


# --- DICOM --------------------------------------------------------------------------------------------------------


def test_the_window_of_a_ct_in_hounsfield_units(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    units = np.array([-1000, -160, -60, 40, 140, 239, 240, 1000])
    path = _dicom(
        tmp_path / "ct.dcm",
        (units + 1024) * 2,
        RescaleSlope="0.5",
        RescaleIntercept="-1024",
        WindowCenter=["40", "300"],
        WindowWidth=["400", "1500"],
    )
    # PS3.3 C.11.2.1.2.1: ((x - 39.5) / 399 + 0.5) · 255
    assert shades_of(path) == [0, 0, 64, 128, 192, 255, 255, 255]
    assert caplog.messages == []
    np.testing.assert_array_equal(read_pixels(path).values, [units])
    # by hand, in the same units: (x + 60) · 255 / 200
    assert shades_of(path, Levels(-60, 140)) == [0, 0, 0, 128, 255, 255, 255, 255]


def test_a_window_whose_edges_count(tmp_path: Path) -> None:
    path = _dicom(
        tmp_path / "a.dcm", [0, 50, 100, 150], WindowCenter=75, WindowWidth=100, VOILUTFunction="LINEAR_EXACT"
    )
    assert shades_of(path) == [0, 64, 191, 255]  # ((x - 75) / 100 + 0.5) · 255


def test_a_window_with_soft_edges(tmp_path: Path) -> None:
    path = _dicom(tmp_path / "a.dcm", [0, 100, 125, 4000], WindowCenter=100, WindowWidth=100, VOILUTFunction="SIGMOID")
    assert shades_of(path) == [5, 128, 186, 255]  # 255 / (1 + exp(-4 (x - 100) / 100))


def test_a_table_instead_of_a_window(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 10, 8]  # four values, of 10 and on, of eight bits
    table.add_new("LUTData", "OW", bytes([7, 0, 80, 0, 90, 0, 250, 0]))
    path = _dicom(tmp_path / "a.dcm", [0, 10, 11, 12, 13, 99], VOILUTSequence=[table])
    assert shades_of(path) == [7, 7, 80, 90, 250, 250]


def test_zero_is_white_in_an_x_ray(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _dicom(tmp_path / "a.dcm", [0, 1024, 4095], kind="MONOCHROME1")
    assert shades_of(path) == [255, 191, 0]
    assert caplog.messages == [
        f"{path} has values from 0 to 4095 (12 of 16 bits): 0 is shown as black and 4095 as white; "
        "--levels LOW:HIGH changes that"
    ]
    assert shades_of(path, Levels(0, 1024)) == [255, 0, 0]
    path = _dicom(tmp_path / "b.dcm", [0, 50, 150], kind="MONOCHROME1", WindowCenter=75.5, WindowWidth=101)
    assert shades_of(path) == [255, 191, 0]  # 255 - ((x - 75) / 100 + 0.5) · 255


def test_without_a_window_values_below_zero_are_shown_from_end_to_end(tmp_path: Path) -> None:
    signed = np.array([[-2000, -1000, 0, 1000]], np.int16)
    assert shades_of(_dicom(tmp_path / "a.dcm", signed, bits=16)) == [0, 85, 170, 255]
    # what pads the picture does not count, and is black
    assert shades_of(_dicom(tmp_path / "b.dcm", signed, bits=16, PixelPaddingValue=-2000)) == [0, 0, 128, 255]


def test_eight_bits_and_masks(tmp_path: Path) -> None:
    assert shades_of(_dicom(tmp_path / "a.dcm", np.array([0, 7, 200, 255], np.uint8), bits=8)) == [0, 7, 200, 255]
    assert shades_of(_dicom(tmp_path / "b.dcm", np.array([0, 1, 1, 0], np.uint8), bits=1)) == [0, 255, 255, 0]


def test_colours(tmp_path: Path) -> None:
    pixels = np.array([[(250, 20, 3), (1, 2, 200)]], np.uint8)
    path = _dicom(tmp_path / "a.dcm", pixels, kind="RGB", bits=8)
    assert read_image(path).tolist() == [[[3, 20, 250], [200, 2, 1]]]


def test_a_palette(tmp_path: Path) -> None:
    tags = {}
    for colour, values in (("Red", [0, 255]), ("Green", [128, 64]), ("Blue", [10, 20])):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = (257 * np.array(values, "<u2")).tobytes()
    path = _dicom(tmp_path / "a.dcm", np.array([0, 1], np.uint8), kind="PALETTE COLOR", bits=8, **tags)
    assert read_image(path).tolist() == [[[10, 128, 0], [20, 64, 255]]]


def test_of_several_pictures_the_first_is_read_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    window, rescaling, shared = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 75.5, 101
    rescaling.RescaleSlope, rescaling.RescaleIntercept = 2, 0
    shared.FrameVOILUTSequence, shared.PixelValueTransformationSequence = [window], [rescaling]
    pictures = np.array([[[0, 25, 75]], [[1, 1, 1]]], np.uint16)
    path = _dicom(tmp_path / "a.dcm", pictures, NumberOfFrames=2, SharedFunctionalGroupsSequence=[shared])
    assert shades_of(path) == [0, 64, 255]  # ((2x - 75) / 100 + 0.5) · 255
    assert caplog.messages == [f"{path} holds 2 pictures: only the first one is read"]


def test_as_others_read_it(tmp_path: Path) -> None:
    """The window of pydicom's own picture of an MR, by pydicom alone."""
    path = Path(pydicom.data.get_testdata_file("MR_small.dcm"))
    data = pydicom.dcmread(path)
    stored = data.pixel_array.astype(float)
    shades = ((stored - (data.WindowCenter - 0.5)) / (data.WindowWidth - 1) + 0.5).clip(0, 1) * 255
    assert np.abs(read_image(path)[..., 1] - shades).max() <= 0.5001


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.10008.55", "1.2.840.10008.264", "scan.dcm", "scan.ima"])
def test_a_dicom_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = _dicom(tmp_path / name, [0, 2048, 4095])
    assert kind_of(path) is Kind.PICTURE
    with PictureReader(path, Fraction(25)) as reader:
        assert [frame.image[0, :, 0].tolist() for frame in reader.frames()] == [[0, 128, 255]]
    (picture,) = read_pictures(*plan_sources([path]), None)
    assert picture.image[0, :, 0].tolist() == [0, 128, 255]


def test_a_folder_of_a_machine_and_a_phone_without_endings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["IM000001", "IM000002", "photo"]
    for name in names[:2]:
        _dicom(tmp_path / name, np.full((64, 96), 200, np.uint8), bits=8)
    _heic(tmp_path / "photo", _corners())
    (tmp_path / "LIESMICH").write_text("a line of text\n" * 50)
    said = f"not used from the folder {tmp_path}: 1 other file (LIESMICH)"
    (job,) = plan_jobs([tmp_path], None, AnnotateOptions())
    assert job.source == tmp_path
    assert [path.name for path in plan_sources([tmp_path])] == names
    assert caplog.messages == [said, said]
    with PictureReader(tmp_path, Fraction(25)) as reader:
        assert [frame.image[8, 8, 2] > 190 for frame in reader.frames()] == [True] * 3
        assert not reader.loss


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert kind_of(tmp_path / "pipe") is Kind.OTHER


def test_a_series_has_one_brightness(tmp_path: Path) -> None:
    for index, greatest in enumerate((300, 4000)):
        _dicom(tmp_path / f"{index}.dcm", [0, greatest])
    with PictureReader(tmp_path, Fraction(25)) as reader:
        assert [frame.image[0, :, 0].tolist() for frame in reader.frames()] == [[0, 300 >> 4], [0, 4000 >> 4]]


def _plan(path: Path) -> None:
    """A file that says how a patient is to be treated: DICOM, without pixels."""
    _dicom(path, [0, 1])
    data = pydicom.dcmread(path)
    del data.PixelData
    data.save_as(path)


def _compressed(path: Path) -> None:
    _dicom(path, [0, 1])
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 not a picture \xff\xd9"])
    data.save_as(path)


def _cut(path: Path) -> None:
    _dicom(path, np.zeros((50, 50), np.uint16))
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_plan, "this DICOM file has no picture in it"),
        (
            _compressed,
            "it is compressed as JPEG Extended (Process 2 and 4), which what is installed does not read: pip",
        ),
        (_cut, "it is not a DICOM picture that can be read ("),
        (lambda path: path.write_bytes(bytes(128) + b"DICM"), "this DICOM file has no picture in it"),
        (lambda path: path.write_bytes(bytes(128) + b"DICM nonsense"), "this DICOM file has no picture in it"),
    ],
)
def test_what_is_no_dicom_picture(tmp_path: Path, make: Any, reason: str) -> None:
    make(tmp_path / "a.dcm")
    with pytest.raises(SourceError) as caught:
        read_image(tmp_path / "a.dcm")
    assert str(caught.value).startswith(f"cannot read {tmp_path / 'a.dcm'}: {reason}")
    assert "\n" not in str(caught.value)


# --- HEIC ---------------------------------------------------------------------------------------------------------


def _heic(path: Path, image: np.ndarray, mode: str = "BGR", **options: Any) -> Path:
    """Saves a picture, uint8 or uint16, as HEIC of the best quality."""
    file = pillow_heif.from_bytes(mode, image.shape[1::-1], np.ascontiguousarray(image).tobytes())
    file.save(path, quality=100, **options)
    return path


def _corners(height: int = 64, width: int = 96) -> np.ndarray:
    """Red, green, blue and white corners."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2], image[: height // 2, width // 2 :] = (0, 0, 220), (0, 200, 0)
    image[height // 2 :, : width // 2], image[height // 2 :, width // 2 :] = (220, 0, 0), (240, 240, 240)
    return image


def test_a_photograph_of_a_phone(tmp_path: Path, coffee: np.ndarray) -> None:
    image = read_image(_heic(tmp_path / "IMG_0001.HEIC", coffee))
    assert image.shape == coffee.shape
    assert np.abs(image.astype(int) - coffee).mean() < 3
    image[:] = 0  # an overlay is drawn into it


def test_it_is_turned_as_it_says(tmp_path: Path) -> None:
    """Phones turn HEIC by a property of the picture, which their EXIF only repeats: it is applied once."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = _heic(tmp_path / "a.heic", _corners(), exif=exif.tobytes())
    assert b"irot" in path.read_bytes()
    image, expected = read_image(path), np.rot90(_corners(), -1)
    assert image.shape == expected.shape
    assert np.abs(image[8::16, 8::16].astype(int) - expected[8::16, 8::16]).max() < 12


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 2] = 200
    pixels[:, :32, 3] = 255
    image = read_image(_heic(tmp_path / "a.heif", pixels, "BGRA"))
    assert np.abs(image[32, [8, 56]].astype(int) - [(0, 0, 200), (255, 255, 255)]).max() < 12


def test_ten_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = read_image(_heic(tmp_path / "a.heic", _corners().astype(np.uint16) << 8, "BGR;16"))
    assert image.dtype == np.uint8
    assert np.abs(image[8::16, 8::16].astype(int) - _corners()[8::16, 8::16]).max() < 12
    assert caplog.messages == []


def test_what_is_no_heic_picture(tmp_path: Path) -> None:
    path = _heic(tmp_path / "a.heic", _corners())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match=r"cannot read .*a\.heic: it is not a HEIC picture that can be read \("):
        read_image(path)


def test_avif_is_read_without_the_package(tmp_path: Path) -> None:
    done, encoded = cv2.imencode(".avif", _corners())
    assert done
    (tmp_path / "a.avif").write_bytes(encoded.tobytes())
    image = read_image(tmp_path / "a.avif")
    assert np.abs(image[8::16, 8::16].astype(int) - _corners()[8::16, 8::16]).max() < 12


def test_a_folder_of_both(tmp_path: Path) -> None:
    _heic(tmp_path / "a.heic", _corners())
    _dicom(tmp_path / "b.dcm", np.full((64, 96), 200, np.uint8), bits=8)
    with PictureReader(tmp_path, Fraction(25)) as reader:
        first, second = (frame.image for frame in reader.frames())
        assert not reader.loss
    assert np.abs(first[8, 8].astype(int) - (0, 0, 220)).max() < 12
    assert (second == 200).all()


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_explain_reads_them(tmp_path: Path, coffee: np.ndarray) -> None:
    heic = _heic(tmp_path / "cup.heic", coffee)
    dicom = _dicom(tmp_path / "cup.dcm", np.ascontiguousarray(coffee[..., ::-1]), kind="RGB", bits=8)
    finished = run("explain", heic, dicom, "--json", "-", *AT_ONCE)
    assert (finished.code, finished.err) == (0, "")
    for record in json.loads(finished.out):
        assert record["predictions"][0]["label"] == "espresso"


def _without(package: str, *arguments: Any) -> Finished:
    """Run the command line where a package is missing; the last line of its output is whether TensorFlow is loaded."""
    program = (
        f"import sys; sys.modules[{package!r}] = None; from live_gradcam.cli import main\n"
        "try: main()\n"
        "finally: print('tensorflow' in sys.modules)"
    )
    return run_program(program, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "in_a_folder"),
    [("explain", False), ("evaluate", False), ("annotate", False), ("evaluate", True), ("annotate", True)],
)
@pytest.mark.parametrize(("package", "extra", "kind"), [("pydicom", "dicom", "DICOM"), ("pillow_heif", "heic", "HEIC")])
def test_what_to_install_is_said_at_once(
    tmp_path: Path, command: str, package: str, extra: str, kind: str, in_a_folder: bool
) -> None:
    path = tmp_path / "shots" / f"a.{extra}"
    path.parent.mkdir()
    if extra == "dicom":
        _dicom(path, [0, 1])
    else:
        _heic(path, _corners())
    options = (
        [] if command == "evaluate" else ["-o", tmp_path / "out.png" if command == "explain" else tmp_path / "o.mp4"]
    )
    finished = _without(package, command, path.parent if in_a_folder else path, *options)
    assert finished.code == 1
    assert finished.out.splitlines() == ["False"]
    said = f"live-gradcam: {path} is a {kind} picture: pip install 'live-gradcam[{extra}]' to read it\n"
    assert finished.err == said
    assert [found.name for found in tmp_path.iterdir()] == ["shots"]
