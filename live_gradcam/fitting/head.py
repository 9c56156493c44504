"""The layer that is fitted: one product of the features, and a bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from live_gradcam.choices import Output

#: Where the largest derivative is below this, no probability changes by 1e-3 any more. 250 steps were the most.
_TOLERANCE, _MOST_STEPS = 3e-5, 1000
#: Added to each feature's variance, as a share of the mean of them: what hardly varies is noise.
_LEAST_VARIANCE = 0.01


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
    by_feature: bool = False,
) -> Head:
    """Fit a head: L2-regularised logistic regression, or ridge regression for values.

    What is minimised is the mean of the losses, plus `strength` / 2 times the sum of the squared weights on features
    whose mean square norm is 1. Classes, and the two sides of a label, count the same however many examples they have.

    Args:
        features: float32 (n, d).
        targets: of "classes" int (n,); of "labels" bool (n, k); of "values" float (n,).
        task: what is predicted.
        classes: how many there are, k; those that no example shows get no probability worth the name.
        strength: of the regularisation.
        by_feature: whether each feature is brought to mean 0 and divided by the square root of its standard deviation
            before that, so that rare ones count more: Pareto scaling, van den Berg et al., BMC Genomics 7:142, 2006
            (https://doi.org/10.1186/1471-2164-7-142).
    """
    from threadpoolctl import threadpool_limits

    scaled, shift, scale = _scaled(np.asarray(features, np.float64), by_feature=by_feature)
    with threadpool_limits(limits=1, user_api="blas"):  # with two, a busy machine takes 25 times as long
        if task == "values":
            weights, bias = _of_values(scaled, targets, strength)
        elif task == "labels":
            columns = [_of_label(scaled, targets[:, k], strength) for k in range(classes)]
            weights = np.stack([column[0] for column in columns], axis=1)
            bias = np.array([column[1] for column in columns])
        else:
            weights, bias = _of_classes(scaled, targets, classes, strength)
    weights = weights / scale[:, None]
    return Head(np.asarray(weights, np.float32), np.asarray(bias - shift @ weights, np.float32), task)


def _scaled(features: np.ndarray, *, by_feature: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of mean square norm 1, with what was subtracted and by what was divided, each (d,)."""
    shift, scale = np.zeros(features.shape[1]), np.ones(features.shape[1])
    if by_feature:
        shift = features.mean(axis=0)
        variance = features.var(axis=0)
        scale = (variance + _LEAST_VARIANCE * variance.mean()) ** 0.25 if variance.any() else scale
    scaled = (features - shift) / scale
    norm = float(np.sqrt(np.square(scaled).sum(axis=1).mean())) or 1.0
    return scaled / norm, shift, scale * norm


#: The bias of a class or label that no example shows: its probability is 0 in float32's eyes.
_NEVER = -30.0


def _of_classes(
    features: np.ndarray, targets: np.ndarray, classes: int, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    shown, places = np.unique(targets, return_inverse=True)
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


def _of_label(features: np.ndarray, holds: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    places = holds.astype(int)
    if places.min() == places.max():
        return np.zeros(features.shape[1]), -_NEVER if places[0] else _NEVER
    sample_weights = balanced(places, 2)
    regression = _logistic(strength, sample_weights)
    regression.fit(features, places, sample_weight=sample_weights)
    return regression.coef_[0], float(regression.intercept_[0])


def _logistic(strength: float, sample_weights: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (strength * float(sample_weights.sum())), max_iter=_MOST_STEPS, tol=_TOLERANCE)


def _of_values(features: np.ndarray, targets: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=strength * len(targets)).fit(features, targets)
    return ridge.coef_.reshape(-1, 1), np.array([float(ridge.intercept_)])


def balanced(places: np.ndarray, count: int) -> np.ndarray:
    """Weights n / (k · n_c), float (n,), of examples whose classes are `places`, int (n,) below `count`."""
    numbers = np.bincount(places, minlength=count)
    return np.asarray((len(places) / (count * np.maximum(numbers, 1)))[places], np.float64)
