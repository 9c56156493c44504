"""What a live run gives a surface to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from live_gradcam.drawing.hud import BarArea, Hud
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.stability import StableExplanation
from live_gradcam.sources.frame import Frame


@dataclass(frozen=True)
class LiveExplanation:
    """A frame with the explanation that was computed from it.

    Attributes:
        frame: as the source gave it.
        stable: its explanation, smoothed over time; None for a frame that is black all over, or one of a network
            that was taught nothing yet.
        model: the network's name.
        method: the method's name.
        layer: the target layer.
        is_untaught: whether the network is being taught, and was taught nothing yet.
    """

    frame: Frame
    stable: StableExplanation | None
    model: str
    method: str
    layer: str
    is_untaught: bool = False

    @property
    def explanation(self) -> Explanation | None:
        """The smoothed explanation; None where there is none."""
        return None if self.stable is None else self.stable.explanation

    @property
    def full_scale(self) -> float:
        """The evidence that a heatmap's 1 stands for; 0 where there is no explanation."""
        return 0.0 if self.stable is None else self.stable.full_scale


#: Draws a scene at another (height, width): the picture, and where a click on it means a class.
Redraw = Callable[[tuple[int, int]], tuple[np.ndarray, Sequence[BarArea]]]


@dataclass(frozen=True)
class Scene:
    """What there is to see at a moment. Nobody changes it, so other threads may keep it.

    Attributes:
        picture: uint8 (height, width, 3), BGR: what a surface shows that does not draw itself. It has the heatmap and
            the text, or is the frame's own image, as the surface wants it.
        areas: where a click on the picture means a class.
        frame: the frame.
        explained: the newest explanation, which may be of an earlier frame; None before the first one.
        hud: the text, for a surface that draws itself.
        state: what a person has chosen, for JSON: see `LiveState.to_json`.
        redraw: draws it smaller, with text that is legible at that size, for a surface that has less room than the
            picture takes. It is called in `Surface.show`, if at all; None where the picture is not drawn.
    """

    picture: np.ndarray
    areas: Sequence[BarArea]
    frame: Frame
    explained: LiveExplanation | None
    hud: Hud
    state: Mapping[str, Any]
    redraw: Redraw | None = None
