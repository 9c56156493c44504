"""What is said once of a network's answers, where nobody can be sure of them: empty maps, and guessed pixels."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from live_gradcam.flow.threads import DetachedThread

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.attribution.plan import Plan
    from live_gradcam.explanations.explanation import Explanation

_log = logging.getLogger(__name__)

#: Logits of more than this are absurd: of two classes, one would be e^100 times as probable as the other.
_ABSURD_LOGIT = 100.0
#: Of a frame's pixels, from which on there is something in it.
_LEAST_DEVIATION = 2.0
#: Of a stream's frame, about so many rows and columns are looked at: all of a large one would take milliseconds.
_SAMPLED = 32


class Notice(Protocol):
    """Looks at what is explained, and says something once where there is something to say.

    Several threads may explain, and have it look.
    """

    def look_at(self, frame: np.ndarray, explanation: Explanation, *, wait: bool = True) -> None:
        """Take note of an explained frame.

        Args:
            frame: uint8 (height, width, 3), BGR; it must not change any more.
            explanation: of the frame.
            wait: False for a stream, which nothing may hold up: what takes long is done in a thread of its own.
        """


class EmptyMaps:
    """Says that a map is 0 everywhere, and what can be the reason: once for each method, target layer and fit."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()
        self._looking = threading.Lock()

    def look_at(self, frame: np.ndarray, explanation: Explanation, *, wait: bool = True) -> None:
        """See `Notice`."""
        made_by = explanation.method, explanation.layer, explanation.fit
        with self._looking:
            if made_by in self._said or explanation.heatmaps[0].any():
                return
            self._said.add(made_by)
        target = explanation.targets[0].label
        if explanation.is_undefined:
            _log.warning(
                "the map is empty: at %s it is not a number (NaN), because the gradient for %s is 0 / 0 or infinite "
                "there. Look at another layer with --layer, or use a method without gradients, such as --method "
                "score-cam",
                explanation.layer,
                target,
            )
            return
        if explanation.against:
            _log.warning("the map is empty: at %s nothing speaks against %s", explanation.layer, target)
            return
        _log.warning(
            "the map is empty: at %s nothing speaks for %s. See what speaks against it with --method counterfactual, "
            "or look at another layer with --layer",
            explanation.layer,
            target,
        )


class GuessedPixels:
    """Asks about the first frame with raw pixels too, where their scale is a guess, and says where the answers differ.

    Args:
        plan: of a classifier whose pixels are a guess.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._is_done = False
        self._looking = threading.Lock()

    def look_at(self, frame: np.ndarray, explanation: Explanation, *, wait: bool = True) -> None:
        """See `Notice`."""
        with self._looking:
            if self._is_done:
                return
            pixels = frame if wait else _sample(frame)
            if pixels.std() < _LEAST_DEVIATION:  # of a black frame all scales are alike
                return
            self._is_done = True
        if wait:
            self._compare(frame, explanation)
        else:
            DetachedThread(self._compare, "compare-pixels", (frame, explanation)).start()

    def _compare(self, frame: np.ndarray, explanation: Explanation) -> None:
        from live_gradcam.attribution.other_pixels import best_class_with

        classifier = self._plan.classifier
        guess = classifier.pixel_guess or ""
        asked = "unit" if guess == "raw" else "raw"
        other = best_class_with(self._plan, frame, asked)
        own = explanation.predictions[0]
        if own.value is None and abs(explanation.logits).max(initial=0) > _ABSURD_LOGIT:
            _log.warning(
                "%s: its scores are absurdly large (%.3g). Its pixels are probably scaled in another way. Set the "
                "right one with --preprocessing",
                classifier.name,
                abs(explanation.logits).max(),
            )
        elif other.index != own.index or other.value is not None:
            _log.warning(
                "%s answers %s %s with %s pixels, a guess, and %s %s with %s pixels. Set the right ones with "
                "--preprocessing",
                classifier.name,
                own.label,
                own.amount(),
                guess,
                other.label,
                other.amount(),
                asked,
            )


def _sample(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return frame[:: max(1, height // _SAMPLED), :: max(1, width // _SAMPLED)]
