"""What was made at one time of the training: maps of some pictures, and sheets to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property

import cv2
import numpy as np

from live_gradcam.drawing.hud import map_name
from live_gradcam.drawing.names import legible
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.text import put_text
from live_gradcam.explanations.explanation import Explanation, Region

#: Of a sheet: the shorter side of a picture in it at least, the gap between pictures, and the size of the text.
_SHORTEST_SIDE, _GAP, _TEXT = 224, 8, 16
_STRIP = 2 * _TEXT
#: How much work goes into making a PNG file small. The first step saves half of it, and the others a fifth more.
_COMPRESSION = 1


@dataclass(frozen=True, eq=False)
class PictureMaps:
    """The maps of one picture.

    Attributes:
        number: which picture, from 1 on.
        picture: uint8 (height, width, 3), BGR, of the size of the model's input.
        prediction: with the map of what the model says.
        truth: with the map of the class that the picture is of; None where nobody knows it.
    """

    number: int
    picture: np.ndarray
    prediction: Explanation
    truth: Explanation | None

    @classmethod
    def of(cls, number: int, picture: np.ndarray, explanation: Explanation, truth: int | None) -> PictureMaps:
        """Sort the maps of an explanation, the first of which is that of the true class, where it is known."""
        position = [target.index for target in explanation.targets].index(explanation.predictions[0].index)
        prediction = explanation.of_map(position)
        return cls(number, picture, prediction, None if truth is None else explanation.of_map(0))

    @property
    def is_right(self) -> bool | None:
        """Whether the model says what the picture is; None where nobody knows it."""
        return None if self.truth is None else self.truth.target == self.prediction.target

    @property
    def sheet_size(self) -> tuple[int, int]:
        """(height, width) of the sheet in pixels."""
        height, width = self._panel_size
        panels = 2 if self.truth is None else 3
        return _STRIP + height, panels * (width + _GAP) - _GAP

    @property
    def _panel_size(self) -> tuple[int, int]:
        """(height, width) of each picture in the sheet."""
        height, width = self.picture.shape[:2]
        scale = max(1, _SHORTEST_SIDE / min(height, width))
        return round(scale * height), round(scale * width)

    @cached_property
    def png(self) -> bytes:
        """The sheet as a PNG file."""
        return cv2.imencode(".png", self.sheet(), [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])[1].tobytes()

    def sheet(self, overlay: Overlay | None = None) -> np.ndarray:
        """The picture, the map of the true class, and the map of the prediction, side by side under a line each.

        Args:
            overlay: draws the maps; None for the usual one.

        Returns:
            uint8 (height', width', 3), BGR. A picture smaller than 224 pixels is enlarged.
        """
        overlay = overlay or _usual_overlay()
        height, width = self._panel_size
        picture = cv2.resize(self.picture, (width, height), interpolation=cv2.INTER_CUBIC)
        panels = [("picture", picture)]
        for kind, one in (("truth", self.truth), ("prediction", self.prediction)):
            if one is not None:
                on_panel = replace(one, region=Region(0, 0, width, height))
                title = f"{kind} {map_name(legible(one))} {one.targets[0].amount()}"
                panels.append((title, overlay.blend(picture, on_panel)))
        sheet = np.zeros((*self.sheet_size, 3), np.uint8)
        for position, (title, panel) in enumerate(panels):
            left = position * (width + _GAP)
            sheet[_STRIP:, left : left + width] = panel
            put_text(sheet, title, (left + 4, round(1.35 * _TEXT)), _TEXT, max_width=width - 8)
        return sheet


@cache
def _usual_overlay() -> Overlay:
    return Overlay()


@dataclass(frozen=True)
class Faithfulness:
    """How faithful the predictions' maps are, as means over the pictures: see docs/faithfulness.md.

    Attributes:
        deletion: the area under the probability while the most salient pixels are removed, 0…1: the lower the better.
        insertion: while they are put into a blurred picture: the higher the better.
    """

    deletion: float
    insertion: float


@dataclass(frozen=True)
class TrainingMaps:
    """The maps of all pictures at one time of the training.

    Attributes:
        epoch: from 0 on, as Keras counts.
        batch: how many batches of the epoch were done; None at its end.
        step: what a chart is drawn over: the epoch, or of maps after batches how many batches were done in all.
        pictures: the maps, one for each picture.
        faithfulness: where it was asked for; else None.
    """

    epoch: int
    batch: int | None
    step: int
    pictures: tuple[PictureMaps, ...]
    faithfulness: Faithfulness | None = None


@dataclass(frozen=True)
class EpochCost:
    """What the maps of an epoch cost.

    Attributes:
        epoch: from 0 on.
        seconds: of the maps.
        training_seconds: of everything else in the epoch.
    """

    epoch: int
    seconds: float
    training_seconds: float

    @property
    def share(self) -> float:
        """The seconds of the maps for each second of the rest."""
        return self.seconds / self.training_seconds if self.training_seconds > 0 else 0.0
