"""Heads: the optimum by its own equations, and the sums of their weights."""

from __future__ import annotations

import numpy as np
import pytest

from live_gradcam.fitting.head import Head, balanced, fit_head

pytestmark = pytest.mark.versions


def clusters(*counts: int, size: int = 6, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Features around a centre for each class, float32 (n, size), and the classes."""
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(len(counts)), counts)
    centres = 2 * random.normal(size=(len(counts), size))
    return np.float32(centres[targets] + spread * random.normal(size=(len(targets), size))), targets


def gradient(head: Head, features: np.ndarray, targets: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Of what a head of classes is to minimise, by its weights on features of mean square norm 1, and by its bias."""
    scale = np.sqrt(np.mean(np.sum(np.square(features, dtype=float), axis=1)))
    weights = balanced(targets, head.bias.size)
    wrong = (head.probabilities(features) - np.eye(head.bias.size)[targets]) * weights[:, None] / weights.sum()
    return features.T @ wrong / scale + strength * head.weights * scale, wrong.sum(axis=0)


@pytest.mark.parametrize("counts", [(9, 30), (20, 10, 25), (5, 5, 5, 40)])
@pytest.mark.parametrize("strength", [1e-1, 1e-3])
def test_the_optimum_is_where_the_gradient_is_zero(counts: tuple[int, ...], strength: float) -> None:
    features, targets = clusters(*counts, spread=2.0)
    head = fit_head(features, targets, classes=len(counts), strength=strength)
    by_weights, by_bias = gradient(head, features, targets, strength)
    np.testing.assert_allclose(by_weights, 0, atol=2e-4)
    np.testing.assert_allclose(by_bias, 0, atol=2e-4)


@pytest.mark.parametrize("counts", [(9, 30), (20, 10, 25)])
def test_weights_add_up_to_zero_over_the_classes(counts: tuple[int, ...]) -> None:
    features, targets = clusters(*counts)
    head = fit_head(features, targets, classes=len(counts), strength=1e-4)
    assert head.weights.dtype == head.bias.dtype == np.float32
    np.testing.assert_allclose(head.weights.sum(axis=1), 0, atol=1e-6 * np.abs(head.weights).max())
    assert abs(head.bias.sum()) < 1e-5


def test_a_problem_that_a_plane_separates() -> None:
    features, targets = clusters(10, 10, 10, spread=0.1)
    head = fit_head(features, targets, classes=3, strength=1e-5)
    answers = head.probabilities(features)
    np.testing.assert_array_equal(answers.argmax(axis=1), targets)
    assert answers.max(axis=1).min() > 0.99
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("counts", [(9, 30), (20, 10, 25)])
def test_features_that_are_scaled_one_by_one(counts: tuple[int, ...]) -> None:
    """The same as of features that are scaled before: the standard deviation of 16 becomes 4, and that of 1 stays."""
    features, targets = clusters(*counts, spread=2.0)
    features = features * np.float32([1, 16, 0.7, 1.2, 1, 4]) + np.float32([0, 5, -3, 0, 100, 7])
    deviations = features.std(axis=0, dtype=np.float64)
    scaled = (features - features.mean(axis=0)) / (deviations**2 + 0.01 * (deviations**2).mean()) ** 0.25
    head = fit_head(features, targets, classes=len(counts), strength=1e-3, by_feature=True)
    expected = fit_head(scaled, targets, classes=len(counts), strength=1e-3).probabilities(scaled)
    np.testing.assert_allclose(head.probabilities(features), expected, atol=1e-3)
    np.testing.assert_allclose(head.weights.sum(axis=1), 0, atol=1e-6 * np.abs(head.weights).max())


def test_the_scale_of_the_features_changes_no_answer() -> None:
    features, targets = clusters(12, 20, spread=2.0)
    once, larger = (
        fit_head(scaled, targets, classes=2, strength=1e-3).probabilities(scaled)
        for scaled in (features, 1000 * features)
    )
    np.testing.assert_allclose(once, larger, atol=1e-4)


def test_classes_count_the_same_however_many_pictures_they_have() -> None:
    features, targets = clusters(8, 16, spread=3.0)
    doubled = np.concatenate([features[:8], features]), np.concatenate([targets[:8], targets])
    first, second = (fit_head(*pair, classes=2, strength=1e-2) for pair in ((features, targets), doubled))
    assert np.abs(first.probabilities(features) - second.probabilities(features)).max() < 0.03  # but for the norm


def test_a_class_that_nothing_shows_is_never_said() -> None:
    features, targets = clusters(10, 10)
    head = fit_head(features, 2 * targets, classes=3, strength=1e-3)  # 0 and 2
    assert head.probabilities(features)[:, 1].max() < 1e-6
    np.testing.assert_allclose(head.weights.sum(axis=1), 0, atol=1e-6)
    alone = fit_head(features, np.ones(20, int), classes=3, strength=1e-3)
    assert alone.probabilities(features)[:, 1].min() > 0.999


def test_labels_are_fitted_one_by_one() -> None:
    features, targets = clusters(12, 12, 12, spread=0.3)
    labels = np.stack([targets == 0, targets != 1, np.zeros(36, bool), np.ones(36, bool)], axis=1)
    head = fit_head(features, labels, task="labels", classes=4, strength=1e-4)
    np.testing.assert_array_equal(head.probabilities(features) > 0.5, labels)
    assert head.probabilities(features)[:, 2].max() < 1e-6  # no picture has it


def test_values_by_the_closed_form() -> None:
    random = np.random.default_rng(1)
    features = random.normal(size=(40, 5)).astype(np.float32)
    values = features @ np.array([1.0, -2, 0.5, 0, 3]) + 7 + 0.1 * random.normal(size=40)
    strength = 1e-2
    head = fit_head(features, values, task="values", classes=1, strength=strength)
    scale = np.sqrt(np.mean(np.sum(np.square(features), axis=1)))
    centred = (features - features.mean(axis=0)) / scale
    expected = np.linalg.solve(centred.T @ centred + strength * 40 * np.eye(5), centred.T @ (values - values.mean()))
    np.testing.assert_allclose(head.weights[:, 0] * scale, expected, rtol=1e-4)
    assert head.probabilities(features).mean() == pytest.approx(values.mean(), abs=1e-4)
