"""Numbers and examples in the words of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.fitting.dataset import Example

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted
    from live_gradcam.fitting.report.mistakes import Mistake


#: Between a number and its unit: no line breaks there.
_GAP = "\u00a0"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 as per cent: never 100 % or 0 % of what is only close to it."""
    if share is None or not np.isfinite(share):
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f}{_GAP}%"
    text = f"{100 * share:.{digits}f}"
    if float(text) == 100:
        text = f">{100 - 10**-digits:.{digits}f}"
    elif float(text) == 0:
        text = f"<{10**-digits:.{digits}f}"
    return f"{text}{_GAP}%"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things: "1 picture", "1 234 pictures"."""
    return f"{count:,}".replace(",", "\u202f") + f" {one if count == 1 else many or one + 's'}"


def shortened(text: str, most: int = 36) -> str:
    """A text of so many letters at most, with an ellipsis where it is longer."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def number(value: float) -> str:
    """A value with four digits."""
    return f"{value:.4g}"


def name_of(example: Example) -> str:
    """A short name of an example: of a frame with its time."""
    return example.path.name if example.time is None else f"{example.path.name} at {example.time:.1f} s"


def mistake_captions(mistake: Mistake, fitted: Fitted) -> tuple[str, list[str]]:
    """What a mistake is, and what its picture and each of its maps show."""
    classes, answers = fitted.dataset.classes, fitted.held_out[mistake.row]
    name = name_of(fitted.dataset.examples[mistake.row])
    target = fitted.dataset.targets[mistake.row]
    if fitted.dataset.task == "values":
        title = f"{classes[0]} is {number(float(target))}, predicted {number(float(answers[0]))}"
        return title, [name, f"what raises {classes[0]}"]
    if fitted.dataset.task == "labels":
        label = mistake.targets[0]
        given = percent(float(answers[label]))
        title = f"{classes[label]} missed ({given})" if target[label] else f"{classes[label]} is not there ({given})"
        return title, [name, f"where it looks for {classes[label]}"]
    said, true = mistake.targets
    return f"{classes[true]}, taken for {classes[said]}", [
        name,
        f"why {classes[said]} ({percent(float(answers[said]))})",
        f"why {classes[true]} ({percent(float(answers[true]))})",
    ]
