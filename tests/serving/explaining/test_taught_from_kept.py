"""A network that an earlier start has kept is taught as a new one is: it is loaded and built behind the frames."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import SECONDS, environment
from school import School, lesson
from toy_networks import pooled_network

from live_gradcam import SessionOptions
from live_gradcam.attribution.session import loading
from live_gradcam.attribution.session.chosen_engine import ChosenEngine, Way
from live_gradcam.attribution.session.remembered_engines import RememberedEngines

#: A worker in a process that has imported nothing. It says what was imported before the lesson.
_IN_A_PROCESS = """
import json, sys
from live_gradcam import SessionOptions
from school import School, lesson

school = School(SessionOptions(sys.argv[1], engine="auto", fit="stretch"))
school.open("one")
school.show("one", "red")
imported = sorted({"tensorflow", "keras"} & {*sys.modules})
print(json.dumps([imported, lesson(school, "one")]))
school.worker.stop()
"""


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SessionOptions:
    """A network that OpenVINO is to run, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pooled_network("early", "late").save(tmp_path / "toy.keras")
    options = SessionOptions(str(tmp_path / "toy.keras"), engine="auto", fit="stretch")
    key = RememberedEngines().key_of(options)
    assert key is not None
    RememberedEngines().write(key, ChosenEngine(Way("openvino", "f32"), "the fastest here"))
    return options


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["auto", "xla"])
def test_what_is_taught_after_a_second_start_is_what_a_first_start_gives(
    options: SessionOptions, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    loads: list[str] = []
    load = loading.load
    monkeypatch.setattr(loading, "load", lambda options, say: loads.append(str(options.model)) or load(options, say))
    options = replace(options, engine=engine)
    answers: list[Any] = []
    for loaded in ([options.model], []):
        loads.clear()
        school = School(options)
        school.open("other")
        before = school.names("other", "blue")
        assert loads == loaded
        school.open("one")
        answers.append(lesson(school, "one"))
        assert loads == [options.model]
        assert school.names("other", "blue") == before
        school.worker.stop()
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_a_process_that_began_without_tensorflow_is_taught(options: SessionOptions) -> None:
    school = School(options)
    school.open("one")
    school.show("one", "red")
    expected = lesson(school, "one")
    school.worker.stop()
    finished = subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS, str(options.model)],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
        timeout=SECONDS,
        check=True,
    )
    imported, answers = json.loads(finished.stdout)
    assert (imported, finished.stderr) == ([], "")
    for answer, other in zip(answers, expected, strict=True):
        named, others = answer["predictions"], other["predictions"]
        assert [one["label"] for one in named] == [one["label"] for one in others]
        probabilities = [[one["probability"] for one in predictions] for predictions in (named, others)]
        np.testing.assert_allclose(*probabilities, atol=1e-4)
