"""Guided Grad-CAM's signed detail: from the gradient to what is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy_networks import FRAME, classifier_of, two_dense_layers

from live_gradcam import Explainer
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.views import mirrored, resized
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.explanations.stability import Stabilizer, weight_of_new
from live_gradcam.explanations.vocabulary import Vocabulary

_CLASS = Prediction(0, "thing", 0.9)


def _explained(size: tuple[int, int] = (2, 2)) -> Explanation:
    """A map whose upper left makes the score rise, and whose lower right makes it fall; the rest does nothing."""
    heatmap = np.array([[1, 0], [0, 1]], np.float32)
    return Explanation(
        predictions=(_CLASS,),
        heatmaps=heatmap[None],
        targets=(_CLASS,),
        evidence=np.ones(1, np.float32),
        logits=np.zeros(1, np.float32),
        probabilities=np.full(1, 0.9, np.float32),
        region=Region(0, 0, size[1], size[0]),
        signs=np.array([[[1, 0], [0, -1]]], np.int8),
    )


def test_the_sign_is_that_of_the_strongest_channels_gradient() -> None:
    model = two_dense_layers()
    explanation = Explainer(classifier_of(model), method="guided-grad-cam", maps=2, engine="graph")(FRAME)
    assert explanation.signs is not None
    assert explanation.signs.shape == explanation.heatmaps.shape
    assert explanation.signs.dtype == np.int8
    np.testing.assert_array_equal(explanation.signs != 0, explanation.heatmaps > 0)
    assert {-1, 1} <= set(np.unique(explanation.signs).tolist())
    assert explanation.of_map(1).signs is not None
    np.testing.assert_array_equal(explanation.of_map(1).signs, explanation.signs[1:])


def test_signs_are_averaged_with_their_maps_over_noisy_copies() -> None:
    explainer = Explainer(classifier_of(two_dense_layers()), method="guided-grad-cam", maps=2, engine="graph")
    plain, smoothed = explainer(FRAME), explainer.explain_smoothed(FRAME, samples=6, noise=0.3)
    generator, mean = np.random.default_rng(0), np.zeros(plain.heatmaps.shape)
    for _ in range(6):
        noisy = np.clip(np.rint(FRAME + generator.normal(0, 256 * 0.3, FRAME.shape)), 0, 255).astype(np.uint8)
        copy = explainer(noisy, target=plain.explained)
        mean += copy.signs * copy.heatmaps * copy.evidence[:, None, None] / 6
    assert (np.sign(mean) * plain.signs < 0).mean() > 0.02  # the noise turns some
    found = smoothed.signs * smoothed.heatmaps * smoothed.evidence[:, None, None]
    np.testing.assert_allclose(found, mean, atol=1e-6 * np.abs(mean).max())
    np.testing.assert_allclose(smoothed.heatmaps.max(axis=(1, 2)), 1)
    assert smoothed.signs.dtype == np.int8


@pytest.mark.parametrize("method", ["grad-cam", "ablation-cam"])
def test_other_maps_have_no_signs(method: str) -> None:
    assert Explainer(classifier_of(two_dense_layers()), method=method, maps=1, engine="graph")(FRAME).signs is None


def test_detail_is_light_and_dark_on_grey() -> None:
    drawn = Overlay().colours(_explained(), (2, 2))
    assert drawn.tolist() == [[[255] * 3, [128] * 3], [[128] * 3, [0] * 3]]


def test_detail_goes_by_the_root_of_the_strength() -> None:
    weak = replace(_explained(), heatmaps=np.array([[[0.04, 0], [0, 0.04]]], np.float32))
    drawn = Overlay().colours(weak, (2, 2))[..., 0]
    assert drawn.tolist() == [[172, 128], [128, 83]]  # 127.5 ± 127.5 · 1.75 · √0.04


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0, [[200, 200], [200, 200]]),  # the picture alone
        (0.25, [[232, 168], [168, 105]]),  # 200 · 0.75² + 127.5 · (1 − 0.75²) = 168.28, ± 127.5 / 2
        (0.5, [[255, 146], [146, 18]]),  # 200 / 4 + 127.5 · 3/4 = 145.625, ± 127.5
        (1, [[255, 128], [128, 0]]),  # the detail alone
    ],
)
def test_over_a_picture_the_picture_becomes_pale(alpha: float, expected: list[list[int]]) -> None:
    picture = np.full((2, 2, 3), 200, np.uint8)
    drawn = Overlay(alpha=alpha).blend(picture, _explained())
    np.testing.assert_array_equal(drawn, np.repeat(np.array(expected)[..., None], 3, 2))
    assert (picture == 200).all()
    Overlay(alpha=alpha).blend(picture, _explained(), in_place=True)
    np.testing.assert_array_equal(picture, drawn)


def test_what_the_network_was_not_shown_has_no_detail() -> None:
    beside = replace(_explained(), region=Region(2, 0, 2, 2))
    drawn = Overlay().colours(beside, (2, 6))[..., 0]
    assert drawn.tolist() == [[128, 128, 255, 128, 128, 128], [128, 128, 128, 0, 128, 128]]


def test_signs_go_with_the_picture() -> None:
    picture = np.full((2, 2, 3), 200, np.uint8)
    plain = Overlay().colours(_explained(), (2, 2))
    _, in_mirror = mirrored(picture, _explained())
    np.testing.assert_array_equal(Overlay().colours(in_mirror, (2, 2)), plain[:, ::-1])
    _, large = resized(picture, _explained(), (40, 40))
    enlarged = Overlay().colours(large, (40, 40))
    assert (enlarged[:5, :5] == 255).all()
    assert (enlarged[-5:, -5:] == 0).all()


def test_signs_go_with_their_map_when_classes_change_places() -> None:
    one = _explained()
    other = Prediction(1, "other", 0.1)
    two = replace(
        one,
        predictions=(other, _CLASS),
        targets=(other, _CLASS),
        heatmaps=np.concatenate([one.heatmaps, one.heatmaps]),
        signs=np.concatenate([-one.signs, one.signs]),
        evidence=np.ones(2, np.float32),
        probabilities=np.array([0.9, 0.1], np.float32),
    )
    stable = Stabilizer(Vocabulary(("thing", "other")), seconds=0.0).stabilize(two, (8, 8), 0.0, pinned=0).explanation
    assert [target.index for target in stable.targets] == [0, 1]
    np.testing.assert_array_equal(stable.signs, two.signs[::-1])


def test_signs_are_smoothed_over_time_with_their_map() -> None:
    first = _explained()
    second = replace(first, heatmaps=np.ones((1, 2, 2), np.float32), signs=np.full((1, 2, 2), -1, np.int8))
    stabilizer = Stabilizer(Vocabulary(("thing",)), seconds=1.0)
    stabilizer.stabilize(first, (2, 2), 0.0, pinned=1)
    stable = stabilizer.stabilize(second, (2, 2), 0.1, pinned=1)
    new = weight_of_new(0.1, 1.0)
    found = stable.explanation.signs * stable.explanation.heatmaps * stable.full_scale
    np.testing.assert_allclose(found, [[[1 - 2 * new, -new], [-new, -1]]], rtol=1e-5)
    np.testing.assert_allclose(stable.explanation.evidence, 1)


def test_the_scale_begins_at_grey_and_ends_at_white() -> None:
    scale = Overlay().scale_of(_explained())
    assert scale.shape == (256, 1, 3)
    assert scale[0, 0].tolist() == [128] * 3
    assert scale[-1, 0].tolist() == [255] * 3
