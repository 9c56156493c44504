"""A video's explanations at evenly spaced frames, in memory that does not grow with the video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from live_gradcam.explanations.explanation import Explanation

_CAPACITY = 1024


@dataclass(frozen=True)
class Sample:
    """What is kept of an explained frame.

    Attributes:
        index: of the frame.
        pts: its time in seconds.
        explanation: of it, without `logits` and `probabilities`, which are empty.
    """

    index: int
    pts: Fraction
    explanation: Explanation


class Timeline:
    """Keeps the explanations of frames that are evenly spaced over however many there are.

    It begins with every frame. When it is full it drops every second one, and from then on takes half as many. What is
    kept depends only on the frames that were added.

    Args:
        capacity: how many samples are kept at most, the last frame's among them.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._room = capacity - 1  # one is for the last frame
        self._step = 1
        self._count = 0
        self._spaced: list[Sample] = []
        self._last: Sample | None = None

    def add(self, index: int, pts: Fraction, explanation: Explanation) -> None:
        """Add the next explained frame, at its time in seconds."""
        self._last = Sample(index, pts, _lighter(explanation))
        if self._count % self._step == 0:
            if len(self._spaced) == self._room:
                del self._spaced[1::2]
                self._step *= 2
            if self._count % self._step == 0:
                self._spaced.append(self._last)
        self._count += 1

    @property
    def samples(self) -> list[Sample]:
        """In the frames' order: the first frame's, then at even steps, and in any case the last frame's."""
        if self._last is None or self._last is self._spaced[-1]:
            return list(self._spaced)
        return [*self._spaced, self._last]


def _lighter(explanation: Explanation) -> Explanation:
    """Without what is large, and with copies of the maps: a view would keep those of a whole batch in memory."""
    light = explanation.without_scores()
    signs = None if light.signs is None else light.signs.copy()
    return replace(light, heatmaps=light.heatmaps.copy(), evidence=light.evidence.copy(), signs=signs)
