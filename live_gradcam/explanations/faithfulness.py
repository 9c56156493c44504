"""How faithful a map is to the network: the field's measures, as functions of arrays.

`pixels` is the network's input picture, uint8 (height, width, 3) BGR; `saliency` is a map enlarged to it, float32
(height, width) in 0…1; probabilities are the network's answer for the explained class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from live_gradcam.explanations.explanation import Region
from live_gradcam.explanations.fits import enlarged

#: Left, top, right, bottom of an object in picture pixels, right and bottom just outside.
ObjectBox = tuple[float, float, float, float]

#: Of the pointing game, in picture pixels.
POINTING_TOLERANCE = 15.0
#: Of the blur that insertion starts from: its standard deviation is so many of 224 pixels.
_BLUR, _BLUR_SIDE = 5, 224
#: (height, width) of the random map that orders equally salient pixels: as coarse as most networks' last maps.
_TIES_SIZE = 7, 7
#: Of the centred blob: its standard deviation as a share of the side.
_BLOB_SIGMA = 0.25


def blurred(pixels: np.ndarray) -> np.ndarray:
    """What insertion starts from: the picture under the blur of RISE's code, scaled to the input's size.

    There it is a Gaussian of σ = 5 cut off at 11 × 11 pixels, for an input of 224 × 224
    (https://github.com/eclique/RISE, Evaluation.ipynb).
    """
    sigma = max(1, round(_BLUR * min(pixels.shape[:2]) / _BLUR_SIDE))
    return cv2.GaussianBlur(pixels, (2 * sigma + 1, 2 * sigma + 1), sigma).reshape(pixels.shape)


def pixel_order(saliency: np.ndarray) -> np.ndarray:
    """The pixels from the most to the least salient: their positions in reading order, int64 (height · width,).

    Equally salient ones, such as all those where there is no evidence, come in the order of a random map, always the
    same, so that a map of no evidence counts as one. Picked at random each by itself they would be noise, which deletes
    what a network knows faster than any map; in reading order the picture's top would be favoured.
    """
    ties = enlarged(random_map(_TIES_SIZE, seed=0), (saliency.shape[0], saliency.shape[1]))
    return np.lexsort((-ties.reshape(-1), -saliency.reshape(-1)))


def replaced(pixels: np.ndarray, by: np.ndarray, order: np.ndarray, steps: int) -> Iterator[np.ndarray]:
    """The picture with the first 0, 1 / steps, 2 / steps, … and at last all of the pixels replaced.

    With the mean colour instead of the picture's pixels this is deletion, and with the picture's pixels instead of
    blurred ones insertion, of Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models",
    BMVC 2018 (https://arxiv.org/abs/1806.07421).

    Args:
        pixels: what is there at first, (height, width, channels).
        by: what takes its place: a picture, or a colour for all of it.
        order: of `pixel_order`.
        steps: how many.

    Yields:
        steps + 1 pictures like the first one.
    """
    channels = pixels.shape[-1]
    source = np.broadcast_to(by, pixels.shape).reshape(-1, channels)
    for step in range(steps + 1):
        positions = order[: round(len(order) * step / steps)]
        picture = pixels.copy()
        picture.reshape(-1, channels)[positions] = source[positions]
        yield picture


def area_under_curve(probabilities: np.ndarray) -> float:
    """The area, 0…1, under the probabilities after equal steps over the share 0…1 of pixels: the trapezoid rule.

    For deletion the lower, for insertion the higher the better (see `replaced`).
    """
    return float(np.trapezoid(probabilities, dx=1 / (len(probabilities) - 1)))


def explanation_map(pixels: np.ndarray, saliency: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """The picture times its map: each pixel as far towards the mean colour as its saliency is below 1.

    In the network's input, where the mean colour is 0, this is the product of Chattopadhay et al. (see `drop`).

    Args:
        pixels: the network's input picture.
        saliency: its map.
        colour: uint8 (3,), BGR, that is nothing to the network: see `Preprocessing.mean_colour`.

    Returns:
        uint8 (height, width, 3).
    """
    faded = colour + saliency[..., np.newaxis] * (pixels.astype(np.float32) - colour)
    return np.rint(faded).astype(np.uint8)


def drop(whole: float, explained: float) -> float:
    """By how many per cent the probability falls when only the explanation map is shown; 0 if it rises.

    Its mean over pictures is the "average drop" of Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual
    Explanations for Deep Convolutional Networks", WACV 2018, section 5 (https://arxiv.org/abs/1710.11063). A map
    that is 1 everywhere has none: compare with the controls.

    Args:
        whole: the probability for the picture.
        explained: that for its explanation map.
    """
    return 100 * max(0.0, whole - explained) / whole if whole > 0 else 0.0


def increase(whole: float, explained: float) -> float:
    """100 if the probability rises when only the explanation map is shown, else 0.

    Its mean over pictures is the "increase in confidence" of Chattopadhay et al., in per cent; see `drop`.
    """
    return 100.0 if explained > whole else 0.0


def hit(saliency: np.ndarray, region: Region, boxes: Sequence[ObjectBox]) -> float:
    """100 if the map's highest point is in a box or at most 15 picture pixels from it, else 0: the pointing game.

    Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016 (https://arxiv.org/abs/1608.00507), with
    that tolerance. Its mean over pictures is the accuracy in per cent. Of several highest points the first in reading
    order counts; a map of no evidence misses.

    Args:
        saliency: a map at the input's size.
        region: the part of the picture that it covers.
        boxes: of the objects of the class.
    """
    if not saliency.any():
        return 0.0
    row, column = np.unravel_index(int(np.argmax(saliency)), saliency.shape)
    height, width = saliency.shape
    x = region.x + (column + 0.5) * region.width / width
    y = region.y + (row + 0.5) * region.height / height
    distances = [
        np.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom)) for left, top, right, bottom in boxes
    ]
    return 100.0 if min(distances, default=np.inf) <= POINTING_TOLERANCE else 0.0


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of the same shape, -1…1, equal values having the mean of their ranks.

    Between a map and that of the same class by the network with a random head, it is the measure of Adebayo et al.,
    "Sanity Checks for Saliency Maps", NeurIPS 2018 (https://arxiv.org/abs/1810.03292): near 0 the map
    depends on the head, at 1 it does not, as that of Eigen-CAM, which is of no class. A map that is the same
    everywhere has no ranks: its correlation is 0, and 1 with itself.
    """
    a, b = _centred_ranks(first), _centred_ranks(second)
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else float(np.array_equal(first, second))


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value less their mean, float64 (n,); equal values have the mean of their ranks."""
    _, places, counts = np.unique(values.reshape(-1), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return ranks[places] - (values.size + 1) / 2


def random_map(size: tuple[int, int], seed: int) -> np.ndarray:
    """A control: a map of uniform noise, float32 (h, w) in 0…1, that knows nothing of the picture.

    It is to have the resolution of the maps that it is compared with: the finer the noise that is deleted, the faster
    the probability falls.
    """
    return np.random.default_rng(seed).random(size, np.float32)


def centred_blob(size: tuple[int, int]) -> np.ndarray:
    """A control: a Gaussian in the middle, σ a quarter of each side, float32 (h, w) in 0…1: photographers centre."""
    rows, columns = ((np.arange(side) + 0.5) / side - 0.5 for side in size)
    squares = (rows[:, np.newaxis] ** 2 + columns**2) / _BLOB_SIGMA**2
    return np.exp(-squares / 2).astype(np.float32)
