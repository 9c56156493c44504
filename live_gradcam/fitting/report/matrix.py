"""The examples behind the numbers: of each cell of the confusion matrix, or of each label what was missed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.fitting.dataset import PARTS, Part

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

#: So many pictures are shown of a cell of mistakes, of one of what was right, and in all.
_MOST_WRONG, _MOST_RIGHT, _MOST_IN_ALL = 24, 8, 800


@dataclass(frozen=True)
class Cell:
    """Examples of which the same is true and was said.

    Attributes:
        part: of the data set.
        true: the index of what it is; of "labels" that of the label.
        said: the index of what was said; of "labels" that of the label again.
        wrong: whether these are mistakes.
        kind: of "labels" "missed", "false alarm" or "found"; else "".
        count: how many there are.
        shown: the rows of those that are shown: the surest mistakes first; of what is right the least sure ones.
    """

    part: Part
    true: int
    said: int
    wrong: bool
    kind: str
    count: int
    shown: tuple[int, ...]


def cells_of(fitted: Fitted) -> tuple[Cell, ...]:
    """The cells that are not empty, part after part. Of "values" there are none."""
    cells = [cell for part in PARTS for cell in _of_part(fitted, part)]
    left, kept = _MOST_IN_ALL, {}
    for cell in sorted(cells, key=lambda cell: not cell.wrong):
        shown = cell.shown[: min(left, _MOST_WRONG if cell.wrong else _MOST_RIGHT)]
        left -= len(shown)
        kept[id(cell)] = shown
    return tuple(replace(cell, shown=kept[id(cell)]) for cell in cells)


def _of_part(fitted: Fitted, part: Part) -> Iterable[Cell]:
    rows = fitted.dataset.rows_of(part)
    if not len(rows) or fitted.dataset.task == "values":
        return
    targets, answers = fitted.dataset.targets[rows], np.asarray(fitted.held_out)[rows]
    if fitted.dataset.task == "labels":
        yield from _of_labels(rows, targets, answers, part)
        return
    said = answers.argmax(axis=1)
    sureness = answers.max(axis=1)
    for true in range(len(fitted.dataset.classes)):
        for index in range(len(fitted.dataset.classes)):
            found = np.flatnonzero((targets == true) & (said == index))
            if len(found):
                wrong = true != index
                order = found[np.argsort(-sureness[found] if wrong else sureness[found], kind="stable")]
                yield Cell(part, true, index, wrong, "", len(found), tuple(map(int, rows[order])))


def _of_labels(rows: np.ndarray, targets: np.ndarray, answers: np.ndarray, part: Part) -> Iterable[Cell]:
    said = answers > 0.5
    for label in range(targets.shape[1]):
        of_label, probability = targets[:, label], answers[:, label]
        for kind, holds, order in (
            ("missed", of_label & ~said[:, label], probability),
            ("false alarm", ~of_label & said[:, label], -probability),
            ("found", of_label & said[:, label], probability),
        ):
            found = np.flatnonzero(holds)
            if len(found):
                sorted_ = found[np.argsort(order[found], kind="stable")]
                yield Cell(part, label, label, kind != "found", kind, len(found), tuple(map(int, rows[sorted_])))
