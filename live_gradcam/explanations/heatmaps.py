"""From raw maps, in units of the score, to heatmaps in 0…1. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from live_gradcam.explanations.fits import enlarged


def scale(raw_maps: np.ndarray, *, relu: bool) -> tuple[np.ndarray, np.ndarray]:
    """Each map to 0…1, and what its 1 stands for.

    Args:
        raw_maps: float32 (maps, h, w).
        relu: from 0 to the maximum, without what is below 0; False: from the minimum to the maximum.

    Returns:
        float32 (maps, h, w), and (maps,): the maxima before, with `relu` at least 0. A map of no evidence is 0.
    """
    evidence, lowest = np.asarray(raw_maps.max(axis=(1, 2))), np.asarray(raw_maps.min(axis=(1, 2)))
    if relu:
        evidence, lowest = np.maximum(evidence, 0), np.zeros_like(lowest)
    return _over(np.maximum(raw_maps - _wide(lowest), 0), evidence - lowest), evidence


def fuse(heatmaps: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """The mean of several layers' heatmaps at the finest one's size, scaled to 0…1.

    Args:
        heatmaps: of each layer, float32 (maps, h, w) in 0…1.
        weights: of each layer, what each of its maps counts, (maps,); None for all the same.
    """
    if weights is not None:
        heatmaps = [of_layer * _wide(weight) for of_layer, weight in zip(heatmaps, weights, strict=True)]
    size = max(one.shape[1] for one in heatmaps), max(one.shape[2] for one in heatmaps)
    stretched = np.array([[enlarged(heatmap, size) for heatmap in one] for one in heatmaps])
    mean: np.ndarray = stretched.mean(axis=0)
    return _over(mean, mean.max(axis=(1, 2)))


def _over(maps: np.ndarray, divisors: np.ndarray) -> np.ndarray:
    """Each map over its divisor; 0 where that is 0."""
    return maps / _wide(np.where(divisors > 0, divisors, np.float32(np.inf)))


def _wide(numbers: np.ndarray) -> np.ndarray:
    """A number for each map, to be combined with maps."""
    return numbers[:, np.newaxis, np.newaxis]
