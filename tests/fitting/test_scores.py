"""Scores, by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from live_gradcam.fitting.scores import calibration_error, scores_of

_ANSWERS = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
_TARGETS = np.array([0, 1, 1, 2])


def test_classes() -> None:
    scores = scores_of(_ANSWERS, _TARGETS, task="classes", classes=("a", "b", "c"))
    assert scores.count == 4
    assert scores.accuracy == 0.75
    assert scores.balanced_accuracy == pytest.approx((1 + 0.5 + 1) / 3)
    assert scores.confusion == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    assert [(one.precision, one.recall, one.count) for one in scores.per_class] == [(0.5, 1, 1), (1, 0.5, 2), (1, 1, 1)]
    assert scores.log_loss == pytest.approx(-sum(map(math.log, (0.7, 0.8, 0.3, 0.6))) / 4)
    # Confidences 0.7 and 0.8 are right, 0.6 once wrong and once right. Of 15 bins 0.6 is in the tenth.
    assert scores.ece == pytest.approx((0.3 + 0.2 + abs(1 - 1.2)) / 4)
    assert json.loads(json.dumps(scores.to_json()))["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_a_class_that_nobody_said_has_no_precision() -> None:
    scores = scores_of(_ANSWERS[:3], np.array([0, 0, 0]), task="classes", classes=("a", "b", "c"))
    assert [(one.precision, one.recall, one.count) for one in scores.per_class] == [
        (1, 2 / 3, 3),
        (0, None, 0),
        (None, None, 0),
    ]
    assert scores.balanced_accuracy == pytest.approx(2 / 3)  # of the classes that occur


def test_confidence_that_is_as_often_right_as_it_says() -> None:
    assert calibration_error(np.full(10, 0.8), np.arange(10) < 8) == pytest.approx(0)
    assert calibration_error(np.full(10, 0.8), np.arange(10) < 5) == pytest.approx(0.3)
    assert calibration_error(np.ones(4), np.ones(4, bool)) == 0


def test_labels() -> None:
    answers = np.array([[0.9, 0.4], [0.2, 0.8], [0.7, 0.1]])
    targets = np.array([[True, True], [False, True], [False, False]])
    scores = scores_of(answers, targets, task="labels", classes=("x", "y"))
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.balanced_accuracy == pytest.approx((1 + 0.5 + 0.5 + 1) / 4)
    assert [(one.precision, one.recall) for one in scores.per_class] == [(0.5, 1), (1, 0.5)]
    assert scores.log_loss == pytest.approx(-sum(map(math.log, (0.9, 0.4, 0.8, 0.8, 0.3, 0.9))) / 6)
    assert scores.confusion is None


def test_values() -> None:
    scores = scores_of(np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 5.0]), task="values", classes=("age",))
    assert scores.mean_error == pytest.approx(2 / 3)
    assert scores.r2 == pytest.approx(1 - 2 / 8)
    assert scores.to_json() == {"count": 3, "mean_error": scores.mean_error, "r2": scores.r2}
