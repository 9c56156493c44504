"""From a recording's explanations, in order, to what is drawn and what is written down of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from live_gradcam.annotating.explaining import TimedExplanation
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.explanations.boxes import SteadyBoxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.stability import Stabilizer, StableExplanation
from live_gradcam.explanations.vocabulary import Vocabulary


@dataclass(frozen=True)
class TrackedFrame:
    """What becomes of an explained frame.

    Attributes:
        index: its number in the output.
        pts: its time in seconds.
        shown: what is drawn over it, and over the frames after it until the next one that is explained; with boxes
            only where they are drawn.
        numbers: the frame's own numbers, with boxes that are steady over time; None where nobody wants them.
    """

    index: int
    pts: Fraction
    shown: StableExplanation
    numbers: Explanation | None


class Tracker:
    """Tracks a recording's explanations: smooths what is drawn, keeps the colours' scale, and boxes steady.

    Args:
        options: how much.
        vocabulary: the names.
        noise_floor: what the network finds in noise; the scale does not fall near it.
        targets: how many classes were asked for.
    """

    def __init__(self, options: AnnotateOptions, vocabulary: Vocabulary, noise_floor: float, targets: int) -> None:
        self._options = options
        self._targets = targets
        self._stabilizer = Stabilizer(vocabulary, seconds=options.smooth, noise_floor=noise_floor)
        self._drawn_boxes = SteadyBoxes(threshold=options.boxes.threshold)
        self._boxes = SteadyBoxes(threshold=options.boxes.threshold)

    def track(self, frame: TimedExplanation, *, numbers: bool) -> TrackedFrame:
        """Take the next explanation in.

        Args:
            frame: what the network said of the next explained frame.
            numbers: whether somebody wants the frame's own numbers.
        """
        own = self._numbers(frame) if numbers else None
        return TrackedFrame(frame.index, frame.pts, self._shown(frame), own)

    def _shown(self, frame: TimedExplanation) -> StableExplanation:
        time = float(frame.pts)
        stable = self._stabilizer.stabilize(frame.explanation, frame.size, time, pinned=self._targets)
        drawn = self._of_shown_maps(stable.explanation)
        if self._options.boxes.drawn:
            drawn = self._drawn_boxes.steady(drawn, frame.size, time)
        return replace(stable, explanation=drawn)

    def _numbers(self, frame: TimedExplanation) -> Explanation:
        return self._boxes.steady(self._of_shown_maps(frame.explanation), frame.size, float(frame.pts))

    def _of_shown_maps(self, explanation: Explanation) -> Explanation:
        return explanation.of_maps(slice(self._options.shown_maps(self._targets)))
