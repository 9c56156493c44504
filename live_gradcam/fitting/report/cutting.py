"""Objects cut out of their pictures, pictures without their objects, and the ones laid on the others."""

from __future__ import annotations

import cv2
import numpy as np

from live_gradcam.explanations.fits import shrink
from live_gradcam.fitting.masks import Object

#: What is finer than this, in pixels, is texture: the standard deviation of a Gaussian.
_FINE = 3.0
#: So many times the median of the texture's strength.
_STANDS_OUT = 3.0


def laid_on(image: np.ndarray, where: Object, background: np.ndarray) -> np.ndarray:
    """An object, at its own place, on another background.

    Args:
        image: uint8 (h, w, 3), BGR. What is transparent in its file is laid on white, as `read_image` gives it.
        where: the object in it.
        background: uint8 (any height, any width, 3), BGR; its middle is used, in the image's shape.

    Returns:
        uint8 (h, w, 3), BGR.
    """
    height, width = image.shape[:2]
    behind = _covering(background, (height, width)).astype(np.float32)
    if where.by == "transparency":
        seen_through = 1 - where.opacity[..., np.newaxis]
        return np.clip(np.rint(image + seen_through * (behind - 255)), 0, 255).astype(np.uint8)
    # The rim of a mask shows some of what was behind the object.
    opacity = cv2.GaussianBlur(cv2.erode(where.opacity, np.ones((3, 3))), (3, 3), 0)[..., np.newaxis]
    return np.rint(opacity * image + (1 - opacity) * behind).astype(np.uint8)


def without_object(image: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """A picture without its object: the hole shows what lies beside it, and, where that is not enough, its colours.

    Args:
        image: uint8 (h, w, 3), BGR.
        opacity: float32 (h, w) in 0…1, of the object.

    Returns:
        uint8 (h, w, 3), BGR.
    """
    hole = cv2.dilate((opacity > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if hole.all():
        return np.full_like(image, 127)
    pixels, known = image.astype(np.float32), ~hole
    smooth = _pulled(pixels * known[..., np.newaxis], known.astype(np.float32))
    filled = np.where(known[..., np.newaxis], pixels, smooth)
    texture = np.where(known[..., np.newaxis], pixels - cv2.GaussianBlur(filled, (0, 0), _FINE), 0)
    # What stands out, such as an edge, is no texture: it would be seen as a thing.
    most = _STANDS_OUT * float(np.median(np.abs(texture[known])))
    texture = np.clip(texture, -most, most)
    beside = np.roll(texture, _shift(hole), (0, 1))
    filled[hole] = np.clip(smooth + beside, 0, 255)[hole]
    return np.rint(filled).astype(np.uint8)


def _shift(hole: np.ndarray) -> tuple[int, int]:
    """By how many (rows, columns) a picture is moved so that as little as possible of the hole lies on itself."""
    height, width = hole.shape
    shifts = [(sign * height // part, 0) for part in (2, 3) for sign in (1, -1)]
    shifts += [(0, sign * width // part) for part in (2, 3) for sign in (1, -1)]
    return min(shifts, key=lambda shift: int((hole & np.roll(hole, shift, (0, 1))).sum()))


def _pulled(colours: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Colours where there are weights, and means of the nearest ones where there are none, over ever larger places.

    Args:
        colours: float32 (h, w, 3), times their weights.
        weights: float32 (h, w) in 0…1.
    """
    means = colours / np.maximum(weights, 1e-6)[..., np.newaxis]
    height, width = weights.shape
    if min(height, width) < 2:
        total = max(float(weights.sum()), 1e-6)
        return np.where((weights > 0)[..., np.newaxis], means, colours.sum(axis=(0, 1)) / total).astype(np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    smaller = _pulled(
        cv2.resize(colours, size, interpolation=cv2.INTER_AREA), cv2.resize(weights, size, interpolation=cv2.INTER_AREA)
    )
    behind = cv2.resize(smaller, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.minimum(weights, 1)[..., np.newaxis]
    return np.asarray(share * means + (1 - share) * behind, np.float32)


def _covering(background: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a picture, in the shape of (height, width), at that size."""
    height, width = size
    scale = min(background.shape[0] / height, background.shape[1] / width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (background.shape[0] - rows) // 2, (background.shape[1] - columns) // 2
    return shrink(background[top : top + rows, left : left + columns], width, height)


def at_most(image: np.ndarray, longest: int) -> np.ndarray:
    """A picture, uint8 (h, w, 3), no longer than so many pixels on its longer side."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    return shrink(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
