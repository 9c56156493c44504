"""A command that is a fork of a process with the large libraries answers as one that is really started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import Finished, finish, run, start
from forked import IS_POSSIBLE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not IS_POSSIBLE, reason="commands are not forked here")]


def really_run(*arguments: Any, **changes: str) -> Finished:
    return finish(start(*arguments, **changes))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["explain", "--help"], 0),
        (["models"], 0),
        (["live", "nothing.mp4", "--headless"], 1),
        (["explain", "grey.png", "-m", "no.keras"], 1),
        (["explain", "--fit", "squash", "x.png"], 2),
        (["nonsense"], 2),
    ],
)
def test_the_answer_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((8, 8, 3), 128, np.uint8))
    monkeypatch.chdir(tmp_path)
    forked, started = run(*arguments, COLUMNS="70"), really_run(*arguments, COLUMNS="70")
    assert forked == started
    assert forked.code == code
    assert (forked.out == "") == bool(code)


def test_so_are_the_numbers_and_the_picture(tmp_path: Path, chelsea: np.ndarray, quick_network: list[str]) -> None:
    cv2.imwrite(str(tmp_path / "chelsea.png"), chelsea)
    answers = []
    for name, command in (("forked", run), ("started", really_run)):
        flags = ("--tune", "off", "--json", "-", "-o", tmp_path / f"{name}.png")
        answers.append(command("explain", tmp_path / "chelsea.png", *quick_network, *flags))
    assert answers[0] == answers[1]
    assert (answers[0].code, answers[0].err) == (0, "")
    assert json.loads(answers[0].out)["predictions"]
    assert (tmp_path / "forked.png").read_bytes() == (tmp_path / "started.png").read_bytes()


def test_the_compilers_flags_are_those_of_the_command(
    tmp_path: Path, chelsea: np.ndarray, quick_network: list[str]
) -> None:
    """TensorFlow was imported before they were set. It reads them when it first asks for its devices."""
    cv2.imwrite(str(tmp_path / "chelsea.png"), chelsea)
    command: list[Any] = ["explain", tmp_path / "chelsea.png", "--tune", "off", "--json", "-", *quick_network]
    dumped = {"XLA_FLAGS": f"--xla_dump_to={tmp_path / 'dump'}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert run(*command, **dumped).code == 0
    assert list((tmp_path / "dump").glob("*after_optimizations*"))
    assert list((tmp_path / "cache").glob("live-gradcam/compiled-*/*.pb"))  # where TF_XLA_FLAGS has them

    forked, started = (way(*command, XLA_FLAGS="--no_such_flag") for way in (run, really_run))
    assert (forked.code, started.code) == (1, 1)  # XLA ends the process for it
