"""How well a head predicts: plain numbers of predictions and what is true. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from live_gradcam.choices import Output
from live_gradcam.fitting.cross_validation import loss_of

#: Into so many bins of equal width confidence is cut for the calibration error.
_BINS = 15


@dataclass(frozen=True)
class ClassScores:
    """How well one class or label is found.

    Attributes:
        name: of the class.
        precision: of what was said to be it, the share that is; None where nothing was.
        recall: of what is it, the share that was said to be; None where nothing is.
        count: how many examples are it.
    """

    name: str
    precision: float | None
    recall: float | None
    count: int


@dataclass(frozen=True)
class Scores:
    """How well a head predicts some examples. What is not defined for the task is None.

    Attributes:
        count: how many examples.
        accuracy: the share that is right; of "labels" the mean share over the labels.
        balanced_accuracy: the mean recall of the classes that occur; of "labels" the mean of both sides' recalls.
        ece: expected calibration error: the mean distance of confidence and accuracy over 15 bins of confidence.
        log_loss: the mean of minus the logarithm of what was given to the truth, in nats.
        per_class: by class.
        confusion: rows are what is true, columns what was said; of "classes" alone.
        mean_error: of "values" the mean absolute error, in their unit.
        r2: of "values" the explained share of the variance.
    """

    count: int
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    ece: float | None = None
    log_loss: float | None = None
    per_class: tuple[ClassScores, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    mean_error: float | None = None
    r2: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values, without what is not defined for the task."""
        return {
            name: [list(row) if isinstance(row, tuple) else row for row in value] if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None and value != ()
        }


def scores_of(answers: np.ndarray, targets: np.ndarray, *, task: Output, classes: Sequence[str]) -> Scores:
    """The scores of what was said of some examples.

    Args:
        answers: float (n, k): probabilities; of "values" the values.
        targets: as `Dataset.targets`.
        task: what was predicted.
        classes: the names of the k classes.
    """
    if task == "values":
        return _of_values(answers[:, 0].astype(float), targets)
    if task == "labels":
        return _of_labels(answers.astype(float), targets, classes)
    return _of_classes(answers.astype(float), targets, classes)


def _of_classes(answers: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> Scores:
    said = answers.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (targets, said), 1)
    right = np.diag(confusion)
    per_class = tuple(
        _class_scores(name, int(right[k]), int(confusion[:, k].sum()), int(confusion[k].sum()))
        for k, name in enumerate(classes)
    )
    return Scores(
        count=len(targets),
        accuracy=float(np.mean(said == targets)),
        balanced_accuracy=_mean([one.recall for one in per_class]),
        ece=calibration_error(answers.max(axis=1), said == targets),
        log_loss=loss_of(answers, targets, "classes"),
        per_class=per_class,
        confusion=tuple(tuple(int(number) for number in row) for row in confusion),
    )


def _of_labels(answers: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> Scores:
    said = answers > 0.5
    per_class = tuple(
        _class_scores(name, int((said[:, k] & targets[:, k]).sum()), int(said[:, k].sum()), int(targets[:, k].sum()))
        for k, name in enumerate(classes)
    )
    sides = [
        np.mean(said[targets[:, k] == side, k] == side)
        for k in range(len(classes))
        for side in (False, True)
        if (targets[:, k] == side).any()
    ]
    return Scores(
        count=len(targets),
        accuracy=float(np.mean(said == targets)),
        balanced_accuracy=float(np.mean(sides)),
        ece=calibration_error(np.maximum(answers, 1 - answers).ravel(), (said == targets).ravel()),
        log_loss=loss_of(answers, targets, "labels"),
        per_class=per_class,
    )


def _of_values(answers: np.ndarray, targets: np.ndarray) -> Scores:
    errors = answers - targets
    spread = float(np.square(targets - targets.mean()).sum())
    r2 = 1 - float(np.square(errors).sum()) / spread if spread else None
    return Scores(count=len(targets), mean_error=float(np.abs(errors).mean()), r2=r2)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error (Guo et al. 2017): the mean of |accuracy − confidence| over bins, by their size.

    Args:
        confidence: float (n,), from 0 to 1.
        right: bool (n,).
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    gaps = np.bincount(bins, right.astype(float), _BINS) - np.bincount(bins, confidence, _BINS)
    return float(np.abs(gaps).sum() / max(int(counts.sum()), 1))


def _class_scores(name: str, right: int, said: int, count: int) -> ClassScores:
    return ClassScores(name, right / said if said else None, right / count if count else None, count)


def _mean(numbers: Sequence[float | None]) -> float | None:
    there = [number for number in numbers if number is not None]
    return float(np.mean(there)) if there else None
