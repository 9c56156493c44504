"""Which examples are shown: the worst mistakes, and what stands for a class or for a cell of the matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from live_gradcam.fitting.dataset import Dataset
    from live_gradcam.fitting.fitted import Fitted

#: Of one group, such as a video, so many mistakes are shown at first: its frames look alike.
_OF_A_GROUP = 2
_LEAST = 1e-12


@dataclass(frozen=True)
class Mistake:
    """An example that a head which never saw it got wrong.

    Attributes:
        row: of the example.
        targets: what is mapped: of "classes" what was said and what it is; of "labels" the label; of "values" the
            number.
        loss: how bad it is: of "classes" and "labels" minus the logarithm of what was given to the truth, in nats; of
            "values" the distance.
    """

    row: int
    targets: tuple[int, ...]
    loss: float


def worst_mistakes(fitted: Fitted, count: int) -> tuple[Mistake, ...]:
    """The worst mistakes, the worst one first, with no more than two of a group as long as there are others.

    Args:
        fitted: the fit.
        count: how many at most.
    """
    mistakes = sorted(_mistakes(fitted), key=lambda mistake: (-mistake.loss, mistake.row))
    of_group: Counter[str] = Counter()
    first: list[Mistake] = []
    later: list[Mistake] = []
    groups = groups_of(fitted)
    for mistake in mistakes:
        group = groups[mistake.row]
        of_group[group] += 1
        (first if of_group[group] <= _OF_A_GROUP else later).append(mistake)
    shown = (first + later)[:count]
    return tuple(sorted(shown, key=lambda mistake: (-mistake.loss, mistake.row)))


def _mistakes(fitted: Fitted) -> Iterable[Mistake]:
    targets, answers = fitted.dataset.targets, np.asarray(fitted.held_out, np.float64)
    if fitted.dataset.task == "values":
        for row, distance in enumerate(np.abs(answers[:, 0] - targets)):
            yield Mistake(row, (0,), float(distance))
    elif fitted.dataset.task == "labels":
        for row, label in zip(*np.nonzero((answers > 0.5) != targets), strict=True):
            given = answers[row, label] if targets[row, label] else 1 - answers[row, label]
            yield Mistake(int(row), (int(label),), float(-np.log(max(given, _LEAST))))
    else:
        said = answers.argmax(axis=1)
        for wrong in np.flatnonzero(said != targets):
            row, true = int(wrong), int(targets[wrong])
            yield Mistake(row, (int(said[row]), true), float(-np.log(max(answers[row, true], _LEAST))))


def groups_of(fitted: Fitted) -> list[str]:
    """What each example belongs together with: by its group and its looks, or, of val and test, by its group."""
    return [
        f"group {number}" if number >= 0 else f"{example.part} {example.group}"
        for number, example in zip(fitted.groups.tolist(), fitted.dataset.examples, strict=True)
    ]


def rows_of_class(dataset: Dataset, index: int) -> np.ndarray:
    """The examples that show a class, or a label; of "values" all: int (m,)."""
    if dataset.task == "values":
        return np.arange(len(dataset.examples))
    if dataset.task == "labels":
        return np.flatnonzero(dataset.targets[:, index])
    return np.flatnonzero(dataset.targets == index)


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """So many of the rows at most, evenly over all of them."""
    if len(rows) <= count:
        return rows
    return rows[np.floor((np.arange(count) + 0.5) * len(rows) / count).astype(int)]
