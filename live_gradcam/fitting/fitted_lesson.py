"""What teaching goes on from after a fit: the features of the pictures that it was fitted to, without the pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live_gradcam.errors import UsageError
from live_gradcam.fitting.dataset import Dataset
from live_gradcam.fitting.examples import Lesson, TaughtExample
from live_gradcam.fitting.taught_class import NOTHING
from live_gradcam.fitting.taught_head import UNITS

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted


def check_teachable(dataset: Dataset) -> None:
    """Make sure that teaching has room for the classes of a fit.

    Raises:
        UsageError: they are too many, or what is predicted is no class.
    """
    if dataset.task != "classes":
        raise UsageError(f"--teachable is for classes, and this is a fit of {dataset.task}: leave it out")
    _, names = _nothing_and_others(dataset)
    if len(names) >= UNITS:
        raise UsageError(
            f"{len(names)} classes are too many to be taught: give at most {UNITS - 1}, and one that is called "
            f"{NOTHING}, or leave --teachable out"
        )


def lesson_of_fit(fitted: Fitted) -> Lesson:
    """The lesson that a fit is: a group of pictures is a burst. Pictures of val and test are left out.

    Args:
        fitted: of classes that `check_teachable` takes.
    """
    dataset = fitted.dataset
    nothing, names = _nothing_and_others(dataset)
    places = {name: place for place, name in enumerate([nothing, *names])}
    examples = [
        TaughtExample(
            places[dataset.classes[dataset.targets[row]]], int(fitted.groups[row]) + 1, fitted.features[row], None
        )
        for row in dataset.rows_of("train")
    ]
    return Lesson((nothing, *names), tuple(examples), fitted.backbone.fit)


def _nothing_and_others(dataset: Dataset) -> tuple[str, list[str]]:
    """What the class of nothing is called, and the other classes, one that differs from it in case alone among them."""
    nothing = next((name for name in dataset.classes if name.casefold() == NOTHING), NOTHING)
    return nothing, [name for name in dataset.classes if name != nothing]
