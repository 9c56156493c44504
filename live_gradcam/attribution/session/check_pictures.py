"""Pictures on which ways to run a network are compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np

from live_gradcam.attribution.fit_choice import Stream
from live_gradcam.attribution.photograph import photograph
from live_gradcam.networks.pixel_scale import photographs

#: The shorter side of a part of a photograph, as a share of the photograph's.
_LEAST, _MOST = 0.4, 1.0


def check_pictures(count: int) -> Iterator[np.ndarray]:
    """Parts of photographs, half of them flipped: always the same ones.

    They are parts of the six photographs that this package has, in turn: a cat's head twice, a cup of coffee, a rocket,
    an astronaut, and grass.

    Args:
        count: how many.

    Yields:
        uint8 (height, width, 3), BGR, of the size of a usual video.
    """
    return islice(_parts([photograph(), *photographs()]), count)


def _parts(pictures: list[np.ndarray]) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(0)
    height, width = Stream().frame_size
    is_flipped = False
    while True:
        for picture in pictures:
            across = round(picture.shape[1] * generator.uniform(_LEAST, _MOST))
            down = round(across * height / width)
            top = generator.integers(0, picture.shape[0] - down + 1)
            left = generator.integers(0, picture.shape[1] - across + 1)
            part = cv2.resize(picture[top : top + down, left : left + across], (width, height))
            yield np.ascontiguousarray(part[:, ::-1]) if is_flipped else part
        is_flipped = not is_flipped
