"""Ctrl-C, SIGTERM and kill -9 in the middle of a recording, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Running, finish
from fake_engine import start_fake, statement_of
from video_files import make_video, number_of, numbered

from live_gradcam.sources.reader import VideoReader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs signals and /proc"),
]

FRAMES, RATE = 600, 25
#: So slow that a command is interrupted in its middle; all of it takes three seconds.
SLOW = 0.005
NUMBERS = ("n.jsonl", "n.csv", "n.npz", "n.png")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four seconds, with sound and a key frame every two."""
    images = [numbered(index % 256, width=48) for index in range(FRAMES)]
    path = tmp_path_factory.mktemp("source") / "in.mp4"
    seconds = FRAMES / RATE
    return make_video(
        path, images, codec_options={"g": "50", "sc_threshold": "0"}, audio_codec="aac", audio_seconds=seconds
    )


def arguments(folder: Path, source: Path, output: str, *more: object) -> list[object]:
    lines, table, maps, sheet = (folder / name for name in NUMBERS)
    numbers = ["--jsonl", lines, "--csv", table, "--heatmaps", maps, "--contact-sheet", sheet]
    return ["annotate", source, "-o", folder / output, "--view", "raw", *numbers, *more]


def wait_for(condition: Callable[[], object], process: Running) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_content(path: Path) -> Callable[[], bool]:
    return lambda: path.exists() and path.stat().st_size > 0


