"""Several threads that explain at a time: the same answers, and only where they may and gain something."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest
from toy_networks import classifier_of, pooled_network

from live_gradcam.attribution.explainer import Explainer
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.flow.side_by_side import side_by_side

FRAMES = np.random.default_rng(3).integers(0, 256, (12, 40, 64, 3), np.uint8)
SIZE = (40, 64)


def explainer(**options: Any) -> Explainer:
    return Explainer(classifier_of(pooled_network("first", "last")), **{"maps": 1, "tune": "off", **options})


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graph", "onnxruntime", "xla"])
@pytest.mark.parametrize("fit", ["stretch", "tiles"])
def test_two_callers_get_the_answers_of_one_to_the_bit(engine: str, fit: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("tf2onnx")
    explain = explainer(engine=engine, fit=fit)
    alone = [explain(frame) for frame in FRAMES]
    for one, other in zip(alone, side_by_side(explain, FRAMES, 2), strict=True):
        np.testing.assert_array_equal(one.heatmaps, other.heatmaps)
        np.testing.assert_array_equal(one.logits, other.logits)
        assert one.predictions == other.predictions


def test_a_function_that_two_need_at_the_same_time_is_compiled_once() -> None:
    explain = explainer(engine="graph")
    both = threading.Barrier(2)

    def begin_together(frame: np.ndarray) -> int:
        both.wait(60)
        return explain(frame).predictions[0].index

    assert len(list(side_by_side(begin_together, FRAMES[:2], 2))) == 2
    assert explain.trace_count == 1


class Timed:
    """What `choose_callers` is asked, in its place: two callers are always faster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: list[str] = []
        monkeypatch.setattr(Tuner, "choose_callers", self._choose)
        monkeypatch.setattr(os, "cpu_count", lambda: 4)
        monkeypatch.setattr("live_gradcam.attribution.timing.threads", lambda: 0)

    def _choose(self, key: str, run: Any) -> int:
        self.keys.append(key)
        run(1, 1)
        run(2, 2)
        return 2


def test_callers_are_timed_for_what_is_explained_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    explain = explainer(engine="graph")
    assert explain.fastest_callers(SIZE) == 2
    assert explain.fastest_callers(SIZE, batch=2) == 2
    one, two = timed.keys
    assert "graph" in one
    assert (one.endswith("by 1"), two.endswith("by 2")) == (True, True)
    assert explain.trace_count == 2  # one for each size of batch


@pytest.mark.slow
def test_one_caller_where_others_may_not_call(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    assert explainer(engine="graph", method="score-cam").fastest_callers(SIZE) == 1
    assert explainer(engine="graph", fit="native", input_size=(32, 32)).fastest_callers(SIZE) == 1
    for where, value in (("live_gradcam.attribution.timing.threads", 1), ("os.cpu_count", 1)):
        with monkeypatch.context() as changed:
            changed.setattr(where, lambda value=value: value)
            assert explainer(engine="graph").fastest_callers(SIZE) == 1
    pytest.importorskip("openvino")
    assert explainer(engine="openvino").fastest_callers(SIZE) == 1  # its one stream has all cores
    assert timed.keys == []
