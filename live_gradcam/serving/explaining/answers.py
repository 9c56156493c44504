"""What the page is told of an explained frame: facts as JSON, and small maps that it draws by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from live_gradcam.drawing.overlay import contrast_of
from live_gradcam.explanations.as_json import explanation_json, rounded
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.surfaces.scene import LiveExplanation

_FULL, _SIGNED_FULL = 255, 127


def facts_of(explained: LiveExplanation) -> dict[str, Any]:
    """The part of an answer's JSON that says what was explained, and how: see docs/page-messages.md.

    Args:
        explained: with the boxes of each of its maps.
    """
    explanation = explained.explanation
    height, width = explained.frame.image.shape[:2]
    return {
        "frame": {"width": width, "height": height},
        "explanation": None if explanation is None else explanation_json(explanation),
        "model": explained.model,
        "method": explained.method,
        "layer": explained.layer,
        "is_untaught": explained.is_untaught,
        "full_scale": rounded(explained.full_scale),
        "against": explanation is not None and explanation.against,
        "maps": _shape_of(explanation),
    }


def _shape_of(explanation: Explanation | None) -> dict[str, Any]:
    count, height, width = (0, 0, 0) if explanation is None else explanation.heatmaps.shape
    is_signed = explanation is not None and explanation.signs is not None
    return {"count": count, "height": height, "width": width, "signed": is_signed}


def maps_of(explanation: Explanation | None) -> bytes:
    """The maps as the page gets them: count · height · width bytes, row by row.

    Levels 0…255 as uint8; of a method whose maps have signs, the contrast of the detail as int8, −127…127.
    """
    if explanation is None:
        return b""
    if explanation.signs is not None:
        contrast = contrast_of(explanation.heatmaps * explanation.signs)
        return np.rint(_SIGNED_FULL * contrast).astype(np.int8).tobytes()
    return np.clip(_FULL * explanation.heatmaps + 0.5, 0, _FULL).astype(np.uint8).tobytes()
