"""A head with units that no class has yet, so that a new class changes numbers and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from live_gradcam.fitting.head import Head, fit_head
from live_gradcam.fitting.scores import Scores, scores_of

#: How many classes there are room for.
UNITS = 10
#: Of the regularisation: see `fit_head`.
STRENGTH = 1e-3
#: A class with fewer bursts cannot be tested.
LEAST_BURSTS = 2
#: The bias of a unit that no class has: its probability is 0 in float32.
_FREE = -1e4
_FOLDS = 5


def head_of(features: np.ndarray, targets: np.ndarray, listed: Sequence[int]) -> Head:
    """A head of ten units, fitted to examples.

    Args:
        features: float32 (n, d).
        targets: int (n,): each example's unit, one of those that are listed.
        listed: the units that have a class; the others have a probability of 0. Of a single one nothing is fitted: it
            is certain.
    """
    weights = np.zeros((features.shape[1], UNITS), np.float32)
    bias = np.full(UNITS, _FREE, np.float32)
    bias[list(listed)] = 0
    if len(listed) > 1:
        fitted = fit_head(features, np.searchsorted(listed, targets), classes=len(listed), strength=STRENGTH)
        weights[:, listed], bias[listed] = fitted.weights, fitted.bias
    return Head(weights, bias)


def scores_of_bursts(
    features: np.ndarray, targets: np.ndarray, bursts: np.ndarray, names: Sequence[str]
) -> Scores | None:
    """How good heads are that never saw the bursts that they are tested on.

    Args:
        features: float32 (n, d).
        targets: int (n,): each example's unit.
        bursts: int (n,): the burst that it is of.
        names: of all units.

    Returns:
        The scores of the examples of classes with several bursts; None where fewer than two classes have several.
    """
    folds, listed = _folds(targets, bursts), np.unique(targets).tolist()
    tested = np.flatnonzero(folds >= 0)
    if len(set(targets[tested].tolist())) < 2:
        return None
    held_out = np.zeros((len(targets), UNITS), np.float32)
    for fold in np.unique(folds[tested]):
        rows = folds == fold
        held_out[rows] = head_of(features[~rows], targets[~rows], listed).probabilities(features[rows])
    places = np.searchsorted(listed, targets[tested])
    return scores_of(held_out[tested][:, listed], places, task="classes", classes=[names[unit] for unit in listed])


def _folds(targets: np.ndarray, bursts: np.ndarray) -> np.ndarray:
    """The fold that tests each example, int (n,); −1 where its class has too few bursts."""
    fold_of: dict[int, int] = {}
    for unit in np.unique(targets):
        own = np.unique(bursts[targets == unit]).tolist()
        if len(own) >= LEAST_BURSTS:
            fold_of |= {burst: place % _FOLDS for place, burst in enumerate(own)}
    return np.array([fold_of.get(int(burst), -1) for burst in bursts], np.int64)
