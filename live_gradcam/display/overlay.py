"""The heatmap as colours, laid over the picture."""

from __future__ import annotations

import cv2
import numpy as np

from live_gradcam.cam.explanation import Explanation
from live_gradcam.cam.fit import heatmap_on_frame
from live_gradcam.errors import UsageError, did_you_mean

#: Name, as `--colormap` spells it, to OpenCV's number.
COLORMAPS: dict[str, int] = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name)
    for name in sorted(dir(cv2))
    if name.startswith("COLORMAP_")
}
DEFAULT_COLORMAP = "turbo"
DEFAULT_ALPHA = 0.5

#: From this share of the maximum on, the colour has its full weight; below, it fades out and the picture stays clear.
_FULL_WEIGHT_FROM = 0.4


class Overlay:
    """Draws heatmaps over frames.

    The colour says how strong the map is, on a fixed scale from 0 to the map's maximum; its weight is `alpha` where the
    map is strong and fades to nothing where the map is 0, so that what the network did not use is seen as it is.

    Args:
        colormap: a key of `COLORMAPS`.
        alpha: weight of the colours where the map is strong, 0…1.

    Raises:
        UsageError: no such colour map, or an alpha outside 0…1.
    """

    def __init__(self, colormap: str = DEFAULT_COLORMAP, alpha: float = DEFAULT_ALPHA) -> None:
        if colormap not in COLORMAPS:
            hint = did_you_mean(colormap, COLORMAPS) or f": use one of {', '.join(COLORMAPS)}"
            raise UsageError(f"there is no colour map {colormap!r}{hint}")
        if not 0 <= alpha <= 1:
            raise UsageError(f"alpha is {alpha}: it must be from 0 (only the picture) to 1 (only the colours)")
        levels = np.arange(256, dtype=np.uint8)[:, None]
        self._colours = cv2.applyColorMap(levels, COLORMAPS[colormap])
        weights = alpha * np.minimum(1.0, np.arange(256) / (255 * _FULL_WEIGHT_FROM))[:, None, None]
        self._weighted_colours = np.rint(self._colours * weights).astype(np.uint8)
        self._picture_weights = np.repeat(np.rint(255 * (1 - weights)).astype(np.uint8), 3, axis=2)

    def colours(self, explanation: Explanation, frame_size: tuple[int, int]) -> np.ndarray:
        """The target's heatmap alone, coloured: uint8 (height, width, 3) BGR for a frame of (height, width) pixels."""
        return cv2.applyColorMap(self._levels(explanation, frame_size), self._colours)

    def blend(self, image: np.ndarray, explanation: Explanation) -> np.ndarray:
        """The target's heatmap over the picture.

        Args:
            image: uint8 (height, width, 3), BGR: the frame that was explained. It is not changed.
            explanation: of that frame.

        Returns:
            A new picture of the same shape.
        """
        levels = self._levels(explanation, image.shape[:2])
        picture = cv2.multiply(image, cv2.applyColorMap(levels, self._picture_weights), scale=1 / 255)
        return cv2.add(picture, cv2.applyColorMap(levels, self._weighted_colours), dst=picture)

    def _levels(self, explanation: Explanation, frame_size: tuple[int, int]) -> np.ndarray:
        return heatmap_on_frame(explanation.heatmaps[0], explanation.region, frame_size)
