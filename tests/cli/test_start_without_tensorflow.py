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

from live_gradcam import SessionOptions
from live_gradcam.serving.explaining.worker import Worker
from live_gradcam.serving.options import ViewerOptions

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


#: A worker of the page. It says what is imported at its first answer; then it is asked for another method, and explains
#: frames until it has it.
_WORKER = """
import json, sys
from pathlib import Path
from live_gradcam import SessionOptions
from live_gradcam.serving.explaining.worker import Worker
from live_gradcam.serving.messages import FrameBytes, parse_answer
from live_gradcam.serving.options import ViewerOptions

def imported():
    return sorted({"tensorflow", "keras"} & {*sys.modules})

def method():
    return parse_answer(worker.explain("somebody", frame).answer).facts["method"]

model, labels, picture = sys.argv[1:]
worker = Worker(SessionOptions(model, labels=labels, fit="stretch", engine="openvino"), ViewerOptions())
worker.start()
worker.open("somebody")
frame = worker.decode(FrameBytes(1, 0, 0.0, Path(picture).read_bytes()))
methods, at_first, meanwhile = [method()], imported(), 0
worker.command("somebody", "method", "hirescam")
while method() == methods[0]:
    meanwhile += 1
methods.append(method())
print(json.dumps({"at first": at_first, "methods": methods, "then": imported(), "meanwhile": meanwhile > 0}))
worker.stop()
"""


@pytest.mark.slow
def test_a_worker_of_the_page_goes_on_while_it_builds(
    tmp_path: Path, picture: Path, quick_network: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model, _, labels, *_ = quick_network
    jpeg = picture.with_suffix(".jpg")
    cv2.imwrite(str(jpeg), cv2.imread(str(picture)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = Worker(SessionOptions(model, labels=labels, fit="stretch", engine="openvino"), ViewerOptions())
    before.start()
    before.stop()
    finished = subprocess.run(
        [sys.executable, "-c", _WORKER, model, labels, str(jpeg)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=SECONDS,
        check=True,
    )
    assert json.loads(finished.stdout) == {
        "at first": [],
        "methods": ["grad-cam", "hirescam"],
        "then": ["keras", "tensorflow"],
        "meanwhile": True,
    }
