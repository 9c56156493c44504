"""A live window on a source of 30 frames a second with an engine slowed to 5: prints the summary as JSON.

A script, not a test: the window needs a process with a display of its own. The argument is the number of seconds.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
from frame_sources import GivenFrames

from live_gradcam.drawing.overlay import Overlay
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.live_loop.run import LiveOptions, run_live
from live_gradcam.sources.frame import Frame

_RATE, _ENGINE_SECONDS = 30, 0.2


def camera() -> Iterator[Frame]:
    """It goes on: the last frame of a source that ends waits as long as the one before it takes, for no newer comes."""
    begun = time.monotonic()
    for index in itertools.count():
        due = begun + index / _RATE
        time.sleep(max(0.0, due - time.monotonic()))
        yield Frame(np.full((360, 640, 3), 1 + index % 250, np.uint8), index, Fraction(index, _RATE), time.monotonic())


def explain(image: np.ndarray, *, targets: object = None) -> Explanation:
    time.sleep(_ENGINE_SECONDS)
    best = (Prediction(0, "something", 0.75),)
    height, width = image.shape[:2]
    heatmap = np.eye(7, dtype=np.float32)[None]
    probabilities = np.array([0.75, 0.25], np.float32)
    return Explanation(
        best, heatmap, best, np.ones(1, np.float32), probabilities, probabilities, Region(0, 0, width, height)
    )


def slow_session(look: object) -> SimpleNamespace:
    return SimpleNamespace(
        explain=explain,
        targets=(),
        model="slow",
        method="grad-cam",
        layer="last",
        fit="stretch",
        layers=("last",),
        methods=("grad-cam",),
        vocabulary=Vocabulary(("something", "else")),
        weights=0,
        noise_floor=lambda frame_size: 0.0,
    )


if __name__ == "__main__":
    options = LiveOptions(smooth=0.2, max_frames=round(float(sys.argv[1]) / _ENGINE_SECONDS))
    summary = run_live("0", slow_session, Overlay(), options, opener=lambda _: GivenFrames(camera()))
    print(json.dumps(summary.record()))
