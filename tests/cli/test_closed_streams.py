"""Commands whose stdin, stdout or stderr is closed, full, or read by nobody any more."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from live_gradcam.cli.terminal import complain
from live_gradcam.errors import did_you_mean
from tests.command_line import environment, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams and pipes are another thing there")
LIST = [sys.executable, "-m", "live_gradcam", "models"]


def in_shell(command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(**changes))


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_closed_stream_stops_nothing(closed: str) -> None:
    finished = in_shell(f"{shlex.join(LIST)} {closed}")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "MobileNetV2" in finished.stdout


def test_a_closed_stdout_is_no_traceback() -> None:
    finished = in_shell(f"{shlex.join(LIST)} >&-")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_an_error_does_not_go_to_stdout_where_stderr_is_closed() -> None:
    finished = in_shell(f"{shlex.join([*LIST, '-m', 'nonesuch'])} 2>&-")
    assert (finished.returncode, finished.stdout) == (2, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_line_that_finds_no_room_is_no_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(full, write_through=True))
        complain("something is wrong")


@pytest.mark.slow
def test_who_reads_no_further_is_told_nothing(tmp_path: Path, quick_network: list[str]) -> None:
    """The pipe is closed before anything is written. A table goes there in one piece, and is gone from the buffer."""
    command = shlex.join([sys.executable, "-m", "live_gradcam", "layers", *quick_network[:2]])
    finished = in_shell(f"(sleep 1; {command}; echo $? > {tmp_path / 'code'}) | true")
    assert finished.stderr == ""
    assert (tmp_path / "code").read_text() == "1\n"


def test_a_width_of_0_is_a_width_that_nobody_knows() -> None:
    finished = in_shell(f"{shlex.join(LIST)} --nonesuch", COLUMNS="0")
    assert finished.returncode == 2
    assert "No such option: --nonesuch" in finished.stderr


@pytest.mark.slow
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, quick_network: list[str]) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for command in ("explain", "evaluate"):
        finished = run(command, pipe, *quick_network)
        assert (finished.code, finished.err) == (1, f"live-gradcam: cannot read {pipe}: it is not a file\n")
    picture, null = tmp_path / "a.png", os.devnull
    picture.write_bytes(b"")
    finished = run("explain", picture, "-o", null, *quick_network)
    assert finished.err == f"live-gradcam: {null} is no file: give the name of a picture, such as cup-map.png\n"
    finished = run("explain", folder, *quick_network)
    assert finished.err == f"live-gradcam: {folder} is a folder: give the pictures in it, such as {folder}/*.png\n"
    assert finished.code == 1


def test_a_name_is_suggested_once() -> None:
    assert did_you_mean("ostrick", ["ostrich", "ostrich", "cat"]) == "; did you mean ostrich?"
