"""A command that was run before starts without Keras, and with OpenVINO without TensorFlow, and gives the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import SECONDS, environment, run

#: The command line, which says at its end what was imported.
_PROGRAM = """
import atexit, sys
atexit.register(lambda: print("imported", *sorted({"tensorflow", "keras"} & {*sys.modules}), file=sys.stderr))
from live_gradcam.cli import main
main()
"""


@pytest.fixture
def picture(tmp_path: Path, chelsea: np.ndarray) -> Path:
    cv2.imwrite(str(tmp_path / "cat.png"), chelsea[::2, ::2])
    return tmp_path / "cat.png"


def run_alone(*arguments: object, **changes: str) -> tuple[str, str]:
    """What a command prints to stdout and stderr, in a process that has imported nothing before."""
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(**changes),
        timeout=SECONDS,
        check=True,
    )
    return finished.stdout, finished.stderr


def numbers_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "imported"), [("openvino", "imported\n"), ("xla", "imported tensorflow\n")])
def test_explain_gives_the_same(
    tmp_path: Path, picture: Path, quick_network: list[str], engine: str, imported: str
) -> None:
    explain = ["explain", picture, "--engine", engine, *quick_network]
    first = run(*explain, "--json", "-", "-o", tmp_path / "first.png", XDG_CACHE_HOME=str(tmp_path))
    out, err = run_alone(*explain, "--json", "-", "-o", tmp_path / "second.png", XDG_CACHE_HOME=str(tmp_path))
    assert err == imported
    assert json.loads(out) == json.loads(first.out)
    assert (tmp_path / "second.png").read_bytes() == (tmp_path / "first.png").read_bytes()


@pytest.mark.slow
def test_annotate_gives_the_same(tmp_path: Path, picture: Path, quick_network: list[str]) -> None:
    annotate = ["annotate", picture, "--engine", "openvino", *quick_network]
    run(*annotate, "-o", tmp_path / "first.mp4", "--jsonl", tmp_path / "first.jsonl", XDG_CACHE_HOME=str(tmp_path))
    _, err = run_alone(
        *annotate, "-o", tmp_path / "second.mp4", "--jsonl", tmp_path / "second.jsonl", XDG_CACHE_HOME=str(tmp_path)
    )
    assert err.splitlines()[-1] == "imported"
    assert numbers_of(tmp_path / "second.jsonl") == numbers_of(tmp_path / "first.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["bench", "--frames", "2", "--size", "96x96"], ["live", "PICTURE", "--headless", "--max-frames", "2"]],
    ids=lambda command: command[0],
)
def test_the_other_commands(tmp_path: Path, picture: Path, quick_network: list[str], command: list[str]) -> None:
    arguments = [str(picture) if one == "PICTURE" else one for one in command]
    arguments += ["--engine", "openvino", *quick_network]
    assert run(*arguments, XDG_CACHE_HOME=str(tmp_path)).code == 0
    _, err = run_alone(*arguments, XDG_CACHE_HOME=str(tmp_path))
    assert err.splitlines()[-1] == "imported"


@pytest.mark.slow
def test_threads_are_heeded_and_what_is_missing_is_built(
    tmp_path: Path, picture: Path, quick_network: list[str]
) -> None:
    explain = ["explain", picture, "--engine", "openvino", "--threads", "1", "--json", "-", *quick_network]
    first = run(*explain, XDG_CACHE_HOME=str(tmp_path))
    out, err = run_alone(*explain, XDG_CACHE_HOME=str(tmp_path))
    assert (json.loads(out), err) == (json.loads(first.out), "imported\n")
    _, err = run_alone(*explain, "--method", "hirescam", XDG_CACHE_HOME=str(tmp_path))
    assert err == "imported keras tensorflow\n"
