"""A picture with its explanation, and how a notebook shows it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.drawing.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP, Overlay
from live_gradcam.drawing.sheet import Sheet, ShownAsSheet, blended_with, panels_sheet
from live_gradcam.errors import LiveGradcamError
from live_gradcam.explanations.as_json import picture_json
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.pictures.given import CHANNELS, Channels

if TYPE_CHECKING:
    import pandas

#: Of what `ExplainedPicture.to_json` gives. New fields may come under the same number.
SCHEMA = 1


@dataclass(frozen=True, repr=False)
class ExplainedPicture(ShownAsSheet):
    """A picture with its explanation. At the end of a notebook's cell it shows itself.

    Attributes:
        source: the file that it was read from; None for a picture that was in memory.
        image: uint8 (height, width, 3), BGR.
        explanation: of it, with the boxes of its maps.
        panels: the file that the panels were written to; None if they were not.
        colormap: in which colours the maps are drawn.
        alpha: how much these weigh, 0…1.
        draws_boxes: whether the boxes are drawn.
    """

    source: Path | None
    image: np.ndarray
    explanation: Explanation
    panels: Path | None = None
    colormap: str = DEFAULT_COLORMAP
    alpha: float = DEFAULT_ALPHA
    draws_boxes: bool = False

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"ExplainedPicture({self.source or 'in memory'}, {width}×{height} pixels, {self.explanation})"

    # --- as plain values ------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values, as `live-gradcam explain --json` writes them: see docs/json.md."""
        height, width = self.image.shape[:2]
        explanation = self.explanation
        numbers = picture_json(
            explanation,
            (height, width),
            model=explanation.model,
            method=explanation.method,
            layer=explanation.layer,
        )
        return {"schema": SCHEMA, "image": None if self.source is None else str(self.source), **numbers}

    def to_dict(self) -> dict[str, Any]:
        """The same as `to_json`, by the name that it has in notebooks."""
        return self.to_json()

    def to_dataframe(self) -> pandas.DataFrame:
        """A pandas table with a row for each prediction, the best first.

        Its columns are `image`, `index`, `label`, `probability` (or `value`), and `explained`: whether a map is of that
        class.

        Raises:
            LiveGradcamError: pandas is not installed.
        """
        explained = {target.index for target in self.explanation.targets}
        return as_dataframe(
            {
                "image": None if self.source is None else str(self.source),
                "index": prediction.index,
                "label": prediction.label,
                "probability" if prediction.value is None else "value": prediction.number,
                "explained": prediction.index in explained,
            }
            for prediction in self.explanation.predictions
        )

    # --- as a picture ---------------------------------------------------------------------------------------------

    def overlay(self, channels: Channels = "rgb") -> np.ndarray:
        """The first map over the picture.

        Args:
            channels: the order of the result's channels: "rgb", as Matplotlib and PIL have it, or "bgr", as OpenCV has.

        Returns:
            uint8 (height, width, 3), of the picture's size.
        """
        CHANNELS.check(channels)
        drawn = blended_with(self.image, self.explanation.of_map(0), self.drawer(), boxes=self.draws_boxes)
        return np.ascontiguousarray(drawn[..., ::-1]) if channels == "rgb" else drawn

    def drawer(self) -> Overlay:
        """What draws its maps."""
        return Overlay(self.colormap, self.alpha)

    def _sheet(self) -> Sheet:
        return panels_sheet(self.image, self.explanation, self.drawer(), boxes=self.draws_boxes)


def as_dataframe(rows: Iterable[dict[str, Any]]) -> pandas.DataFrame:
    """Rows as a pandas table.

    Raises:
        LiveGradcamError: pandas is not installed.
    """
    if importlib.util.find_spec("pandas") is None:
        raise LiveGradcamError("a table needs pandas: pip install pandas")
    import pandas

    return pandas.DataFrame(list(rows))
