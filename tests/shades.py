"""What a picture is shown as."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from live_gradcam.sources.image import read_image
from live_gradcam.sources.levels import Levels


def shades_of(path: Path, levels: Levels | None = None) -> list[int]:
    """The shades of a picture of one row, which is grey."""
    image = read_image(path, levels)
    assert image.dtype == np.uint8
    assert (image == image[..., :1]).all()
    shades: list[int] = image[0, :, 0].tolist()
    return shades
