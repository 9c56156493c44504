"""Folds that test honestly: what belongs together is never on both sides."""

from __future__ import annotations

import numpy as np

from live_gradcam.fitting.dataset import Dataset

#: From this cosine of their features on, two pictures are taken for one thing seen twice.
SAME = 0.9
#: The shortest part of a video that may be tested by the rest of it, in seconds.
BLOCK_SECONDS = 4.0


def folds_of(dataset: Dataset, features: np.ndarray, *, count: int = 5, seed: int = 0) -> np.ndarray:
    """The fold of each example: which part of the cross-validation tests it.

    Args:
        dataset: the examples.
        features: float32 (n, d), of the examples.
        count: how many folds.
        seed: of what is drawn at random.

    Returns:
        int (n,): from 0 on; −1 for examples that are not for training.
    """
    rows = dataset.rows_of("train")
    folds = np.full(len(dataset.examples), -1, np.int64)
    names = sorted({dataset.examples[row].group for row in rows})
    places = np.random.default_rng(seed).permutation(len(names)) % count
    fold_of = dict(zip(names, places.tolist(), strict=True))
    for row in rows:
        folds[row] = fold_of[dataset.examples[row].group]
    return folds
