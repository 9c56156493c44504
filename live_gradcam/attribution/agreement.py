"""How far two explainers of one network give the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from live_gradcam.attribution.targets import Targets
    from live_gradcam.explanations.explanation import Explanation


@dataclass(frozen=True)
class Agreement:
    """How far two explainers agree on some frames.

    Attributes:
        top1: the share of the frames with the same top class.
        map_correlation: the mean correlation of the maps of one class. Maps that are even all over do not count.
        map_correlation_min: the least.
    """

    top1: float
    map_correlation: float
    map_correlation_min: float


#: Explains a frame for some classes; None for its top class.
Explain = Callable[["np.ndarray", "Targets"], "Explanation"]


def compare_answers(frames: Iterable[np.ndarray], reference: Explain, other: Explain) -> Agreement:
    """Compare two explainers.

    Args:
        frames: uint8 (height, width, 3), BGR, at least one.
        reference: explains the top class of each frame.
        other: explains the same classes.
    """
    same, correlations = [], []
    for frame in frames:
        expected = reference(frame, None)
        actual = other(frame, expected.target)
        same.append(actual.predictions[0].index == expected.predictions[0].index)
        maps = expected.heatmaps[0], actual.heatmaps[0]
        if all(heatmap.std() > 0 for heatmap in maps):
            correlations.append(np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1])
    return Agreement(
        top1=float(np.mean(same)),
        map_correlation=float(np.mean(correlations)) if correlations else 1.0,
        map_correlation_min=float(np.min(correlations)) if correlations else 1.0,
    )
