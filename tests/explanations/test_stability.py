"""Steady over time: smoothing by time, and a scale that follows the evidence."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from live_gradcam import Explainer
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.explanations.stability import RELEASE_SECONDS, Stabilizer, StableExplanation
from live_gradcam.explanations.vocabulary import Vocabulary

LABELS = ("cat", "dog", "cup")
SIZE = (2, 2)


def explanation_of(probabilities: list[float], evidence: dict[int, float]) -> Explanation:
    """Of a frame, with a map for each class that has evidence: all of it in the upper left corner."""
    chances = np.array(probabilities, np.float32)
    heatmap = np.zeros((2, 2), np.float32)
    heatmap[0, 0] = 1

    def prediction(index: int) -> Prediction:
        return Prediction(index, LABELS[index], float(chances[index]))

    return Explanation(
        predictions=tuple(prediction(int(index)) for index in np.argsort(-chances)[:2]),
        heatmaps=np.stack([heatmap] * len(evidence)),
        targets=tuple(map(prediction, evidence)),
        evidence=np.array(list(evidence.values()), np.float32),
        logits=np.zeros(3, np.float32),
        probabilities=chances,
        region=Region(0, 0, 2, 2),
    )


def test_after_the_time_constant_what_is_new_has_63_per_cent_at_any_frame_rate() -> None:
    for frames in (1, 7, 100):
        stabilizer = Stabilizer(Vocabulary(LABELS), seconds=0.5)
        stabilizer.stabilize(explanation_of([0.9, 0.1, 0.0], {0: 2.0}), SIZE, 0.0, pinned=1)
        for frame in range(frames):
            stable = stabilizer.stabilize(
                explanation_of([0.1, 0.9, 0.0], {0: 1.0}), SIZE, 0.5 * (frame + 1) / frames, pinned=1
            )
        assert stable.explanation.probabilities[1] == pytest.approx(0.9 - 0.8 / math.e, rel=1e-4)
        assert stable.explanation.evidence[0] == pytest.approx(1 + 1 / math.e, rel=1e-4)


def test_without_smoothing_the_predictions_are_the_frames_own() -> None:
    stabilizer = Stabilizer(Vocabulary(LABELS), seconds=0)
    stabilizer.stabilize(explanation_of([0.9, 0.1, 0.0], {0: 2.0}), SIZE, 0.0, pinned=0)
    stable = stabilizer.stabilize(explanation_of([0.1, 0.7, 0.2], {1: 1.0}), SIZE, 0.1, pinned=0).explanation
    assert [(p.label, round(p.probability, 3)) for p in stable.predictions] == [("dog", 0.7), ("cup", 0.2)]
    assert stable.targets[0].label == "dog"


def test_the_scale_rises_at_once_and_falls_slowly() -> None:
    stabilizer = Stabilizer(Vocabulary(LABELS), seconds=0)
    assert stabilizer.stabilize(explanation_of([1, 0, 0], {0: 2.0}), SIZE, 0.0, pinned=1).full_scale == 2
    later = stabilizer.stabilize(explanation_of([1, 0, 0], {0: 0.1}), SIZE, 1.0, pinned=1)
    assert later.full_scale == pytest.approx(2 * math.exp(-1 / RELEASE_SECONDS))
    assert later.explanation.heatmaps.max() == pytest.approx(0.1 / later.full_scale)  # pale, as it should be
    assert stabilizer.stabilize(explanation_of([1, 0, 0], {0: 3.0}), SIZE, 1.1, pinned=1).full_scale == 3


def test_the_scale_stays_above_the_noise_floor() -> None:
    stabilizer = Stabilizer(Vocabulary(LABELS), seconds=0, noise_floor=0.5 / 1.5)
    stable = stabilizer.stabilize(explanation_of([1, 0, 0], {0: 0.1}), SIZE, 0.0, pinned=1)
    assert stable.full_scale == pytest.approx(0.5)
    assert stable.explanation.heatmaps.max() == pytest.approx(0.2)


def test_a_contrast_has_a_scale_of_its_own_without_the_noise_floor() -> None:
    """ "Why a cat and not a dog" is a small difference of two large scores."""
    stabilizer = Stabilizer(Vocabulary(LABELS), seconds=0, noise_floor=0.4)
    dog = Prediction(1, "dog", 0.0)

    def shown(time: float, evidence: dict[int, float], contrasts: tuple[Prediction | None, ...]) -> StableExplanation:
        of_frame = replace(explanation_of([1, 0, 0], evidence), contrasts=contrasts)
        return stabilizer.stabilize(of_frame, SIZE, time, pinned=len(evidence))

    assert shown(0.0, {0: 0.9}, (None,)).full_scale == pytest.approx(0.9)
    contrasted = shown(0.1, {0: 0.05, 2: 0.3}, (dog, None))
    assert contrasted.full_scale == pytest.approx(0.05)
    plain = 0.9 * math.exp(-0.1 / RELEASE_SECONDS)
    assert contrasted.explanation.heatmaps.max(axis=(1, 2)) == pytest.approx([1, 0.3 / plain])
    assert shown(0.2, {0: 0.01}, (dog,)).full_scale == pytest.approx(0.05 * math.exp(-0.1 / RELEASE_SECONDS))
    assert shown(0.3, {0: 0.1}, (None,)).full_scale == pytest.approx(0.6)  # the floor


def test_no_evidence_at_all_is_no_division_by_zero() -> None:
    stable = Stabilizer(Vocabulary(LABELS), seconds=0.2).stabilize(
        explanation_of([1, 0, 0], {0: 0.0}), SIZE, 0.0, pinned=1
    )
    assert stable.full_scale == 0
    assert np.isfinite(stable.explanation.heatmaps).all()


def test_the_map_shown_is_that_of_the_smoothed_top_class_unless_one_is_pinned() -> None:
    stabilizer = Stabilizer(Vocabulary(LABELS), seconds=1.0)
    stabilizer.stabilize(explanation_of([0.9, 0.1, 0.0], {0: 1.0, 1: 1.0}), SIZE, 0.0, pinned=0)
    flicker = explanation_of([0.4, 0.6, 0.0], {1: 1.0, 0: 1.0})  # for one frame the dog is ahead
    assert stabilizer.stabilize(flicker, SIZE, 0.03, pinned=0).explanation.targets[0].label == "cat"
    assert stabilizer.stabilize(flicker, SIZE, 0.06, pinned=1).explanation.targets[0].label == "dog"


@pytest.mark.slow
def test_a_still_picture_with_noise_flickers_far_less(explainer: Explainer, coffee: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    stabilizer = Stabilizer(explainer.vocabulary, seconds=0.2)
    overlay = Overlay()
    plain, steady = [], []
    for frame in range(30):
        noisy = np.clip(coffee + generator.normal(0, 8, coffee.shape), 0, 255).astype(np.uint8)
        explanation = explainer(noisy)
        plain.append(overlay.colours(explanation, (100, 150)).astype(int))
        stable = stabilizer.stabilize(explanation, SIZE, frame / 30, pinned=0).explanation
        steady.append(overlay.colours(stable, (100, 150)).astype(int))
    flicker_plain = np.abs(np.diff(plain[10:], axis=0)).mean()
    flicker_steady = np.abs(np.diff(steady[10:], axis=0)).mean()
    print(f"mean change of a pixel from frame to frame: {flicker_plain:.2f} plain, {flicker_steady:.2f} smoothed")
    assert flicker_steady < 0.4 * flicker_plain


def test_hidden_classes_are_neither_listed_nor_mapped() -> None:
    vocabulary = Vocabulary(LABELS, hidden=frozenset({1}))
    stabilizer = Stabilizer(vocabulary, seconds=0)
    explanation = explanation_of([0.1, 0.7, 0.2], {1: 3.0, 2: 2.0, 0: 1.0})
    stable = stabilizer.stabilize(explanation, SIZE, 0.0, pinned=0).explanation
    assert [one.label for one in stable.predictions] == ["cup", "cat"]
    assert [one.label for one in stable.targets] == ["cup", "cat"]
    assert stable.evidence.tolist() == [2.0, 1.0]
    assert stabilizer.top_class == 2
    assert len(vocabulary.best(explanation.probabilities, 3)) == 2
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary
