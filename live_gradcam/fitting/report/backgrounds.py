"""The sure test for a shortcut: the same objects on the surroundings of other classes.

Each object is cut out of its picture and laid, at its own place and size, on

- the surroundings of another picture of its own class: what that costs is the price of cutting and pasting;
- the surroundings of a picture of another class, drawn at random, the classes with equal chances;
- a picture without any object, where there is a folder of such backgrounds.

The surroundings are another picture without its own object: the hole is filled with what lies beside it. They are cut
to the shape of the picture that they replace. The head that judges is the one that never saw the object's picture, nor
that of the surroundings, where the same fold has others to take. A network that looks at the object says the same on
all of them; one that follows the surroundings names the class that these come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from live_gradcam.errors import SourceError
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.fitting.dataset import Dataset
from live_gradcam.fitting.decoding import WHOLE_AHEAD, read_all
from live_gradcam.fitting.masks import Object, Objects
from live_gradcam.fitting.report.cutting import at_most, laid_on, without_object
from live_gradcam.fitting.report.mistakes import groups_of, rows_of_class, spread
from live_gradcam.sources.image import read_image
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.pictures import pictures_of

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted
    from live_gradcam.fitting.report.maps import HeldOutExplainer

#: So many pictures of a class are laid on others, and so many backgrounds are used at most.
_MOST_OF_A_CLASS, _MOST_IN_ALL, _MOST_BACKGROUNDS = 50, 400, 40
#: Pictures are cut at this size: the longer side in pixels. Networks see less.
_LONGEST = 384
#: What was said of an object on surroundings of its own class, of another one, and on a background without objects.
SAME, OTHER, NEUTRAL = "same", "other", "neutral"
KINDS = (SAME, OTHER, NEUTRAL)


@dataclass(frozen=True, eq=False)
class CutOut:
    """A picture whose object can be taken out.

    Attributes:
        row: of the example.
        index: of its class.
        image: uint8 (h, w, 3), BGR, no longer than 384 pixels.
        object: where the object is in it.
    """

    row: int
    index: int
    image: np.ndarray
    object: Object

    @property
    def has_surroundings(self) -> bool:
        """Whether there is something around the object: what is transparent shows nothing."""
        return self.object.by != "transparency"


@dataclass(frozen=True)
class Answer:
    """What a head said of an object on some surroundings.

    Attributes:
        kind: one of `KINDS`; None of the picture as it is.
        said: the index of the class.
        probability: of that class, 0…1.
        donor: the index of the class that the surroundings come from; None of a background without objects.
    """

    kind: str | None
    said: int
    probability: float
    donor: int | None


@dataclass(frozen=True)
class Swapped:
    """One object on all kinds of surroundings.

    Attributes:
        row: of the example.
        index: of its class.
        answers: to the picture as it is, and to those on other surroundings.
    """

    row: int
    index: int
    answers: tuple[Answer, ...]

    def on(self, kind: str | None) -> Answer | None:
        """What was said of it on a kind of surroundings, or as it is; None where there are none of that kind."""
        return next((one for one in self.answers if one.kind == kind), None)


@dataclass(frozen=True, eq=False)
class Shown:
    """An object on all kinds of surroundings, to be looked at.

    Attributes:
        swapped: what was said of it.
        pictures: for each answer the picture, uint8 (h, w, 3) BGR, and its explanation for what was said.
    """

    swapped: Swapped
    pictures: tuple[tuple[np.ndarray, Explanation], ...]


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """What other surroundings do.

    Attributes:
        classes: the names of the classes.
        swapped: for each object what was said of it.
        shown: of each class one object of which the most usual was said.
    """

    classes: tuple[str, ...]
    swapped: tuple[Swapped, ...]
    shown: tuple[Shown, ...]

    def accuracy(self, kind: str | None, index: int | None = None) -> float | None:
        """The share that is right on a kind of surroundings, or as the pictures are (None).

        Args:
            kind: one of `KINDS`, or None.
            index: of a class; None for all.
        """
        right = [
            one.said == swapped.index
            for swapped in self.swapped
            if (index is None or swapped.index == index) and (one := swapped.on(kind)) is not None
        ]
        return float(np.mean(right)) if right else None

    @property
    def follows(self) -> float | None:
        """On surroundings of another class, the share for which the head named that class."""
        followed = [one.said == one.donor for swapped in self.swapped if (one := swapped.on(OTHER)) is not None]
        return float(np.mean(followed)) if followed else None

    def count(self, index: int | None = None) -> int:
        """How many objects there are, of a class or in all."""
        return sum(index is None or swapped.index == index for swapped in self.swapped)

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values; null where there are no such surroundings."""

        def accuracies(index: int | None = None) -> dict[str, float | None]:
            names = {None: "as_they_are", SAME: "same_class", OTHER: "other_class", NEUTRAL: "backgrounds"}
            numbers = {name: self.accuracy(kind, index) for kind, name in names.items()}
            return {name: None if number is None else round(number, 4) for name, number in numbers.items()}

        follows = self.follows
        return {
            "objects": self.count(),
            "accuracy": accuracies(),
            "named_the_class_of_the_surroundings": None if follows is None else round(follows, 4),
            "per_class": [
                {"class": name, "objects": self.count(index), "accuracy": accuracies(index)}
                for index, name in enumerate(self.classes)
            ],
        }


