"""Maps averaged over noisy copies of a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from live_gradcam.attribution.methods.method import OnProgress
from live_gradcam.errors import check_number
from live_gradcam.explanations.explanation import Explanation


def smoothed(
    explanation: Explanation,
    pixels: np.ndarray,
    explain: Callable[[np.ndarray], Explanation],
    *,
    samples: int,
    noise: float,
    on_progress: OnProgress | None = None,
) -> Explanation:
    """An explanation with the mean of the maps, after their ReLU, of noisy copies of its frame.

    Maps with signs are averaged with them: what rises in one copy and falls in another cancels out.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017 (https://arxiv.org/abs/1706.03825), with maps
    in the place of gradients, as in Smooth Grad-CAM++ (https://arxiv.org/abs/1908.01224). Always the same noise.

    Args:
        explanation: of the frame.
        pixels: uint8 (height, width, 3), BGR: the frame as the network sees it.
        explain: explains a copy for the same classes.
        samples: how many copies.
        noise: standard deviation of the Gaussian noise, as a share of the 256 levels of a pixel.
        on_progress: called after each copy: (copies explained, copies in all).

    Raises:
        UsageError: there is no copy to explain.
    """
    check_number("samples", samples, least=1)
    generator = np.random.default_rng(0)
    total = np.zeros_like(explanation.heatmaps)
    for sample in range(samples):
        noisy = pixels + generator.normal(0, 256 * noise, pixels.shape)
        total += explain(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).signed_maps
        if on_progress is not None:
            on_progress(sample + 1, samples)
    signs = None if explanation.signs is None else np.sign(total).astype(np.int8)
    strengths = np.abs(total)
    highest = strengths.max(axis=(1, 2))
    heatmaps = strengths / np.where(highest > 0, highest, 1)[:, None, None]
    return replace(explanation, heatmaps=heatmaps, evidence=highest / samples, signs=signs)
