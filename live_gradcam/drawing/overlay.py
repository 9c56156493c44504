"""The heatmap as colours, laid over the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from live_gradcam.errors import UsageError, did_you_mean
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.fits import detail_on_frame, heatmap_on_frame, heatmap_patch

#: Name, as `--colormap` spells it, to OpenCV's number.
COLORMAPS: dict[str, int] = {
    name.removeprefix("COLORMAP_").lower(): getattr(cv2, name)
    for name in sorted(dir(cv2))
    if name.startswith("COLORMAP_")
}
DEFAULT_COLORMAP = "turbo"
#: Those that differ to the eye, most of them of even steps in brightness.
COLORMAPS_TO_STEP_THROUGH = ("turbo", "inferno", "viridis", "cividis", "magma", "hot", "jet")
DEFAULT_ALPHA = 0.5

#: Of what speaks against a class, (level, BGR): from navy over azure to violet. The strong end is what is seen over a
#: picture, and of OpenCV's colour maps only RAINBOW and COOL end near violet; none of those that a key steps through.
_AGAINST = ((0.0, (48, 10, 10)), (0.35, (255, 130, 20)), (0.7, (255, 60, 70)), (1.0, (245, 20, 150)))

#: From this share of the maximum on, the colour has its full weight; below, it fades out and the picture stays clear.
_FULL_WEIGHT_FROM = 0.4

#: Signed detail is drawn as light and dark on this grey. A few pixels are far stronger than all others: with the root
#: of the strength the others are seen too, and from a third of the strongest on it is white, or black.
_GREY, _DETAIL_GAIN = 127.5, 1.75

#: From this many numbers on, waking a second thread costs less than it saves.
_WORTH_A_THREAD = 1_000_000


def _interpolated(colours: Sequence[tuple[float, tuple[int, int, int]]]) -> np.ndarray:
    """Colours (level in 0…1, BGR) and all between them: uint8 (256, 1, 3)."""
    levels, steps = [level for level, _ in colours], np.array([colour for _, colour in colours])
    channels = [np.interp(np.linspace(0, 1, 256), levels, steps[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)[:, None]


_AGAINST_SCALE = _interpolated(_AGAINST)


def colours_against() -> np.ndarray:
    """The colour of each level of maps of what speaks against their class: uint8 (256, 1, 3), BGR."""
    return _AGAINST_SCALE


def contrast_of(detail: np.ndarray) -> np.ndarray:
    """How much lighter or darker than the grey signed detail in -1…1 is drawn: of the same shape, in -1…1."""
    return np.clip(_DETAIL_GAIN * np.sign(detail) * np.sqrt(np.abs(detail)), -1, 1)


def detail_of(contrast: np.ndarray) -> np.ndarray:
    """The signed detail in −1…1 that is drawn with a contrast: what `contrast_of` was given, if it did not saturate."""
    return np.sign(contrast) * np.square(contrast / _DETAIL_GAIN)


def _checked_colormap(name: str) -> str:
    if name not in COLORMAPS:
        hint = did_you_mean(name, COLORMAPS) or f": use one of {', '.join(COLORMAPS)}"
        raise UsageError(f"there is no colour map {name!r}{hint}")
    return name


def _checked_alpha(alpha: float) -> float:
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha is {alpha}: it must be from 0 (only the picture) to 1 (only the colours)")
    return float(alpha)


_DETAIL_SCALE = np.rint(_GREY * (1 + contrast_of(np.linspace(0, 1, 256)))).astype(np.uint8)[:, None, None].repeat(3, 2)


class Overlay:
    """Draws heatmaps over frames.

    The colour says how strong the map is, on a fixed scale from 0 to the map's maximum; its weight is `alpha` where the
    map is strong and fades to nothing where the map is 0, so that what the network did not use is seen as it is. Maps
    of what speaks against their class have colours of their own, from azure to violet, so that they are not taken for
    evidence.

    Maps with signs, as guided Grad-CAM's, are drawn as their field does: light where the score rises with the pixel and
    dark where it falls, on grey. Over a picture, the picture becomes pale, so that it is not taken for detail.

    Args:
        colormap: a key of `COLORMAPS`, for maps of what speaks for their class.
        alpha: weight of the colours where the map is strong, 0…1.

    Raises:
        UsageError: no such colour map, or an alpha outside 0…1.
    """

    def __init__(self, colormap: str = DEFAULT_COLORMAP, alpha: float = DEFAULT_ALPHA) -> None:
        self.colormap = _checked_colormap(colormap)
        self.alpha = _checked_alpha(alpha)
        self._prepare()
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="overlay")
        self._buffers: dict[str, np.ndarray] = {}

    def _prepare(self) -> None:
        levels = np.arange(256, dtype=np.uint8)[:, None]
        weights = self.alpha * np.minimum(1.0, np.arange(256) / (255 * _FULL_WEIGHT_FROM))
        #: For maps of what speaks for their class (False) and against it (True).
        self._scales = {False: np.asarray(cv2.applyColorMap(levels, COLORMAPS[self.colormap])), True: _AGAINST_SCALE}
        self._weighted_scales = {
            against: np.rint(scale * weights[:, None, None]).astype(np.uint8) for against, scale in self._scales.items()
        }
        self._picture_weights = np.rint(255 * (1 - weights)).astype(np.uint8)

    def scale_of(self, explanation: Explanation) -> np.ndarray:
        """The colour of each level of an explanation's maps: uint8 (256, 1, 3), BGR. Of detail, where the sign is 1."""
        if explanation.signs is not None:
            return _DETAIL_SCALE
        return self._scales[explanation.against]

    def use_alpha(self, alpha: float) -> None:
        """Give the colours another weight, 0…1. Raises UsageError for any other number."""
        self.alpha = _checked_alpha(alpha)
        self._prepare()

    def change_alpha(self, step: float) -> None:
        """Make the colours weigh more, or less, within 0…1."""
        self.use_alpha(min(1.0, max(0.0, round(self.alpha + step, 2))))

    def use_colormap(self, colormap: str) -> None:
        """Use other colours, a key of `COLORMAPS`. Raises UsageError for any other name."""
        self.colormap = _checked_colormap(colormap)
        self._prepare()

    def next_colormap(self) -> None:
        """Go on to the next of `COLORMAPS_TO_STEP_THROUGH`."""
        position = COLORMAPS_TO_STEP_THROUGH.index(self.colormap) if self.colormap in COLORMAPS_TO_STEP_THROUGH else -1
        self.use_colormap(COLORMAPS_TO_STEP_THROUGH[(position + 1) % len(COLORMAPS_TO_STEP_THROUGH)])

    def colours(self, explanation: Explanation, frame_size: tuple[int, int]) -> np.ndarray:
        """The target's heatmap alone, coloured: uint8 (height, width, 3) BGR for a frame of (height, width) pixels."""
        if explanation.signs is not None:
            grey = np.full((*frame_size, 3), _GREY, np.float32)
            return _with_detail(grey, explanation, strength=1)
        levels = heatmap_on_frame(explanation.heatmaps[0], explanation.region, frame_size)
        return cv2.applyColorMap(levels, self.scale_of(explanation))

    def blend(self, image: np.ndarray, explanation: Explanation, *, in_place: bool = False) -> np.ndarray:
        """The target's heatmap over the picture.

        Args:
            image: uint8 (height, width, 3), BGR: the frame that was explained.
            explanation: of that frame.
            in_place: draw on the image itself, which saves a copy; otherwise it is not changed.

        Returns:
            The picture, of the same shape. Not for several threads at a time: buffers are kept for the next call.
        """
        picture = image if in_place else image.copy()
        if explanation.signs is not None:
            kept = (1 - self.alpha) ** 2
            pale = kept * image.astype(np.float32) + (1 - kept) * _GREY
            picture[:] = _with_detail(pale, explanation, strength=min(1, 2 * self.alpha))
            return picture
        patch = heatmap_patch(explanation.heatmaps[0], explanation.region, image.shape[:2])
        if patch is not None:
            weighted_scale = self._weighted_scales[explanation.against]
            self._blend_patch(picture[patch.rows, patch.columns], patch.levels, weighted_scale)
        return picture

    def _blend_patch(self, picture: np.ndarray, levels: np.ndarray, weighted_scale: np.ndarray) -> None:
        """Turn the picture into picture · weight + weighted colour.

        Weights and colours are made of the small map and then enlarged, which costs less than looking up each pixel's
        own; they are as smooth as the map.
        """
        height, width = picture.shape[:2]
        colours = self._enlarged("colours", cv2.applyColorMap(levels, weighted_scale), (height, width, 3))
        weights = self._enlarged("weights", cv2.LUT(levels, self._picture_weights), (height, width))
        weights_of_channels = self._buffer("weights of channels", (height, width, 3))

        def blend_rows(rows: slice) -> None:
            factors = cv2.cvtColor(weights[rows], cv2.COLOR_GRAY2BGR, dst=weights_of_channels[rows])
            part = cv2.multiply(picture[rows], factors, dst=picture[rows], scale=1 / 255)
            cv2.add(part, colours[rows], dst=part)

        if picture.size < _WORTH_A_THREAD:
            blend_rows(slice(None))
            return
        lower_half = self._helper.submit(blend_rows, slice(height // 2, height))  # OpenCV's sums use one thread each
        blend_rows(slice(height // 2))
        lower_half.result()

    def _enlarged(self, name: str, small: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        size = (shape[1], shape[0])
        return cv2.resize(small, size, dst=self._buffer(name, shape), interpolation=cv2.INTER_LINEAR)

    def _buffer(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Memory to write to: fresh memory would cost as much as what is written."""
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = np.empty(size, np.uint8)
        return self._buffers[name][:size].reshape(shape)


def _with_detail(picture: np.ndarray, explanation: Explanation, *, strength: float) -> np.ndarray:
    """A picture, float32 (height, width, 3), made lighter and darker by a signed map: uint8, of the same shape."""
    assert explanation.signs is not None
    contrast = contrast_of(explanation.heatmaps[0] * explanation.signs[0])
    on_frame = detail_on_frame(contrast, explanation.region, picture.shape[:2])
    lit = picture + _GREY * strength * on_frame[..., np.newaxis]
    return np.rint(np.clip(lit, 0, 255)).astype(np.uint8)