def living(session: int) -> list[int]:
    """The processes of a session that are not dead."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:  # it has just ended
                continue
            if int(its_session) == session and state not in "ZX":
                found.append(int(entry.name))
    return found


def assert_all_end(process: Running) -> None:
    """The processes that a command started end soon after it."""
    deadline = time.monotonic() + 20
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert living(process.pid) == []


def workers_of(process: Running) -> list[int]:
    """The worker processes of a command."""
    return [
        number
        for number in living(process.pid)
        if number != process.pid and b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()
    ]


def count_of_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def assert_cut_short(folder: Path, output: str) -> int:
    """The output can be played, says that it is not complete, and the numbers are those of its frames."""
    made = json.loads(statement_of(folder / output) or "")
    assert made["complete"] is False
    if output == "out":
        written = len(list((folder / "out").glob("*.png")))
    else:
        with VideoReader(folder / output) as reader:
            numbers = [number_of(frame.image) for frame in reader.frames()]
            assert not reader.loss
        assert numbers == [index % 256 for index in range(len(numbers))]
        written = len(numbers)
    assert 0 < written < FRAMES
    records = [json.loads(line) for line in (folder / "n.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["frame"] for record in records] == list(range(written))
    assert count_of_lines(folder / "n.csv") == 1 + written
    with np.load(folder / "n.npz") as archive:
        assert archive["frame"].tolist() == list(range(written))
    assert (folder / "n.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir(folder)) == sorted([output, *NUMBERS])
    return written


@pytest.mark.parametrize(
    ("number", "output"),
    [(signal.SIGINT, "out.mp4"), (signal.SIGTERM, "out.mkv"), (signal.SIGHUP, "out.gif"), (signal.SIGTERM, "out")],
)
def test_what_is_explained_so_far_is_finished(
    tmp_path: Path, source: Path, number: signal.Signals, output: str
) -> None:
    png = ["--codec", "png"] if output == "out" else []
    process = start_fake(*arguments(tmp_path, source, output, "--json", "-", *png), seconds=SLOW)
    wait_for(has_content(tmp_path / "n.jsonl.part"), process)
    process.send_signal(number)
    finished = finish(process)
    no_sound = f"{source}: audio aac does not fit into"
    assert finished.code == 130
    assert [no_sound in line for line in finished.err.splitlines()] == [True] * (output in ("out.gif", "out"))
    written = assert_cut_short(tmp_path, output)
    report = json.loads(finished.out)
    (file,) = report["files"]
    assert (report["stopped"], file["status"], file["frames"], file["explained"]) == (True, "stopped", written, written)


def test_the_rest_of_a_batch_is_not_begun(tmp_path: Path, source: Path) -> None:
    short = make_video(tmp_path / "short.mp4", [numbered(0, width=48)] * 3)
    out = tmp_path / "out"
    process = start_fake("annotate", short, source, short, "-o", out, seconds=SLOW)
    assert "several outputs" in finish(process).err
    process = start_fake("annotate", source, short, "-o", out, "--jsonl", out, seconds=SLOW)
    wait_for(has_content(out / "in.jsonl.part"), process)
    process.send_signal(signal.SIGINT)
    finished = finish(process)
    assert (finished.code, finished.err) == (130, "")
    assert sorted(os.listdir(out)) == ["in-gradcam.mp4", "in.jsonl"]
    process = start_fake("annotate", source, short, "-o", out, "--jsonl", out, "--resume")
    assert (finish(process).code, count_of_lines(out / "in.jsonl")) == (0, FRAMES)
    assert sorted(os.listdir(out)) == ["in-gradcam.mp4", "in.jsonl", "short-gradcam.mp4", "short.jsonl"]


def test_a_second_ctrl_c_interrupts_at_once_and_leaves_nothing(tmp_path: Path, source: Path) -> None:
    process = start_fake(*arguments(tmp_path, source, "out.mp4"), seconds=2)
    wait_for((tmp_path / "out.mp4.part").exists, process)
    for _ in range(2):
        time.sleep(0.3)  # the second frame, which is in hand, takes longer
        process.send_signal(signal.SIGINT)
    finished = finish(process)
    assert (finished.code, finished.err) == (130, "")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_what_is_killed_leaves_nothing_that_looks_finished_and_is_begun_again(
    tmp_path: Path, source: Path, workers: list[object]
) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    command = arguments(out, source, "out.mp4", *workers)
    process = start_fake(*command, seconds=SLOW, scratch=scratch)
    parts = out / "out.mp4.parts"
    wait_for(
        (lambda: parts.exists() and any(parts.iterdir())) if workers else has_content(out / "n.jsonl.part"), process
    )
    process.kill()
    process.wait()
    left = sorted(os.listdir(out))
    assert left
    assert all(name.endswith((".part", ".parts")) for name in left)
    assert_all_end(process)
    process.communicate()
    assert os.listdir(scratch) == []
    finished = finish(start_fake(*command, "--resume", "--json", "-", scratch=scratch))
    assert (finished.code, finished.err) == (0, "")
    assert json.loads(finished.out)["files"][0]["frames"] == FRAMES
    assert sorted(os.listdir(out)) == sorted(["out.mp4", *NUMBERS])
    assert os.listdir(scratch) == []
    assert json.loads(statement_of(out / "out.mp4") or "")["complete"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_segments_are_joined_as_far_as_they_are_done(
    tmp_path: Path, source: Path, number: signal.Signals
) -> None:
    """The signal goes to all processes, as from a terminal, or from `timeout`."""
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    process = start_fake(
        *arguments(out, source, "out.mp4", "--workers", 2, "--json", "-"), seconds=2 * SLOW, scratch=scratch
    )
    wait_for(lambda: (out / "out.mp4.parts").exists() and any((out / "out.mp4.parts").iterdir()), process)
    assert len(workers_of(process)) == 2
    os.killpg(process.pid, number)
    finished = finish(process)
    assert (finished.code, finished.err) == (130, "")
    written = assert_cut_short(out, "out.mp4")
    assert json.loads(finished.out)["files"][0]["frames"] == written
    assert written % 50 == 0  # up to a key frame
    assert_all_end(process)
    assert os.listdir(scratch) == []
    with VideoReader(out / "out.mp4") as reader:
        packets = list(reader.other_packets(None, None))
        sound = [float(packet.pts * packet.time_base) for packet in packets]
    assert max(sound) == pytest.approx(written / RATE, abs=0.03)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.6])
def test_a_signal_while_workers_start_leaves_nothing(
    tmp_path: Path, source: Path, seconds: float, number: signal.Signals
) -> None:
    process = start_fake(*arguments(tmp_path, source, "out.mp4", "--workers", 2), seconds=0.1)
    wait_for(lambda: workers_of(process), process)
    time.sleep(seconds)
    os.killpg(process.pid, number)
    finished = finish(process)
    assert (finished.code, finished.out, finished.err) == (130, "", "")
    assert os.listdir(tmp_path) == []
    assert_all_end(process)


def test_a_second_ctrl_c_ends_workers_at_once(tmp_path: Path, source: Path) -> None:
    """It comes while their ends are waited for: each has a frame in hand that takes half a minute."""
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    process = start_fake(*arguments(out, source, "out.mp4", "--workers", 2), seconds=30, scratch=scratch)
    wait_for(lambda: len(workers_of(process)) == 2, process)
    time.sleep(2)
    begun = time.monotonic()
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(1)
    finished = finish(process)
    assert (finished.code, finished.err) == (130, "")
    assert time.monotonic() - begun < 10
    assert_all_end(process)
    assert os.listdir(out) == []
    assert os.listdir(scratch) == []


def test_a_worker_that_dies_is_told_in_a_line(tmp_path: Path, source: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    process = start_fake(*arguments(out, source, "out.mp4", "--workers", 2), seconds=SLOW, scratch=scratch)
    wait_for(lambda: (out / "out.mp4.parts").exists() and len(workers_of(process)) == 2, process)
    os.kill(workers_of(process)[-1], signal.SIGKILL)
    finished = finish(process)
    assert finished.code == 1
    assert finished.err == (
        "live-gradcam: a worker process died, perhaps because the memory was full: try fewer --workers. "
        "Finished files are kept\n"
    )
    assert os.listdir(out) == []
    assert os.listdir(scratch) == []
    assert_all_end(process)
