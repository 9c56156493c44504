"""An explanation as plain numbers, for JSON."""

from __future__ import annotations

from typing import Any

from live_gradcam.cam.boxes import largest_box
from live_gradcam.cam.explanation import Explanation


def explanation_record(explanation: Explanation, frame_size: tuple[int, int]) -> dict[str, Any]:
    """Predictions, target and box of an explained frame of (height, width) pixels.

    Returns:
        `predictions`: [{`index`, `label`, `probability`}], best first; `target`: the index of the class that the map
        explains; `target_label`; `evidence`: the map's maximum before scaling; `box`: [left, top, right, bottom]
        in frame pixels around the largest part of the map above 15 % of its maximum, or null.
    """
    target = explanation.targets[0]
    box = largest_box(explanation.heatmaps[0], explanation.region, frame_size)
    return {
        "predictions": [
            {"index": p.index, "label": p.label, "probability": round(p.probability, 6)}
            for p in explanation.predictions
        ],
        "target": target.index,
        "target_label": target.label,
        "evidence": round(float(explanation.evidence[0]), 6),
        "box": list(box) if box else None,
    }


def picture_record(
    explanation: Explanation | None, frame_size: tuple[int, int], *, model: str, method: str, layer: str
) -> dict[str, Any]:
    """All there is to know of one explained picture of (height, width) pixels.

    Args:
        explanation: None for a picture that was not explained.
        frame_size: (height, width).
        model: the network's name.
        method: the method's name.
        layer: the target layer.

    Returns:
        `width`, `height`, `model`, `method`, `layer`; where it was explained, what `explanation_record` gives, and
        `heatmap`: rows of 0…1 at the target layer's resolution.
    """
    height, width = frame_size
    record = {"width": width, "height": height, "model": model, "method": method, "layer": layer}
    if explanation is None:
        return record
    return {
        **record,
        **explanation_record(explanation, frame_size),
        "heatmap": [[round(float(value), 6) for value in row] for row in explanation.heatmaps[0]],
    }
