"""A viewer's newest explained frame as the window would show it, for those who want a picture and no page."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from live_gradcam.attribution.fit_choice import describe_fit
from live_gradcam.drawing.hud import UNTAUGHT, Hud, draw_hud
from live_gradcam.drawing.views import compose, mirrored
from live_gradcam.live_loop.state import LiveState
from live_gradcam.surfaces.scene import LiveExplanation

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 90]


class Drawable(Protocol):
    """A viewer who has something to see."""

    state: LiveState
    explained: LiveExplanation | None

    @property
    def rate(self) -> float:
        """How many frames per second are explained."""


def drawn_jpeg(viewer: Drawable) -> bytes:
    """The newest explained frame, drawn, as a JPEG; empty before the first."""
    explained, state = viewer.explained, viewer.state
    if explained is None:
        return b""
    picture = _drawn(explained, state, viewer.rate)
    return cv2.imencode(".jpg", picture, _QUALITY)[1].tobytes()


def _drawn(explained: LiveExplanation, state: LiveState, rate: float) -> np.ndarray:
    image, explanation = explained.frame.image, explained.explanation
    if explanation is None:
        picture = np.asarray(cv2.flip(image, 1)) if state.mirror else image.copy()
        notes, banner = ([UNTAUGHT], None) if explained.is_untaught else ([], "BLACK PICTURE")
        hud = Hud(notes, minimal_note="".join(notes), banner=banner, level=state.hud)
        draw_hud(picture, hud, None, state.overlay)
        return picture
    if state.mirror:
        image, explanation = mirrored(image, explanation)
    picture, _ = compose(state.view, image, explanation, state.overlay, boxes=state.boxes)
    notes = [
        f"{rate:.1f} FPS",
        explained.model,
        f"{explained.method} · {explained.layer}",
        f"fit: {describe_fit(explanation.fit, explanation.tiles)}",
        f"pinned: {explanation.targets[0].label}" if state.pinned else "top class",
    ]
    hud = Hud(
        notes=notes,
        minimal_note=notes[0],
        full_scale=explained.full_scale,
        names_classes=state.view != "grid",
        notes_in_a_line=state.view in ("grid", "side-by-side"),
        level=state.hud,
    )
    draw_hud(picture, hud, explanation, state.overlay)
    return picture
