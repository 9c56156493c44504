"""Still pictures as a video, and a video as a folder of still pictures."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_files import number_of, numbered

from live_gradcam.errors import OutputError, SourceError
from live_gradcam.sinks.folder import PNG, FolderWriter
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.image import read_image
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.pictures import PictureReader, is_pattern, pictures_of

_RATE = Fraction(10)


def _fill(folder: Path, names: Sequence[str]) -> Path:
    """One picture a name, numbered from 0 on."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        write_image(folder / name, numbered(number))
    return folder


def _read(
    path: Path, rate: Fraction = _RATE, start: Fraction | None = None, end: Fraction | None = None
) -> tuple[list[tuple[int, int, Fraction]], Loss]:
    """Number, index and time of each frame."""
    with PictureReader(path, rate) as reader:
        frames = [(number_of(f.image), f.index, f.pts) for f in reader.frames(start=start, end=end)]
        return frames, reader.loss


# --- read ---------------------------------------------------------------------------------------------------------


def test_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    write_image(path, numbered(77))
    with PictureReader(path, Fraction(25)) as reader:
        (frame,) = reader.frames()
        assert np.array_equal(frame.image, numbered(77))
        assert (frame.index, frame.pts) == (0, 0)
        assert (reader.path, reader.frame_rate, reader.time_base) == (path, 25, Fraction(1, 25))
        assert (reader.expected_frames, reader.begin, reader.duration) == (1, 0, 0.04)
        assert (reader.others, dict(reader.metadata), reader.chapters, reader.hdr) == ((), {}, (), None)
        assert reader.key_times(None) is None
        assert list(reader.other_packets(None, None)) == []
        assert not reader.loss


def test_a_folder_comes_by_name(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "shots", ["a.png", "b.jpg", "c.BMP", "d.webp", "e.tiff"])
    (folder / "b.txt").write_text("not a picture")
    (folder / ".png").write_text("nor this")
    (folder / "sub").mkdir()
    frames, loss = _read(folder)
    assert frames == [(i, i, i / _RATE) for i in range(5)]
    assert not loss


def test_a_folder_with_the_ending_of_a_picture_is_none(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "shots", ["1.png", "3.png"])
    (folder / "2.png").mkdir()
    frames, loss = _read(folder)
    assert [number for number, _, _ in frames] == [0, 1]
    assert not loss


def test_a_pattern_comes_by_number_over_gaps_and_beyond_its_width(tmp_path: Path) -> None:
    names = ["7.png", "0008.png", "0010.png", "9999.png", "10000.png", "123456.png"]
    folder = _fill(tmp_path / "shots", names)
    for other in ("x0009.png", "0009.png.bak", "0009.jpg", "abcd.png", "-009.png"):
        write_image(folder / "other.png", numbered(200))
        os.replace(folder / "other.png", folder / other)
    for pattern in ("%04d.png", "%d.png", "%4d.png"):
        frames, loss = _read(folder / pattern)
        assert frames == [(i, i, i / _RATE) for i in range(6)], pattern
        assert not loss


@pytest.mark.parametrize("name", ["shot [%03d] (a+b).png", "50%%d.png", "^%02d$.png"])
def test_patterns_are_taken_by_the_letter(tmp_path: Path, name: str) -> None:
    folder = _fill(tmp_path / "shots", [name.replace("%02d", "%d").replace("%03d", "%d").replace("%d", "5", 1)])
    frames, _ = _read(folder / name)
    assert [number for number, _, _ in frames] == [0]


def test_what_is_called_like_a_pattern_but_exists_is_a_picture(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "shots", ["50%d.png", "501.png"])
    assert not is_pattern(folder / "50%d.png")
    assert _read(folder / "50%d.png")[0] == [(0, 0, Fraction(0))]
    assert is_pattern(folder / "60%d.png")
    assert not is_pattern(folder / "100%.png")


def test_pictures_by_their_ending() -> None:
    assert all(kind_of(Path(name)) is Kind.PICTURE for name in ("a.png", "b.JPEG", "c.d.tif", "x/y.webp"))
    assert not any(kind_of(Path(name)) is Kind.PICTURE for name in ("a.gif", "b.mp4", "png", ".png", "c.png.txt"))


def test_unreadable_pictures_are_left_out_and_named_and_keep_their_time(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "shots", [f"{i}.png" for i in range(8)])
    (folder / "2.png").write_text("not a picture")
    (folder / "5.png").write_bytes((folder / "5.png").read_bytes()[:60])
    frames, loss = _read(folder)
    left = [0, 1, 3, 4, 6, 7]
    assert frames == [(number, index, number / _RATE) for index, number in enumerate(left)]
    assert loss == Loss(2, 0.0, pictures="2.png, 5.png")
    assert str(loss) == "2 pictures cannot be read (2.png, 5.png)"


