"""The colours of the page's maps."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from live_gradcam.drawing.overlay import COLORMAPS, colours_against

#: The name of the colours of maps that speak against their class.
AGAINST = "against"


@functools.cache  # as many as there are colour maps, and what visitors ask for beside them
def colour_table(name: str) -> bytes | None:
    """256 × RGB bytes; None where there are no such colours."""
    if name == AGAINST:
        scale = colours_against()
    elif name in COLORMAPS:
        scale = np.asarray(cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], COLORMAPS[name]))
    else:
        return None
    return np.ascontiguousarray(scale.reshape(256, 3)[:, ::-1]).tobytes()
