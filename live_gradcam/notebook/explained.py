"""What the kernel has of an explained picture: the page's answer as an `Explanation`, and snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from live_gradcam.drawing.overlay import Overlay, detail_of
from live_gradcam.explanations.explanation import Box, Explanation, Prediction, Region

_FULL, _SIGNED_FULL = 255, 127


@dataclass(frozen=True)
class Snapshot:
    """A picture that somebody kept, and what the network said of it.

    Attributes:
        picture: uint8 (height, width, 3), BGR, as the camera gave it.
        explanation: of this picture, in its pixels; None for a black one.
        time: when it was taken, in seconds on the browser's clock, which goes on evenly.
    """

    picture: np.ndarray
    explanation: Explanation | None
    time: float

    def overlay(self, overlay: Overlay | None = None) -> np.ndarray:
        """The picture with the heatmap over it: uint8 (height, width, 3), BGR.

        Args:
            overlay: draws it; None for the usual colours.
        """
        if self.explanation is None:
            return self.picture.copy()
        return (overlay or Overlay()).blend(self.picture, self.explanation)

    def _repr_png_(self) -> bytes:
        return cv2.imencode(".png", self.overlay())[1].tobytes()

    def __repr__(self) -> str:
        height, width = self.picture.shape[:2]
        seen = "nothing" if self.explanation is None else self.explanation.targets[0].label
        return f"Snapshot({width}x{height}, {seen})"


def explanation_of(facts: dict[str, Any], maps: bytes, size: tuple[int, int] | None = None) -> Explanation | None:
    """An answer to a frame as an explanation. See docs/page-messages.md.

    Args:
        facts: the answer's JSON.
        maps: count · height · width bytes: the heatmaps have steps of 1/255.
        size: (height, width) of the picture in whose pixels region and boxes are to be; None for the frame's, which is
            often smaller than the camera's picture.

    Returns:
        Without the scores of all classes, which the page does not get. None for a black frame, while nothing is taught
        yet, and while something is compiled.
    """
    said = facts["explanation"]
    if said is None:
        return None
    frame, shape = facts["frame"], facts["maps"]
    height, width = size or (frame["height"], frame["width"])
    across, down = width / frame["width"], height / frame["height"]
    predictions = tuple(map(_prediction, said["predictions"]))
    known = {prediction.index: prediction for prediction in predictions}
    rows = said.get("maps", [said])
    heatmaps, signs = _maps(maps, (shape["count"], shape["height"], shape["width"]), is_signed=shape["signed"])
    x, y, wide, high = said["region"]
    nothing = np.empty(0, np.float32)
    contrasts = tuple(_named(known, row["contrast"], row["contrast_label"]) for row in rows)
    return Explanation(
        predictions,
        heatmaps,
        tuple(_named(known, row["target"], row["target_label"]) or predictions[0] for row in rows),
        np.array([row["evidence"] for row in rows], np.float32),
        nothing,
        nothing,
        Region(x * across, y * down, wide * across, high * down),
        tuple(tuple(_box(box, across, down) for box in row["boxes"]) for row in rows),
        facts["against"],
        contrasts if any(contrasts) else (),
        said["fit"],
        said["tiles"],
        signs,
        facts["model"],
        facts["method"],
        facts["layer"],
    )


def _prediction(said: dict[str, Any]) -> Prediction:
    finest = said.get("finest")
    return Prediction(
        said["index"],
        said["label"],
        said.get("probability", float("nan")),
        None if finest is None else _prediction(finest),
        said.get("value"),
    )


def _named(known: dict[int, Prediction], index: int | None, label: str | None) -> Prediction | None:
    """A class of the list, or one below it, whose probability is not known then."""
    if index is None:
        return None
    return known.get(index) or Prediction(index, label or "", float("nan"))


def _maps(content: bytes, shape: tuple[int, ...], *, is_signed: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """The heatmaps, float32 in 0…1, and their signs where they have some."""
    if not is_signed:
        return np.frombuffer(content, np.uint8).reshape(shape).astype(np.float32) / _FULL, None
    detail = detail_of(np.frombuffer(content, np.int8).reshape(shape).astype(np.float32) / _SIGNED_FULL)
    return np.abs(detail), np.sign(detail).astype(np.int8)


def _box(sides: list[int], across: float, down: float) -> Box:
    left, top, right, bottom = sides
    return Box(round(left * across), round(top * down), round(right * across), round(bottom * down))
