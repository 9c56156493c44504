"""From a frame and its explanation to what is seen of them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from live_gradcam.drawing.hud import BarArea, Hud, draw_hud
from live_gradcam.drawing.views import compose, mirrored, resized
from live_gradcam.explanations.boxes import SteadyBoxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.fits import shrink
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.texts import Texts
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.scene import LiveExplanation, Scene

_DIMMED = 0.4


class Presenter:
    """Makes scenes, and draws their pictures.

    Args:
        state: what is to be seen.
        texts: says what is written.
        boxes: finds the boxes, and keeps them steady.
    """

    def __init__(self, state: LiveState, texts: Texts, boxes: SteadyBoxes) -> None:
        self._state = state
        self._texts = texts
        self._boxes = boxes

    def scene(
        self, frame: Frame, explained: LiveExplanation | None, *, drawn: bool = True, dimmed: bool = False
    ) -> Scene:
        """What is seen of a frame.

        Args:
            frame: the frame.
            explained: the newest explanation. Of a frame of another size, it is not shown.
            drawn: draw the heatmap and the text; False leaves the picture as the frame is.
            dimmed: draw the picture dark: its source is gone.
        """
        if explained is not None and explained.frame.image.shape != frame.image.shape:
            explained = None
        if explained is not None and self._state.boxes:
            explained = self.boxed(explained, maps=None if self._state.view == "grid" else 1)
        hud = self._texts.hud(explained)
        state = self._state.to_json()
        if not drawn:
            return Scene(frame.image, (), frame, explained, hud, state)

        def draw(size: tuple[int, int]) -> tuple[np.ndarray, list[BarArea]]:
            explanation = explained.explanation if explained else None
            return self._draw(*_at_size(frame.image, explanation, size), hud, dimmed=dimmed)

        picture, areas = draw((frame.image.shape[0], frame.image.shape[1]))
        return Scene(picture, areas, frame, explained, hud, state, draw)

    def boxed(self, explained: LiveExplanation, *, maps: int | None = None) -> LiveExplanation:
        """An explained frame with steady boxes, of all its maps or of the first ones."""
        stable = explained.stable
        if stable is None:
            return explained
        time, self._boxes.seconds = explained.frame.captured_at, self._state.smooth
        with_boxes = self._boxes.steady(stable.explanation, stable.frame_size, time, maps=maps)
        return replace(explained, stable=replace(stable, explanation=with_boxes))

    def _draw(
        self, image: np.ndarray, explanation: Explanation | None, hud: Hud, *, dimmed: bool
    ) -> tuple[np.ndarray, list[BarArea]]:
        overlay = self._state.overlay
        if self._state.mirror:
            image, explanation = _as_in_a_mirror(image, explanation)
        areas: list[BarArea] = []
        if explanation is None:
            picture = image.copy()
        else:
            picture, areas = compose(self._state.view, image, explanation, overlay, boxes=self._state.boxes)
        if dimmed:
            picture = np.asarray(cv2.convertScaleAbs(picture, alpha=_DIMMED))
        return picture, areas + draw_hud(picture, hud, explanation, overlay)


def _at_size(
    image: np.ndarray, explanation: Explanation | None, size: tuple[int, int]
) -> tuple[np.ndarray, Explanation | None]:
    """A frame at (height, width), and its explanation."""
    if image.shape[:2] == size:
        return image, explanation
    if explanation is None:
        return shrink(image, size[1], size[0]), None
    return resized(image, explanation, size)


def _as_in_a_mirror(image: np.ndarray, explanation: Explanation | None) -> tuple[np.ndarray, Explanation | None]:
    if explanation is None:
        return np.asarray(cv2.flip(image, 1)), None
    return mirrored(image, explanation)
