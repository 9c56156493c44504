"""Answers in numbers: levels, signed detail, a viewer's clock."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.serving.explaining.answers import facts_of, maps_of
from live_gradcam.serving.explaining.decoding import ViewerClock
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.scene import LiveExplanation


def explanation_of(heatmaps: list, signs: list | None = None, *, against: bool = False) -> Explanation:
    count = len(heatmaps)
    best = tuple(Prediction(index, str(index), 1 / count) for index in range(count))
    return Explanation(
        best,
        np.array(heatmaps, np.float32),
        best,
        np.ones(count, np.float32),
        np.zeros(count, np.float32),
        np.full(count, 1 / count, np.float32),
        Region(10, 0, 360, 360),
        boxes=((),) * count,
        against=against,
        signs=None if signs is None else np.array(signs, np.int8),
    )


def test_levels_are_rounded_as_the_overlay_rounds_them() -> None:
    explanation = explanation_of([[[0, 1, 0.5], [0.002, 0.0019, 1.2]], [[1, 0, 0], [0.25, 0.75, -0.1]]])
    assert list(maps_of(explanation)) == [0, 255, 128, 1, 0, 255, 255, 0, 0, 64, 191, 0]


def test_detail_with_signs_is_a_contrast_of_both_signs() -> None:
    """The root of the strength, times 1.75, and full from a third of the strongest on."""
    explanation = explanation_of([[[0, 0.04, 0.25], [1, 0.04, 0.4]]], [[[0, 1, -1], [1, -1, -1]]])
    levels = np.frombuffer(maps_of(explanation), np.int8).tolist()
    assert levels == [0, round(127 * 0.35), round(-127 * 0.875), 127, round(-127 * 0.35), -127]
    frame = Frame(np.zeros((360, 640, 3), np.uint8), 0, 0, 0.0)  # type: ignore[arg-type]
    facts = facts_of(LiveExplanation(frame, StableExplanation(explanation, 2.0, (360, 640)), "m", "g", "l"))
    assert facts["maps"] == {"count": 1, "height": 2, "width": 3, "signed": True}
    assert (facts["model"], facts["method"], facts["layer"], facts["full_scale"]) == ("m", "g", "l", 2.0)
    assert facts["explanation"]["region"] == [10, 0, 360, 360]


def test_a_small_scale_keeps_its_digits() -> None:
    frame = Frame(np.zeros((360, 640, 3), np.uint8), 0, 0, 0.0)  # type: ignore[arg-type]
    stable = StableExplanation(explanation_of([[[1.0]]]), 3.97e-08, (360, 640))
    assert facts_of(LiveExplanation(frame, stable, "m", "g", "l"))["full_scale"] == 3.97e-08


def test_a_map_of_what_speaks_against_says_so() -> None:
    frame = Frame(np.zeros((360, 640, 3), np.uint8), 0, 0, 0.0)  # type: ignore[arg-type]
    stable = StableExplanation(explanation_of([[[1.0]]], against=True), 1.0, (360, 640))
    assert facts_of(LiveExplanation(frame, stable, "m", "g", "l"))["against"] is True


def times(*said: float) -> list[float]:
    """How much the clock goes on with each frame but the first."""
    clock = ViewerClock()
    now = [clock.time_of(time) for time in said]
    return [pytest.approx(later - earlier) for earlier, later in itertools.pairwise(now)]


def test_a_clock_goes_on_as_it_says_within_bounds() -> None:
    assert times(5, 5.04, 5.08, 6) == [0.04, 0.04, 0.92]
    assert times(1e9, 1e9 + 0.5) == [0.5]
    assert times(0, 3600) == [10]
    assert times(0, 1e-9) == [1e-3]


@pytest.mark.parametrize(
    "said", [(math.nan, math.nan), (3, 3), (9, 1), (1e308, -1e308), (math.inf, math.inf), (0, math.nan)]
)
def test_a_clock_that_cannot_be_goes_on_at_the_usual_rate(said: tuple[float, float]) -> None:
    assert times(*said) == [1 / 30]


def test_a_clock_that_was_wrong_for_a_moment_is_right_again() -> None:
    assert times(1, math.nan, 2, 2.1) == [1 / 30, 1 / 30, 0.1]
    assert all(math.isfinite(step) and step > 0 for step in (ViewerClock().time_of(-math.inf),))
