"""Steady over time: smoothed predictions and maps, and colours on a scale that follows the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from live_gradcam.explanations.explanation import Explanation, Target
from live_gradcam.explanations.vocabulary import Vocabulary

#: Seconds in which the full scale falls by a factor of e when what was seen is gone.
RELEASE_SECONDS = 10.0
#: The scale of the colours does not fall below so many times the noise floor.
_ABOVE_NOISE_FLOOR = 1.5


def weight_of_new(elapsed: float, seconds: float) -> float:
    """The weight of a new value against those before, after so many seconds; all of it for a time constant of 0."""
    return 1.0 if seconds <= 0 else -math.expm1(-max(0.0, elapsed) / seconds)


@dataclass(frozen=True)
class StableExplanation:
    """An explanation as it is to be drawn.

    Attributes:
        explanation: with smoothed predictions and maps. Its heatmaps are scaled to `full_scale`, not each to its own
            maximum; its evidence is that of the smoothed maps.
        full_scale: the evidence that a heatmap's 1 stands for; of the first one, where there are contrasts too.
        frame_size: (height, width) of the frame that was explained, in pixels.
    """

    explanation: Explanation
    full_scale: float
    frame_size: tuple[int, int]


@dataclass
class _SmoothedMap:
    """A class's map, in units of the score, as it was at a time."""

    values: np.ndarray
    time: float


class Stabilizer:
    """Smooths one explainer's explanations over time.

    Exponential by time, not by frame count: after `seconds`, a new picture has 1 − 1/e of the weight, at any frame
    rate. The scale of the colours is the largest recent evidence for the class that is shown: it rises at once and
    falls slowly, so that a frame with nothing to see stays pale instead of having its noise painted as evidence. Maps
    of what is contrasted with a class have a scale of their own: a difference of two scores is far smaller than one.

    Args:
        vocabulary: the names.
        seconds: the time constant; 0 smooths nothing, and the scale still follows the evidence.
        noise_floor: the evidence that the network finds in noise. The scale stays above it, but for contrasts.

    Attributes:
        seconds: the time constant; it may be changed at any time.
    """

    def __init__(self, vocabulary: Vocabulary, *, seconds: float, noise_floor: float = 0.0) -> None:
        self._vocabulary = vocabulary
        self.seconds = seconds
        self._least_full_scale = _ABOVE_NOISE_FLOOR * noise_floor
        self._maps: dict[Target, _SmoothedMap] = {}
        self._probabilities: np.ndarray | None = None
        self._full_scales: dict[int | None, float] = {}  # by what the maps' classes are contrasted with
        self._time = -math.inf

    @property
    def top_class(self) -> int | None:
        """What has the highest smoothed probability so far of all that is listed; None before the first frame."""
        return None if self._probabilities is None else self._vocabulary.best(self._probabilities, 1)[0].index

    def stabilize(
        self, explanation: Explanation, frame_size: tuple[int, int], time: float, *, pinned: int
    ) -> StableExplanation:
        """Take the next explanation in. Maps of hidden classes are left out, but for pinned ones.

        Args:
            explanation: of the next frame.
            frame_size: (height, width) of that frame in pixels.
            time: of the frame, in seconds, on any clock.
            pinned: how many of its maps stand first, as they are. The others follow by smoothed probability: without
                a pinned one, the first is that of the highest, if there is a map of that class.
        """
        probabilities = self._smooth_probabilities(explanation.probabilities, time)
        signed_maps = [
            self._smooth_map(target, signed_map, time)
            for target, signed_map in zip(explanation.explained, explanation.signed_maps, strict=True)
        ]
        self._forget(time)
        ranks = self._vocabulary.ranks(probabilities)
        shown = [
            position
            for position in range(pinned, len(signed_maps))
            if explanation.targets[position].index not in self._vocabulary.hidden
        ]
        order = [*range(pinned), *sorted(shown, key=lambda position: -ranks[explanation.targets[position].index])]
        smoothed = np.stack([signed_maps[position] for position in order])
        strengths = smoothed if explanation.signs is None else np.abs(smoothed)
        evidence = strengths.max(axis=(1, 2))
        contrasts = [explanation.explained[position].against for position in order]
        self._follow(contrasts, evidence, time)
        scales = np.array([self._full_scales[contrast] or 1.0 for contrast in contrasts], np.float32)[:, None, None]
        stable = replace(
            explanation,
            predictions=self._vocabulary.best(probabilities, len(explanation.predictions)),
            heatmaps=np.clip(strengths / scales, 0, 1),
            targets=tuple(
                self._vocabulary.prediction(explanation.targets[position].index, probabilities) for position in order
            ),
            contrasts=tuple(explanation.contrasts[position] for position in order if explanation.contrasts),
            signs=None if explanation.signs is None else np.sign(smoothed).astype(np.int8),
            evidence=evidence,
            probabilities=probabilities,
        )
        return StableExplanation(stable, self._full_scales[contrasts[0]], frame_size)

    def _follow(self, contrasts: Sequence[int | None], evidence: np.ndarray, time: float) -> None:
        """Have each scale follow the evidence of its first map."""
        release = math.exp(-max(0.0, time - self._time) / RELEASE_SECONDS)
        self._time = time
        before, self._full_scales = self._full_scales, {}
        for contrast, found in zip(contrasts, evidence, strict=True):
            if contrast not in self._full_scales:
                least = self._least_full_scale if contrast is None else 0.0
                self._full_scales[contrast] = max(before.get(contrast, 0.0) * release, float(found), least)

    def _smooth_probabilities(self, probabilities: np.ndarray, time: float) -> np.ndarray:
        if self._probabilities is None:
            self._probabilities = probabilities
        else:
            weight = np.float32(weight_of_new(time - self._time, self.seconds))
            self._probabilities = self._probabilities + weight * (probabilities - self._probabilities)
        return self._probabilities

    def _smooth_map(self, target: Target, signed_map: np.ndarray, time: float) -> np.ndarray:
        before = self._maps.get(target)
        if before is not None and before.values.shape == signed_map.shape:
            signed_map = before.values + np.float32(weight_of_new(time - before.time, self.seconds)) * (
                signed_map - before.values
            )
        self._maps[target] = _SmoothedMap(signed_map, time)
        return signed_map

    def _forget(self, time: float) -> None:
        """Drop the maps of classes that have not been among the best for so long that they say nothing any more."""
        limit = time - 5 * self.seconds
        self._maps = {target: smoothed for target, smoothed in self._maps.items() if smoothed.time >= limit}
