"""The fastest form is chosen by timing, within bounds, and remembered."""

from __future__ import annotations

import importlib.metadata
import json
import time
from pathlib import Path

import pytest
import tensorflow as tf

from live_gradcam.compiling import tuning
from live_gradcam.compiling.tuning import Tuner


def forms(*, calls: list[str] | None = None):
    """A quick form and one that works a thousand times as long."""

    def quick():
        if calls is not None:
            calls.append("quick")
        return lambda x: x + 1.0

    def slow():
        def compute(x: tf.Tensor) -> tf.Tensor:
            matrix = tf.random.stateless_normal((600, 600), (0, 0))
            for _ in range(10):
                matrix = tf.linalg.matmul(matrix, matrix) * 1e-3
            return x + tf.reduce_sum(matrix) * 0.0

        return compute

    return {"slow": slow, "quick": quick}


def test_the_faster_form_is_chosen_over_the_one_by_rule(tmp_path: Path) -> None:
    tuner = Tuner("auto", tmp_path)
    assert tuner.choose("layer", forms(), (4, 4, 3), "slow") == "quick"
    assert tuner.seconds > 0
    timings = tuner.milliseconds("layer")
    assert timings["quick"] < timings["slow"]


def test_off_goes_by_rule_and_times_nothing(tmp_path: Path) -> None:
    tuner = Tuner("off", tmp_path)
    calls: list[str] = []
    assert tuner.choose("layer", forms(calls=calls), (4, 4, 3), "slow") == "slow"
    assert tuner.choose_batch("network", lambda batch: calls.append("batch")) == 1
    tuner.remember()
    assert (calls, tuner.seconds, list(tmp_path.iterdir())) == ([], 0.0, [])


@pytest.mark.slow
def test_what_was_timed_is_remembered_and_full_times_it_anew(tmp_path: Path) -> None:
    first = Tuner("auto", tmp_path)
    first.choose("layer", forms(), (4, 4, 3), "slow")
    first.remember()
    calls: list[str] = []
    second = Tuner("auto", tmp_path)
    assert second.choose("layer", forms(calls=calls), (4, 4, 3), "slow") == "quick"
    assert (calls, second.seconds) == ([], 0.0)
    full = Tuner("full", tmp_path)
    for _ in range(2):  # once for all layers of one key
        assert full.choose("layer", forms(calls=calls), (4, 4, 3), "slow") == "quick"
    assert calls == ["quick"]


@pytest.mark.slow
def test_two_programs_keep_each_others_timings(tmp_path: Path) -> None:
    one, other = Tuner("auto", tmp_path), Tuner("auto", tmp_path)
    one.choose("a", forms(), (4, 4, 3), "slow")
    other.choose("b", forms(), (4, 4, 3), "slow")
    one.remember()
    other.remember()
    (file,) = tmp_path.iterdir()
    assert set(json.loads(file.read_text())["milliseconds"]) == {"a", "b"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"milliseconds": {"layer": 3}}', '{"milliseconds": {"layer": {"quick": "?"}}}']
)
def test_a_damaged_memory_is_timed_again(tmp_path: Path, content: str) -> None:
    first = Tuner("auto", tmp_path)
    first.choose("layer", forms(), (4, 4, 3), "slow")
    first.remember()
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    tuner = Tuner("auto", tmp_path)
    assert tuner.choose("layer", forms(), (4, 4, 3), "slow") == "quick"
    assert tuner.seconds > 0


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    tuner = Tuner("auto", tmp_path / "file")
    assert tuner.choose("layer", forms(), (4, 4, 3), "slow") == "quick"
    tuner.remember()


def test_other_flags_are_another_memory(tmp_path: Path, monkeypatch) -> None:
    first = Tuner("auto", tmp_path)
    first.choose("layer", forms(), (4, 4, 3), "slow")
    first.remember()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert Tuner("auto", tmp_path).milliseconds("layer") == {}


def test_another_number_of_threads_or_version_is_another_memory(tmp_path: Path, monkeypatch) -> None:
    first = Tuner("auto", tmp_path)
    first.choose("layer", forms(), (4, 4, 3), "slow")
    first.remember()
    with monkeypatch.context() as threads:
        threads.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 1)
        assert Tuner("auto", tmp_path).milliseconds("layer") == {}
    version = importlib.metadata.version
    with monkeypatch.context() as release:
        release.setattr(importlib.metadata, "version", lambda name: "9" if name == "live-gradcam" else version(name))
        assert Tuner("auto", tmp_path).milliseconds("layer") == {}
    assert Tuner("auto", tmp_path).milliseconds("layer") == first.milliseconds("layer")


def test_the_time_for_all_is_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tuning, "_SECONDS", 0.0)
    tuner = Tuner("auto", tmp_path)
    assert tuner.choose("layer", forms(), (4, 4, 3), "slow") == "slow"
    assert Tuner("full", tmp_path).choose("layer", forms(), (4, 4, 3), "slow") == "quick"


def test_the_batch_with_the_least_time_a_frame(tmp_path: Path) -> None:
    def run(batch: int) -> None:
        time.sleep({1: 0.002, 2: 0.002, 4: 0.02}[batch])

    tuner = Tuner("auto", tmp_path)
    assert tuner.choose_batch("network", run) == 2
    assert Tuner("auto", tmp_path).choose_batch("network", lambda batch: pytest.fail("it is remembered")) == 2


def test_full_times_batches_anew_once(tmp_path: Path) -> None:
    batches: list[int] = []
    Tuner("auto", tmp_path).choose_batch("network", batches.append)
    full = Tuner("full", tmp_path)
    for timed_anew in (True, False):  # a file each
        batches.clear()
        full.choose_batch("network", batches.append)
        assert bool(batches) == timed_anew


@pytest.mark.parametrize(("gain", "callers"), [(1.4, 2), (1.02, 1), (0.8, 1)])
def test_two_callers_where_they_are_faster_beyond_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: float, callers: int
) -> None:
    now = 0.0
    monkeypatch.setattr("live_gradcam.compiling.tuning.time.perf_counter", lambda: now)

    def run(callers: int, frames: int) -> None:
        nonlocal now
        now += frames * {1: 1.0, 2: 2 / gain}[callers]

    assert Tuner("remembered", tmp_path).choose_callers("network", run) == 1
    assert now == 0
    assert Tuner("auto", tmp_path).choose_callers("network", run) == callers
    remembered = Tuner("remembered", tmp_path)
    assert remembered.choose_callers("network", lambda *_: pytest.fail("it is remembered")) == callers
    assert Tuner("off", tmp_path).choose_callers("network", run) == 1
