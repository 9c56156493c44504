"""An explanation as plain numbers, for JSON."""

from __future__ import annotations

import math
from typing import Any

from live_gradcam.explanations.explanation import Explanation, Prediction


def rounded(number: float) -> float | None:
    """A number in any unit with seven digits in all: a float32 has no more. Small ones keep theirs, as 2.5e-07.

    What is infinite or no number is None: JSON has no word for it.
    """
    return _finite(float(f"{number:.7g}"))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Predictions, target and boxes of an explained frame.

    Args:
        explanation: with its boxes.

    Returns:
        `predictions`: [{`index`, `label`, `probability`}], best first, a group of classes with its most probable one
        as `finest`, a value with `value` instead of `probability`; `fit`: how the frame entered the network, as
        `tiles` parts; `region`: x, y, width and height in frame pixels of what the maps cover; of the first map
        `target`: the index of the class that it explains; `target_label`; `contrast` and `contrast_label`: what that is
        contrasted with, or null; `evidence`: the map's maximum before scaling; `empty`: whether it is 0 everywhere;
        `boxes`: [left, top, right, bottom] in frame pixels around each region of the map, the largest first; `box`: the
        first of them, or null. Where there are several maps, `maps`: the same for each.
    """
    region = explanation.region
    how = {
        "fit": explanation.fit,
        "tiles": explanation.tiles,
        "region": [round(side, 3) for side in (region.x, region.y, region.width, region.height)],
    }
    maps = [_map_json(explanation.of_map(position)) for position in range(len(explanation.targets))]
    several = {"maps": maps} if len(maps) > 1 else {}
    return {"predictions": list(map(_prediction_json, explanation.predictions)), **how, **maps[0], **several}


def _prediction_json(prediction: Prediction) -> dict[str, Any]:
    finest = {} if prediction.finest is None else {"finest": _prediction_json(prediction.finest)}
    amount = (
        {"probability": _finite(round(prediction.probability, 6))}
        if prediction.value is None
        else {"value": rounded(prediction.value)}
    )
    return {"index": prediction.index, "label": prediction.label, **amount, **finest}


def _map_json(explanation: Explanation) -> dict[str, Any]:
    """Of the first map."""
    target = explanation.targets[0]
    boxes = [list(box) for box in explanation.boxes[0]]
    contrast = explanation.contrasts[0] if explanation.contrasts else None
    return {
        "target": target.index,
        "target_label": target.label,
        "contrast": contrast.index if contrast else None,
        "contrast_label": contrast.label if contrast else None,
        "evidence": rounded(explanation.evidence[0]),
        "empty": explanation.empty[0],
        "box": boxes[0] if boxes else None,
        "boxes": boxes,
    }


def picture_json(
    explanation: Explanation | None, frame_size: tuple[int, int], *, model: str, method: str, layer: str
) -> dict[str, Any]:
    """All there is to know of one explained picture of (height, width) pixels.

    Args:
        explanation: with its boxes; None for a picture that was not explained.
        frame_size: (height, width).
        model: the network's name.
        method: the method's name.
        layer: the target layer.

    Returns:
        `width`, `height`, `model`, `method`, `layer`; where it was explained, what `explanation_json` gives, and
        `heatmap`: rows of 0…1 at the target layer's resolution.
    """
    height, width = frame_size
    numbers = {"width": width, "height": height, "model": model, "method": method, "layer": layer}
    if explanation is None:
        return numbers
    return {
        **numbers,
        **explanation_json(explanation),
        "heatmap": [[round(float(value), 6) for value in row] for row in explanation.heatmaps[0]],
    }
