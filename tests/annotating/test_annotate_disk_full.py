"""A disk that fills up: one line, and nothing left."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Running, finish
from fake_engine import start_fake
from small_disk import small_disk
from video_files import make_video, numbered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files"),
]

TOO_LARGE, FULL = "File too large", "No space left on device"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many frames of few bytes."""
    return make_video(tmp_path_factory.mktemp("small") / "in.mp4", [numbered(0, width=48)] * 400)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of noise, with a key frame every second."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    images = [np.roll(noise, 7 * index, axis=1) for index in range(60)]
    path = tmp_path_factory.mktemp("large") / "in.mp4"
    return make_video(path, images, rate=10, codec_options={"g": "10", "sc_threshold": "0"})


def assert_told(folder: Path, process: Running, path: Path, reason: str) -> None:
    finished = finish(process)
    assert finished.code == 1
    assert finished.err == f"live-gradcam: cannot write {path}: {reason}\n"
    assert finished.out == ""
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.webm", "out.gif"])
def test_a_video(tmp_path: Path, large: Path, name: str) -> None:
    output, lines = tmp_path / name, tmp_path / "n.jsonl"
    process = start_fake("annotate", large, "-o", output, "--jsonl", lines, largest_file=60_000)
    assert_told(tmp_path, process, output, TOO_LARGE)


def test_the_last_bytes_of_a_video(tmp_path: Path, small: Path) -> None:
    """The index of an MP4 is written at the end, when there was room for all the pictures."""
    assert finish(start_fake("annotate", small, "-o", tmp_path / "out.mp4")).code == 0
    size = (tmp_path / "out.mp4").stat().st_size
    (tmp_path / "out.mp4").unlink()
    process = start_fake("annotate", small, "-o", tmp_path / "out.mp4", largest_file=size - 10)
    assert_told(tmp_path, process, tmp_path / "out.mp4", TOO_LARGE)


def test_a_folder_of_pictures(tmp_path: Path, large: Path) -> None:
    output = tmp_path / "out"
    process = start_fake("annotate", large, "-o", output, "--codec", "png", largest_file=20_000)
    finished = finish(process)
    assert finished.code == 1
    assert finished.err == f"live-gradcam: cannot write {output}: {TOO_LARGE}\n"
    assert os.listdir(tmp_path) == []


def test_how_a_folder_of_pictures_came_about(tmp_path: Path) -> None:
    """What is written last is larger than the pictures."""
    source = make_video(tmp_path / "in.mp4", [numbered(0, width=16, height=16)] * 2)
    output = tmp_path / "new" / "out"
    process = start_fake("annotate", source, "-o", output, "--codec", "png", "--view", "raw", largest_file=400)
    assert_told(output.parent, process, output, TOO_LARGE)


@pytest.mark.parametrize(
    ("flag", "name", "limit"),
    [
        ("--jsonl", "n.jsonl", 100_000),
        ("--csv", "n.csv", 40_000),
        ("--heatmaps", "n.npz", 40_000),  # while it grows
        ("--heatmaps", "n.zarr", 1_000),
        ("--contact-sheet", "n.png", 40_000),
    ],
)
def test_numbers(tmp_path: Path, small: Path, flag: str, name: str, limit: int) -> None:
    """The video itself is smaller than that."""
    arguments = ["annotate", small, "-o", tmp_path / "out.mp4", "--view", "raw", "--crf", 51]
    if name == "n.zarr":  # a chunk is a file, and the video larger than one
        arguments += ["--end", 0.1]
    process = start_fake(*arguments, flag, tmp_path / name, largest_file=limit)
    if name == "n.zarr":
        finished = finish(process)
        assert (finished.code, len(finished.err.splitlines())) == (1, 1)
        assert TOO_LARGE in finished.err
        assert os.listdir(tmp_path) == []
        return
    assert_told(tmp_path, process, tmp_path / name, TOO_LARGE)


def test_the_summary(tmp_path: Path, small: Path) -> None:
    process = start_fake("annotate", small, "-o", tmp_path / "out.mp4", "--json", "/dev/full")
    finished = finish(process)
    assert finished.code == 1
    assert "/dev/full" in finished.err
    assert len(finished.err.splitlines()) == 1


def size_with_workers(tmp_path: Path, source: Path) -> int:
    output = tmp_path / "whole.mp4"
    assert finish(start_fake("annotate", source, "-o", output, "--workers", 2)).code == 0
    size = output.stat().st_size
    output.unlink()
    return size


def test_joined_segments(tmp_path: Path, large: Path) -> None:
    """There is room for each of them, and not for all in one file."""
    size = size_with_workers(tmp_path, large)
    output, lines = tmp_path / "out.mp4", tmp_path / "n.jsonl"
    process = start_fake(
        *("annotate", large, "-o", output, "--jsonl", lines, "--workers", 2), largest_file=round(0.8 * size)
    )
    assert_told(tmp_path, process, output, TOO_LARGE)


def test_a_segment(tmp_path: Path, large: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    process = start_fake("annotate", large, "-o", out / "out.mp4", "--workers", 2, scratch=scratch, largest_file=20_000)
    finished = finish(process)
    assert finished.code == 1
    assert len(finished.err.splitlines()) == 1
    assert finished.err.startswith("live-gradcam: cannot write ")
    assert finished.err.endswith(f": {TOO_LARGE}\n")
    assert os.listdir(out) == os.listdir(scratch) == []


def test_the_other_files_of_a_batch_are_written(tmp_path: Path, small: Path, large: Path) -> None:
    tiny = tmp_path / "tiny.mp4"
    shutil.copy(small, tiny)
    out = tmp_path / "out"
    process = start_fake("annotate", large, tiny, "-o", out, largest_file=100_000)
    finished = finish(process)
    assert finished.code == 1
    assert finished.err == f"live-gradcam: cannot write {out / 'in-gradcam.mp4'}: {TOO_LARGE}\n"
    assert os.listdir(out) == ["tiny-gradcam.mp4"]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "300k") as folder:
        yield folder


@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_a_small_disk(full: Path, large: Path, workers: list[Any]) -> None:
    output = full / "out.mp4"
    process = start_fake(
        *("annotate", large, "-o", output, "--jsonl", full / "n.jsonl", "--heatmaps", full / "n.npz"),
        *("--contact-sheet", full / "n.png", *workers),
    )
    finished = finish(process)
    assert (finished.code, finished.out) == (1, "")
    assert re.fullmatch(rf"live-gradcam: cannot write {full}/\S+: {FULL}\n", finished.err)
    assert os.listdir(full) == []
