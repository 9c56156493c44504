"""How long frames take, timed once and remembered like the layers' forms."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.choices import ENGINES
from live_gradcam.compiling.engines.engine import TakesCallers
from live_gradcam.compiling.runtime import threads
from live_gradcam.compiling.tuning import CALLERS

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer


def time_of_frame(explainer: Explainer, frame_size: tuple[int, int]) -> float:
    """The milliseconds that one frame of (height, width) pixels takes."""
    explainer.warm_up(frame_size=frame_size)
    frames = cycle(_noise(2, frame_size))
    return explainer.tuner.time(_described(explainer, frame_size), lambda: explainer(next(frames)))


def _described(explainer: Explainer, frame_size: tuple[int, int]) -> str:
    """What is timed: what is explained, and how."""
    outline = explainer.outline
    lowering = "" if outline.options.compiling.lowering else " not rewritten"
    what = f"{outline.name}{lowering} {explainer.layer} {explainer.method} {outline.maps} maps"
    seen = f"{_in_words(explainer.input_size_for(frame_size))} in {explainer.tiles_for(frame_size)}"
    how = f"{seen} of {_in_words(frame_size)} {explainer.engine} {explainer.precision}"
    return f"{what} {how}"


def _noise(count: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)


def fastest_batch(explainer: Explainer, frame_size: tuple[int, int]) -> int:
    """How many frames of (height, width) pixels at a time take the least time each; of a fit that is not native."""
    if not explainer.outline.takes_batches:
        return 1
    seen = explainer.input_size_for(frame_size)
    tiles = f" {explainer.tiles_for(frame_size)} tiles" if explainer.fit == "tiles" else ""
    (image,) = _noise(1, seen)
    return explainer.tuner.choose_batch(
        f"{explainer.outline.name} {_in_words(seen)}{tiles} {explainer.engine} {explainer.precision}",
        lambda batch: explainer.explain_batch([image] * batch),
    )


def takes_callers(explainer: Explainer) -> bool:
    """Whether two threads may explain at a time, on two cores or more.

    Not where a call is not by itself: of methods of many passes, and with the fit native.
    """
    engine = ENGINES.load(explainer.engine)
    if not isinstance(engine, TakesCallers) or engine.most_callers < max(CALLERS):
        return False
    has_cores = threads() != 1 and os.cpu_count() != 1
    return has_cores and explainer.fit != "native" and not explainer.takes_many_passes


def fastest_callers(explainer: Explainer, frame_size: tuple[int, int], batch: int) -> int:
    """How many threads that explain frames of (height, width) pixels at a time have the most of them explained.

    One where no more may call.
    """
    if not takes_callers(explainer):
        return 1
    explainer.warm_up(batch, frame_size=frame_size)
    images = _noise(max(CALLERS), frame_size)

    with ThreadPoolExecutor(max(CALLERS)) as pool:

        def run(callers: int, frames: int) -> None:
            def explain(caller: int) -> None:
                for _ in range(frames):
                    explainer.explain_batch([images[caller]] * batch)

            if callers == 1:
                explain(0)
            else:
                list(pool.map(explain, range(callers)))

        return explainer.tuner.choose_callers(f"{_described(explainer, frame_size)} by {batch}", run)


def _in_words(size: tuple[int, int]) -> str:
    return "×".join(map(str, size))
