"""The layer that is fitted: one product of the features, and a bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from live_gradcam.choices import Output

#: So many steps are enough for every set that was tried; the last ones change no probability by 1e-4.
_MOST_STEPS = 300


@dataclass(frozen=True, eq=False)
class Head:
    """A dense layer from features to logits, or to values.

    Attributes:
        weights: float32 (d, k). Of "classes" each row adds up to 0 over the classes: a vector that is added to all
            classes' weights changes no probability, but the map of every logit.
        bias: float32 (k,).
        task: what the numbers are.
    """

    weights: np.ndarray
    bias: np.ndarray
    task: Output = "classes"

    def logits(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, k) of features (n, d): before the softmax or the sigmoid; of "values" the values."""
        return np.asarray(features @ self.weights + self.bias, np.float32)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, k) of features (n, d): what the network says. Of "values" the values."""
        return said(self.logits(features), self.task)


def said(logits: np.ndarray, task: Output) -> np.ndarray:
    """What a network says by its logits, float32 (n, k)."""
    if task == "values":
        return logits
    if task == "labels":
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def fit_head(
    features: np.ndarray,
    targets: np.ndarray,
    *,
    task: Output = "classes",
    classes: int,
    strength: float,
    sample_weights: np.ndarray | None = None,
) -> Head:
    """Fit a head: L2-regularised logistic regression, or ridge regression for values.

    What is minimised is the weighted mean of the losses, plus `strength` / 2 times the sum of the squared weights on
    features whose mean square norm is 1.

    Args:
        features: float32 (n, d).
        targets: of "classes" int (n,); of "labels" bool (n, k); of "values" float (n,).
        task: what is predicted.
        classes: how many there are, k; those that no example shows get no probability worth the name.
        strength: of the regularisation.
        sample_weights: float (n,); None weighs classes, and each label's two sides, by the inverse of their number.
    """
    from threadpoolctl import threadpool_limits

    scale = float(np.sqrt(np.mean(np.sum(np.square(features, dtype=np.float64), axis=1)))) or 1.0
    scaled = np.asarray(features, np.float64) / scale
    with threadpool_limits(limits=1, user_api="blas"):  # with two, a busy machine takes 25 times as long
        if task == "values":
            weights, bias = _of_values(scaled, targets, strength, sample_weights)
        elif task == "labels":
            columns = [_of_label(scaled, targets[:, k], strength, sample_weights) for k in range(classes)]
            weights = np.stack([column[0] for column in columns], axis=1)
            bias = np.array([column[1] for column in columns])
        else:
            weights, bias = _of_classes(scaled, targets, classes, strength, sample_weights)
    return Head(np.asarray(weights / scale, np.float32), np.asarray(bias, np.float32), task)


#: The bias of a class or label that no example shows: its probability is 0 in float32's eyes.
_NEVER = -30.0


def _of_classes(
    features: np.ndarray, targets: np.ndarray, classes: int, strength: float, sample_weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    shown, places = np.unique(targets, return_inverse=True)
    if sample_weights is None:
        sample_weights = balanced(places, len(shown))
    weights = np.zeros((features.shape[1], classes))
    bias = np.full(classes, _NEVER)
    if len(shown) == 1:
        bias[shown] = 0.0
        return weights, bias
    # Of two classes scikit-learn fits the difference w of the two columns ±w/2, whose squares add up to w²/2.
    own_strength = strength / 2 if len(shown) == 2 else strength
    regression = _logistic(own_strength, sample_weights)
    regression.fit(features, places, sample_weight=sample_weights)
    columns, shifts = regression.coef_.T, regression.intercept_
    if len(shown) == 2:
        columns, shifts = np.hstack([-columns / 2, columns / 2]), np.array([-shifts[0] / 2, shifts[0] / 2])
    weights[:, shown] = columns - columns.mean(axis=1, keepdims=True)
    bias[shown] = shifts - shifts.mean()
    return weights, bias


def _of_label(
    features: np.ndarray, holds: np.ndarray, strength: float, sample_weights: np.ndarray | None
) -> tuple[np.ndarray, float]:
    places = holds.astype(int)
    if places.min() == places.max():
        return np.zeros(features.shape[1]), -_NEVER if places[0] else _NEVER
    if sample_weights is None:
        sample_weights = balanced(places, 2)
    regression = _logistic(strength, sample_weights)
    regression.fit(features, places, sample_weight=sample_weights)
    return regression.coef_[0], float(regression.intercept_[0])


def _logistic(strength: float, sample_weights: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (strength * float(sample_weights.sum())), max_iter=_MOST_STEPS, tol=1e-5)


def _of_values(
    features: np.ndarray, targets: np.ndarray, strength: float, sample_weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import Ridge

    total = float(len(targets) if sample_weights is None else sample_weights.sum())
    ridge = Ridge(alpha=strength * total)
    ridge.fit(features, targets, sample_weight=sample_weights)
    return ridge.coef_.reshape(-1, 1), np.array([float(ridge.intercept_)])


def balanced(places: np.ndarray, count: int) -> np.ndarray:
    """Weights n / (k · n_c), float (n,), of examples whose classes are `places`, int (n,) below `count`."""
    numbers = np.bincount(places, minlength=count)
    return np.asarray((len(places) / (count * np.maximum(numbers, 1)))[places], np.float64)