def test_pictures_a_second_and_spans(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "shots", [f"{i:02d}.png" for i in range(12)])
    rate = Fraction(30_000, 1001)
    with PictureReader(folder, rate) as reader:
        assert (reader.frame_rate, reader.time_base) == (rate, 1 / rate)
        assert reader.duration == pytest.approx(12 * 1001 / 30_000, abs=1e-12)
        assert [frame.pts for frame in reader.frames()] == [i / rate for i in range(12)]
    for start, end, numbers in [
        (None, Fraction(3, 10), range(3)),
        (Fraction(3, 10), None, range(3, 12)),
        (Fraction(31, 100), Fraction(71, 100), range(4, 8)),
        (Fraction(5), None, range(0)),
    ]:
        frames, loss = _read(folder, start=start, end=end)
        assert frames == [(number, index, number / _RATE) for index, number in enumerate(numbers)]
        assert not loss


@pytest.mark.parametrize("name", ["nothing.png", "empty", "empty/%04d.png", "nowhere/%04d.png", "nowhere"])
def test_no_pictures(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as caught:
        pictures_of(tmp_path / name)
    assert str(caught.value) == f"there are no pictures {tmp_path / name}"


@pytest.mark.parametrize("name", ["*.png", "00?.png"])
def test_a_star_is_told_to_be_a_folder_or_numbers(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        pictures_of(tmp_path / name)
    assert str(caught.value) == (
        f"there are no pictures {tmp_path / name}: give the folder {tmp_path}, or numbered ones as "
        f"{tmp_path / '%02d.png'}"
    )


# --- written ------------------------------------------------------------------------------------------------------


def _noise(seed: int, height: int = 33, width: int = 47) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_folder_of_pictures_is_exact(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1001, 30_000), Fraction(1, 3), Fraction(1_000_000, 3)]
    writer = FolderWriter(tmp_path / "out")
    for seed, time in enumerate(times):
        writer.write(_noise(seed), time)
    assert writer.frames_written == 4
    writer.finish('{"a": "ü"}')
    names = [f"{index:06d}.png" for index in range(4)]
    assert sorted(os.listdir(tmp_path / "out")) == [*names, "frames.csv", "provenance.json"]
    for seed, name in enumerate(names):
        np.testing.assert_array_equal(read_image(tmp_path / "out" / name), _noise(seed))
    with (tmp_path / "out" / "frames.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    seconds = ["0.000000", "0.033367", "0.333333", "333333.333333"]
    assert rows == [["file", "time"], *([name, time] for name, time in zip(names, seconds, strict=True))]
    assert PNG.read_statement(tmp_path / "out") == '{"a": "ü"}'


def test_a_written_folder_is_read_again(tmp_path: Path) -> None:
    with FolderWriter(tmp_path / "out") as writer:
        for number in range(5):
            writer.write(numbered(number), number / _RATE)
    assert _read(tmp_path / "out")[0] == [(i, i, i / _RATE) for i in range(5)]


def test_an_exception_leaves_the_folder_that_was_there(tmp_path: Path) -> None:
    _fill(tmp_path / "out", ["old.png"])

    def interrupted() -> None:
        with FolderWriter(tmp_path / "out") as writer:
            writer.write(numbered(1), Fraction(0))
            assert (tmp_path / "out.part" / "000000.png").exists()
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["old.png"]


def test_a_folder_is_replaced_when_the_new_one_is_finished(tmp_path: Path) -> None:
    _fill(tmp_path / "out", ["old.png"])
    with FolderWriter(tmp_path / "out") as writer:
        writer.write(numbered(1), Fraction(0))
        assert os.listdir(tmp_path / "out") == ["old.png"]
    assert os.listdir(tmp_path) == ["out"]
    assert sorted(os.listdir(tmp_path / "out")) == ["000000.png", "frames.csv"]


def test_what_an_interrupted_run_left_does_not_get_in(tmp_path: Path) -> None:
    _fill(tmp_path / "out.part", ["000007.png"])
    with FolderWriter(tmp_path / "out") as writer:
        writer.write(numbered(1), Fraction(0))
    assert sorted(os.listdir(tmp_path / "out")) == ["000000.png", "frames.csv"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "out"
    with pytest.raises(OutputError) as caught:
        FolderWriter(path)
    assert str(caught.value) == f"cannot write {path}: No such file or directory"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "out")
    (tmp_path / "out.part" / "000000.png").symlink_to("/dev/full")
    with pytest.raises(OutputError) as caught:
        writer.write(numbered(0), Fraction(0))
    message = str(caught.value)
    assert message.endswith("No space left on device")
    assert "\n" not in message
    writer.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_disk_that_is_full_when_the_times_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    writer = FolderWriter(path)
    writer.write(numbered(0), Fraction(0))
    writer._times.close()
    writer._times = open("/dev/full", "w")  # noqa: SIM115 – what the writer closes
    writer._times.write("file,time\n")
    with pytest.raises(OutputError) as caught:
        writer.finish()
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert os.listdir(tmp_path) == []
