"""Labels that mean nothing get no good accuracy: frames of a video are tested by frames that look otherwise.

Each second of a video gets one of two labels by the toss of a coin. A head that has seen the frame before and the
frame after knows the label by heart. Where frames are dealt to folds one by one, that looks like knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from live_gradcam import fit
from live_gradcam.fitting.dataset import Dataset, Example
from live_gradcam.fitting.fitted import Fitted
from live_gradcam.fitting.folds import folds_of
from live_gradcam.fitting.head import fit_head
from live_gradcam.fitting.options import FitOptions
from live_gradcam.sources.opening import open_recording

_TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"
_EVERY, _FRAME_RATE = 6, 30
_STRENGTH = 1e-4
_DRAWS = 6
_CLASSES = ("heads", "tails")


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of the tour with labels drawn at random, written as pictures, and a fit to them.

    Attributes:
        fitted: to the pictures.
        times: float (n,), the seconds of each example in the video.
    """

    fitted: Fitted
    times: np.ndarray

    def accuracy(self, targets: np.ndarray, folds: np.ndarray) -> float:
        """The share that heads of the other folds get right."""
        features, said = self.fitted.features, np.zeros_like(targets)
        for fold in set(folds):
            seen = folds != fold
            head = fit_head(features[seen], targets[seen], classes=2, strength=_STRENGTH)
            said[~seen] = head.logits(features[~seen]).argmax(axis=1)
        return float(np.mean(said == targets))


def tossed(times: np.ndarray, seed: int) -> np.ndarray:
    """A label for each frame, int (n,): one for all of a second, as often heads as tails."""
    seconds = times.astype(int)
    return (np.random.default_rng(seed).permutation(seconds.max() + 1) % 2)[seconds]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    folder = tmp_path_factory.mktemp("frames")
    with open_recording(_TOUR) as recording:
        shown = {frame.index: cv2.resize(frame.image, (320, 180)) for frame in recording.frames()}
    times = np.array([index / _FRAME_RATE for index in shown if index % _EVERY == 0])
    for time, target in zip(times, tossed(times, seed=0), strict=True):
        path = folder / _CLASSES[target] / f"{time:06.3f}.jpg"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), shown[round(time * _FRAME_RATE)])
    fitted = fit(folder, options=FitOptions(cache=False))
    return Frames(fitted, np.array([float(example.path.stem) for example in fitted.dataset.examples]))


@pytest.mark.slow
def test_frames_saved_as_pictures_get_no_good_accuracy(frames: Frames) -> None:
    """What was saved of one shot looks alike, and is one group."""
    scores = frames.fitted.scores["cross-validation"]
    assert scores.count == 60
    assert scores.accuracy is not None
    assert scores.accuracy < 0.65
    assert len(set(frames.fitted.groups)) < 12  # the tour has four shots


@pytest.mark.slow
def test_frames_of_a_video_get_no_good_accuracy(frames: Frames) -> None:
    dataset = Dataset("classes", _CLASSES, tuple(Example(_TOUR, (0,), "tour", time=time) for time in frames.times))
    honest, one_by_one = [], []
    for seed in range(_DRAWS):
        targets = tossed(frames.times, seed)
        examples = tuple(
            replace(one, target=(int(target),)) for one, target in zip(dataset.examples, targets, strict=True)
        )
        folds = folds_of(replace(dataset, examples=examples), frames.fitted.features, seed=seed)
        honest.append(frames.accuracy(targets, folds))
        by_frame = np.random.default_rng(seed).permutation(len(targets)) % 5
        one_by_one.append(frames.accuracy(targets, by_frame))
    assert np.mean(one_by_one) > 0.8  # the trap is there
    assert np.mean(honest) < 0.6
    assert max(honest) < 0.75
