"""What a report shows, worked out: numbers and pictures, before anything is drawn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.drawing.views import rescaled
from live_gradcam.errors import SourceError
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.fitting.decoding import WHOLE_AHEAD, read_all
from live_gradcam.fitting.masks import Object, Objects, find_objects
from live_gradcam.fitting.report.backgrounds import Backgrounds, cut_outs, read_backgrounds, swap_backgrounds
from live_gradcam.fitting.report.cutting import at_most
from live_gradcam.fitting.report.maps import HeldOutExplainer, MapsOfClass, MeanMap, OnObject
from live_gradcam.fitting.report.matrix import Cell, cells_of
from live_gradcam.fitting.report.mistakes import Mistake, rows_of_class, spread, worst_mistakes
from live_gradcam.fitting.report.options import ReportOptions

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

_log = logging.getLogger(__name__)

OnProgress = Callable[[str, int, int], None]

#: Maps are made of so many pictures of a class, and of so many in all, at most.
_MOST_OF_A_CLASS, _MOST_IN_ALL = 60, 900
#: The longer side of a picture that is shown with its maps, and of a small one, in pixels.
_SHOWN, _SMALL = 420, 132


@dataclass(frozen=True, eq=False)
class ExplainedMistake:
    """A mistake with what is needed to show it.

    Attributes:
        mistake: which.
        image: uint8 (h, w, 3), BGR, no longer than 420 pixels.
        explanation: of the image, with a map for each of the mistake's targets.
    """

    mistake: Mistake
    image: np.ndarray
    explanation: Explanation


@dataclass(frozen=True, eq=False)
class Study:
    """What was found out about a fit.

    Attributes:
        fitted: the fit.
        cells: the examples behind the confusion matrix, or behind what was said of each label.
        thumbnails: by row, small pictures of the examples in the cells, uint8 (h, w, 3) BGR.
        mistakes: the worst ones, the worst first.
        mean_maps: of each class that has any.
        on_object: of each class with masks.
        backgrounds: what other surroundings do; None where that was not asked for, or cannot be tried.
        notes: what could not be done, and why, a sentence each.
    """

    fitted: Fitted
    cells: tuple[Cell, ...]
    thumbnails: Mapping[int, np.ndarray]
    mistakes: tuple[ExplainedMistake, ...]
    mean_maps: tuple[MeanMap, ...]
    on_object: tuple[OnObject, ...]
    backgrounds: Backgrounds | None
    notes: tuple[str, ...]


def study(fitted: Fitted, options: ReportOptions, on_progress: OnProgress) -> Study:
    """Look at a fit's examples through the heads that never saw them.

    Args:
        fitted: the fit.
        options: of the report.
        on_progress: called as it goes on: (what is done, done, in all).

    Raises:
        SourceError: as `find_objects` and `read_backgrounds`.
        UsageError: as `find_objects`.
    """
    objects = find_objects(fitted.dataset.examples, options.masks, options.boxes)
    backgrounds = [] if options.backgrounds is None else read_backgrounds(options.backgrounds, fitted.dataset.levels)
    explain = HeldOutExplainer(fitted)
    cells = cells_of(fitted)
    looking = _Looking(fitted, objects, explain, worst_mistakes(fitted, options.worst))
    looking.at({row for cell in cells for row in cell.shown}, on_progress)
    swapped, notes = None, []
    if options.swap_backgrounds:
        swapped, note = _swapped(fitted, explain, objects, backgrounds, on_progress)
        notes += [note] if note else []
    for note in notes:
        _log.warning("%s", note)
    of_classes = looking.of_classes
    return Study(
        fitted,
        cells,
        looking.thumbnails,
        tuple(looking.explained[row] for row in looking.mistakes if row in looking.explained),
        tuple(one.mean for one in of_classes if one.mean is not None),
        tuple(one.on_object for one in of_classes if one.on_object is not None),
        swapped,
        tuple(notes),
    )


class _Looking:
    """Reads each example once for all that is shown of it."""

    def __init__(
        self, fitted: Fitted, objects: Objects, explain: HeldOutExplainer, mistakes: tuple[Mistake, ...]
    ) -> None:
        self._fitted, self._objects, self._explain = fitted, objects, explain
        dataset = fitted.dataset
        most = min(_MOST_OF_A_CLASS, max(3, _MOST_IN_ALL // len(dataset.classes)))
        self.of_classes = [MapsOfClass(name) for name in dataset.classes]
        #: By row the classes whose maps the example counts for.
        self._classes_of: dict[int, list[int]] = {}
        for index in range(len(dataset.classes)):
            for row in spread(rows_of_class(dataset, index), most):
                self._classes_of.setdefault(int(row), []).append(index)
        self.mistakes = {(mistake.row, mistake.targets): mistake for mistake in mistakes}
        self._mistakes_of: dict[int, list[Mistake]] = {}
        for mistake in mistakes:
            self._mistakes_of.setdefault(mistake.row, []).append(mistake)
        self.explained: dict[tuple[int, tuple[int, ...]], ExplainedMistake] = {}
        self.thumbnails: dict[int, np.ndarray] = {}

    def at(self, small: set[int], on_progress: OnProgress) -> None:
        """Look at the examples, and keep small pictures of some rows. Those that are gone by now are left out."""
        folds = self._fitted.folds
        rows = sorted({*self._classes_of, *self._mistakes_of, *small}, key=lambda row: (int(folds[row]), row))
        dataset = self._fitted.dataset
        examples = dataset.examples
        read = read_all(examples, rows, lambda frame: frame, levels=dataset.levels, ahead=WHOLE_AHEAD)
        with closing(self._objects):
            for number, (row, frame) in enumerate(read, 1):
                if isinstance(frame, str):
                    _log.warning("%s: %s", examples[row].path, frame)
                else:
                    self._look(row, frame)
                    if row in small:
                        self.thumbnails[row] = at_most(frame, _SMALL)
                on_progress("look at pictures", number, len(rows))

    def _look(self, row: int, frame: np.ndarray) -> None:
        fold, size = int(self._fitted.folds[row]), (frame.shape[0], frame.shape[1])
        classes = self._classes_of.get(row, [])
        where = self._where(row, size) if classes else None
        for index in classes:
            explanation = self._explain(frame, fold, [index])
            self.of_classes[index].add(frame, explanation, None if where is None else where.opacity)
        for mistake in self._mistakes_of.get(row, []):
            image = at_most(frame, _SHOWN)
            explanation = self._explain(frame, fold, mistake.targets)
            moved = rescaled(explanation, size, (image.shape[0], image.shape[1]))
            self.explained[row, mistake.targets] = ExplainedMistake(mistake, image, moved)

    def _where(self, row: int, size: tuple[int, int]) -> Object | None:
        """Where the object is; None where nothing says it, or what says it cannot be read."""
        try:
            return self._objects.of(self._fitted.dataset.examples[row], size)
        except SourceError as error:
            _log.warning("%s", error)
            return None


def _swapped(
    fitted: Fitted,
    explain: HeldOutExplainer,
    objects: Objects,
    backgrounds: list[np.ndarray],
    on_progress: OnProgress,
) -> tuple[Backgrounds | None, str | None]:
    """What other surroundings do, or why that cannot be tried."""
    if fitted.dataset.task != "classes":
        return None, "Backgrounds are swapped for classes alone: this fit predicts something else."
    cut = cut_outs(fitted.dataset, objects, lambda done, of: on_progress("cut out objects", done, of))
    if not cut:
        return None, (
            "Backgrounds cannot be swapped: no picture has a mask. Give pictures with transparency, or a folder of "
            "masks."
        )
    if not backgrounds and len({one.index for one in cut if one.has_surroundings}) < 2:
        return None, (
            "Backgrounds cannot be swapped: the objects have transparent surroundings, so there is nothing to swap. "
            "Give pictures of places, such as empty rooms, with --backgrounds FOLDER."
        )
    done = swap_backgrounds(
        fitted, explain, cut, backgrounds, lambda done, of: on_progress("swap backgrounds", done, of)
    )
    return done, None
