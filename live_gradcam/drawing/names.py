"""The names of classes as they can be drawn on this machine."""

from __future__ import annotations

import logging
from dataclasses import replace

from live_gradcam.drawing.scripts import is_legible
from live_gradcam.explanations.explanation import Explanation, Prediction

_log = logging.getLogger(__name__)

#: The name that a line was said for: one is enough.
_said: list[str] = []


def legible(explanation: Explanation) -> Explanation:
    """The same with names that can be drawn; see `named_legibly`."""
    shown = *explanation.predictions, *explanation.targets, *(one for one in explanation.contrasts if one is not None)
    if all(is_legible(one.label) and (one.finest is None or is_legible(one.finest.label)) for one in shown):
        return explanation
    return replace(
        explanation,
        predictions=tuple(map(named_legibly, explanation.predictions)),
        targets=tuple(map(named_legibly, explanation.targets)),
        contrasts=tuple(None if one is None else named_legibly(one) for one in explanation.contrasts),
    )


def named_legibly(prediction: Prediction) -> Prediction:
    """A class with a name that can be drawn: "class 4" where no font of this machine has its letters.

    The first time that there is such a name, a line says so.
    """
    finest = None if prediction.finest is None else named_legibly(prediction.finest)
    if is_legible(prediction.label):
        return prediction if finest is prediction.finest else replace(prediction, finest=finest)
    number = f"class {prediction.index}"
    if not _said:
        _said.append(prediction.label)
        _log.warning(
            "no font of this machine can write the name %s: the picture shows %s. Other names in such letters are "
            "shown by their numbers too. Install a font that has them, and libfribidi",
            prediction.label,
            number,
        )
    return replace(prediction, label=number, finest=finest)
