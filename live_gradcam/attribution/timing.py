"""How long frames take, timed once and remembered like the layers' forms."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer


def time_of_frame(explainer: Explainer, frame_size: tuple[int, int]) -> float:
    """The milliseconds that one frame of (height, width) pixels takes."""
    explainer.warm_up(frame_size=frame_size)
    outline = explainer.outline
    frames = cycle(np.random.default_rng(0).integers(0, 256, (2, *frame_size, 3), np.uint8))
    lowering = "" if outline.options.compiling.lowering else " not rewritten"
    what = f"{outline.name}{lowering} {explainer.layer} {explainer.method} {outline.maps} maps"
    seen = f"{_in_words(explainer.input_size_for(frame_size))} in {explainer.tiles_for(frame_size)}"
    how = f"{seen} of {_in_words(frame_size)} {explainer.engine} {explainer.precision}"
    return explainer.tuner.time(f"{what} {how}", lambda: explainer(next(frames)))


def fastest_batch(explainer: Explainer, frame_size: tuple[int, int]) -> int:
    """How many frames of (height, width) pixels at a time take the least time each; of a fit that is not native."""
    seen = explainer.input_size_for(frame_size)
    tiles = f" {explainer.tiles_for(frame_size)} tiles" if explainer.fit == "tiles" else ""
    image = np.random.default_rng(0).integers(0, 256, (*seen, 3), np.uint8)
    return explainer.tuner.choose_batch(
        f"{explainer.outline.name} {_in_words(seen)}{tiles} {explainer.engine} {explainer.precision}",
        lambda batch: explainer.explain_batch([image] * batch),
    )


def _in_words(size: tuple[int, int]) -> str:
    return "×".join(map(str, size))
