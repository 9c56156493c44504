"""Variants of a picture: as it might have been taken as well."""

from __future__ import annotations

import zlib
from typing import Any

import cv2
import numpy as np

#: How many variants there are besides the picture itself.
VARIANTS = 3
_SMALLEST_SHARE, _CONTRAST, _BRIGHTNESS = 0.75, 0.2, 20.0


def variants(picture: np.ndarray, seed: int) -> np.ndarray:
    """A picture, and variants of it: parts of it, mirrored or not, lighter or darker, with more or less contrast.

    Args:
        picture: uint8 (height, width, 3).
        seed: of what is drawn at random; another picture draws other numbers.

    Returns:
        uint8 (1 + VARIANTS, height, width, 3): the first is the picture itself.
    """
    random = np.random.default_rng((seed, zlib.crc32(picture.tobytes())))
    return np.stack([picture, *(_variant(picture, random) for _ in range(VARIANTS))])


def _variant(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    share = random.uniform(_SMALLEST_SHARE, 1)
    part_height, part_width = max(1, round(height * share)), max(1, round(width * share))
    top, left = random.integers(height - part_height + 1), random.integers(width - part_width + 1)
    part = picture[top : top + part_height, left : left + part_width]
    part = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.5:
        part = part[:, ::-1]
    contrast = 1 + random.uniform(-_CONTRAST, _CONTRAST)
    brightness = random.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    mean: Any = part.mean()
    return np.clip((part - mean) * contrast + mean + brightness, 0, 255).astype(np.uint8)
