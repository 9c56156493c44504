"""How pictures are explained."""

from __future__ import annotations

from dataclasses import dataclass, field

from live_gradcam.drawing.overlay import Overlay
from live_gradcam.errors import check_number
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions
from live_gradcam.sources.levels import Levels


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are explained.

    Attributes:
        overlay: draws the maps.
        boxes: which boxes there are, and whether they are drawn.
        levels: which of a picture's values are black and white; None for what the model's card and the file say, or
            else what the values of all files of a call are like.
        smooth_samples: over how many noisy copies of a picture its maps are averaged; 0 for the maps of itself.
        overwrite: whether files that exist may be replaced.

    Raises:
        UsageError: a number of copies that is not possible.
    """

    overlay: Overlay = field(default_factory=Overlay)
    boxes: BoxOptions = DEFAULT_BOXES
    levels: Levels | None = None
    smooth_samples: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_number("--smooth-grad", self.smooth_samples, least=0)
