"""Write `live_gradcam/networks/photographs.jpg`: what the statistics of batch norms are compared on.

Five photographs of scikit-image's, each a square of 160 pixels, side by side: a cat (Stéfan van der Walt, CC0), a cup
of coffee (Rachel Michetti, CC0), a rocket (SpaceX, public domain), an astronaut (NASA, public domain) and grass (CC0).
Authors and licences are those of the docstrings of `skimage.data`.

    python benchmarks/reference/photographs.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from skimage import data

SIDE = 160
TARGET = Path(__file__).parents[2] / "live_gradcam" / "networks" / "photographs.jpg"


def square(image: np.ndarray) -> np.ndarray:
    """The middle square of an RGB or grey image, uint8 (SIDE, SIDE, 3) BGR."""
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], 3, axis=-1)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    middle = image[top : top + side, left : left + side, ::-1]
    return cv2.resize(np.ascontiguousarray(middle), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    images = [data.chelsea(), data.coffee(), data.rocket(), data.astronaut(), data.grass()]
    cv2.imwrite(str(TARGET), np.hstack([square(image) for image in images]), [cv2.IMWRITE_JPEG_QUALITY, 92])