def cut_outs(dataset: Dataset, objects: Objects, on_progress: Callable[[int, int], None]) -> list[CutOut]:
    """The pictures, some of each class, whose object is known to the pixel: boxes hold surroundings too.

    Args:
        dataset: of "classes".
        objects: where they are.
        on_progress: called after each picture: (looked at, in all).
    """
    most = min(_MOST_OF_A_CLASS, max(2, _MOST_IN_ALL // len(dataset.classes)))
    of_row = {
        int(row): index for index in range(len(dataset.classes)) for row in spread(rows_of_class(dataset, index), most)
    }
    found = []
    read = read_all(dataset.examples, list(of_row), lambda frame: frame, levels=dataset.levels, ahead=WHOLE_AHEAD)
    with closing(objects):
        for number, (row, image) in enumerate(read, 1):
            where = None
            if not isinstance(image, str):
                with suppress(SourceError):
                    where = objects.of(dataset.examples[row], (image.shape[0], image.shape[1]))
                if where is not None and where.by != "boxes":
                    found.append(CutOut(row, of_row[row], *_at_most(image, where)))
            on_progress(number, len(of_row))
    return found


def _at_most(image: np.ndarray, where: Object) -> tuple[np.ndarray, Object]:
    small = at_most(image, _LONGEST)
    opacity = cv2.resize(where.opacity, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    return small, Object(opacity, where.by)


def read_backgrounds(folder: Path, levels: Levels | None = None) -> list[np.ndarray]:
    """Pictures without any object: uint8 (h, w, 3) BGR. Those that cannot be read are left out.

    Args:
        folder: where they are.
        levels: those of the data set that they are laid behind.

    Raises:
        SourceError: the folder has no pictures, or none that can be read.
    """
    found = []
    for file in pictures_of(folder):
        try:
            image = read_image(file, levels)
        except SourceError:
            continue
        found.append(at_most(image, _LONGEST))
        if len(found) == _MOST_BACKGROUNDS:
            break
    if not found:
        raise SourceError(f"no picture in the folder of backgrounds {folder} can be read")
    return found


def swap_backgrounds(
    fitted: Fitted,
    explain: HeldOutExplainer,
    cut: Sequence[CutOut],
    backgrounds: Sequence[np.ndarray],
    on_progress: Callable[[int, int], None],
) -> Backgrounds:
    """Lay each object on other surroundings, and ask the head that never saw its picture what it is.

    Args:
        fitted: the fit.
        explain: explains by the head of a fold.
        cut: the pictures, from `cut_outs`.
        backgrounds: pictures without any object; may be empty.
        on_progress: called after each object: (done, in all).
    """
    random = np.random.default_rng(0)
    donors = _Donors(fitted, cut, random)
    swapped: list[Swapped] = []
    first: dict[tuple[int, ...], Shown] = {}  # of all objects of a class of which the same was said
    for number, one in enumerate(sorted(cut, key=lambda one: (int(fitted.folds[one.row]), one.row)), 1):
        pictures: list[tuple[str | None, int | None, np.ndarray]] = [(None, one.index, one.image)]
        others = [index for index in range(len(fitted.dataset.classes)) if index != one.index]
        for kind, classes in ((SAME, [one.index]), (OTHER, others)):
            drawn = donors.draw(one, classes)
            if drawn is not None:
                pictures.append((kind, drawn[0], laid_on(one.image, one.object, drawn[1])))
        if backgrounds:
            background = backgrounds[int(random.integers(len(backgrounds)))]
            pictures.append((NEUTRAL, None, laid_on(one.image, one.object, background)))
        explained = [explain(image, int(fitted.folds[one.row])) for _, _, image in pictures]
        answers = [
            Answer(kind, explanation.predictions[0].index, explanation.predictions[0].probability, donor_index)
            for (kind, donor_index, _), explanation in zip(pictures, explained, strict=True)
        ]
        swapped.append(Swapped(one.row, one.index, tuple(answers)))
        images = [image for _, _, image in pictures]
        first.setdefault(_said(swapped[-1]), Shown(swapped[-1], tuple(zip(images, explained, strict=True))))
        on_progress(number, len(cut))
    return Backgrounds(fitted.dataset.classes, tuple(swapped), _usual(swapped, first))


def _said(swapped: Swapped) -> tuple[int, ...]:
    return (swapped.index, *(answer.said for answer in swapped.answers))


def _usual(swapped: Sequence[Swapped], first: Mapping[tuple[int, ...], Shown]) -> tuple[Shown, ...]:
    """Of each class one object of which the most usual was said."""
    counts = Counter(map(_said, swapped))
    return tuple(
        first[max((said for said in counts if said[0] == index), key=lambda said: counts[said])]
        for index in sorted({one.index for one in swapped})
    )


class _Donors:
    """The pictures whose surroundings are used.

    Args:
        fitted: the fit.
        cut: the pictures with their objects.
        random: draws.
    """

    def __init__(self, fitted: Fitted, cut: Sequence[CutOut], random: np.random.Generator) -> None:
        self._donors = [one for one in cut if one.has_surroundings]
        self._groups, self._folds, self._random = groups_of(fitted), fitted.folds, random
        self._bare = {one.row: without_object(one.image, one.object.opacity) for one in self._donors}

    def draw(self, one: CutOut, classes: Sequence[int]) -> tuple[int, np.ndarray] | None:
        """Surroundings for an object, of one of the classes, drawn at random.

        A picture of another group is preferred, and then one of the same fold, as the head of that saw neither.

        Returns:
            The class that they come from, and uint8 (h, w, 3) BGR; None where there are none.
        """
        others = [donor for donor in self._donors if donor.row != one.row]
        there = [index for index in classes if any(donor.index == index for donor in others)]
        if not there:
            return None
        chosen = there[int(self._random.integers(len(there)))]
        found = [donor for donor in others if donor.index == chosen]
        found = [donor for donor in found if self._groups[donor.row] != self._groups[one.row]] or found
        found = [donor for donor in found if self._folds[donor.row] == self._folds[one.row]] or found
        return chosen, self._bare[found[int(self._random.integers(len(found)))].row]
