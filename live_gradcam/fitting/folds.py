"""Folds that test honestly: what belongs together is never on both sides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from live_gradcam.fitting.dataset import Dataset, groups_of

#: From this cosine of their features on, two pictures are taken for one thing seen twice. Where all pictures look so
#: much alike that one group would fill half a fold, as of 2223 solar cells 1238 would be one, the next is taken.
_SAME = (0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.99, 0.995)
#: The largest group by looks: a share of a fold, or so many pictures of a small set.
_LARGEST_SHARE, _LARGEST = 0.5, 4
_BATCH = 1024


class Folds(NamedTuple):
    """Which part of the cross-validation tests each example.

    Attributes:
        of_example: int (n,): from 0 on; −1 for examples that are not for training.
        groups: int (n,): a number for what belongs together, by its group and by its looks; −1 likewise.
        same: the cosine from which pictures were taken for one thing.
    """

    of_example: np.ndarray
    groups: np.ndarray
    same: float


def folds_of(dataset: Dataset, features: np.ndarray, *, count: int = 5, seed: int = 0) -> np.ndarray:
    """The fold of each example: see `honest_folds`. int (n,), −1 for examples that are not for training."""
    return honest_folds(dataset, features, count=count, seed=seed).of_example


def honest_folds(dataset: Dataset, features: np.ndarray, *, count: int = 5, seed: int = 0) -> Folds:
    """Deal what belongs together to folds, so that each has its share of all classes as far as groups allow it.

    Together are examples of one group, and still pictures whose features have a cosine of 0.9 or more: the same thing
    seen again. Frames of a video are together as a video, or where it is the only one of its class as a block of it.

    Args:
        dataset: the examples.
        features: float32 (n, d), of the examples.
        count: how many folds; fewer where there are fewer groups.
        seed: of what is drawn at random.
    """
    rows = dataset.rows_of("train")
    shown = _shown(dataset, rows)
    named = groups_of(dataset)
    names = np.unique([named[row] for row in rows], return_inverse=True)[1]
    pictures = np.array([place for place, row in enumerate(rows) if dataset.examples[row].time is None], np.int64)
    groups, same = _by_looks(features[rows], pictures, names, shown, count)
    of_example, of_group = (np.full(len(dataset.examples), -1, np.int64) for _ in range(2))
    of_group[rows] = groups
    of_example[rows] = _deal(groups, shown, count, seed)
    return Folds(of_example, of_group, same)


def _shown(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """What each example counts for, float (n, k): its class, its labels, or the fifth of all values that it is in."""
    targets = dataset.targets[rows]
    if dataset.task == "classes":
        return np.eye(len(dataset.classes))[targets]
    if dataset.task == "labels":
        return np.hstack([targets, ~targets.any(axis=1, keepdims=True)]).astype(float)
    fifths = np.searchsorted(np.quantile(targets, [0.2, 0.4, 0.6, 0.8]), targets)
    return np.eye(5)[fifths]


def _by_looks(
    features: np.ndarray, pictures: np.ndarray, names: np.ndarray, shown: np.ndarray, count: int
) -> tuple[np.ndarray, float]:
    """Groups by name, joined where pictures look the same; and the cosine from which on they do."""
    pairs = _alike(features[pictures], _SAME[0])
    largest = max(_LARGEST, _LARGEST_SHARE * len(names) / count)
    for same in _SAME:
        close = pairs[pairs[:, 2] >= same]
        joined = _joined(names, pictures[close[:, :2].astype(int)])
        if _are_fine(joined, names, shown, largest):
            return joined, same
    return names, 1.0


def _alike(features: np.ndarray, same: float) -> np.ndarray:
    """The pairs of rows whose cosine is at least `same`: float (m, 3) of both rows and the cosine."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    units = features / np.maximum(lengths, 1e-12)
    found = [np.zeros((0, 3))]
    for begin in range(0, len(units), _BATCH):
        cosines = units[begin : begin + _BATCH] @ units.T
        first, second = np.nonzero(cosines >= same)
        later = second > first + begin
        first, second = first[later], second[later]
        found.append(np.stack([first + begin, second, cosines[first, second]], axis=1))
    return np.concatenate(found)


def _joined(names: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Groups, int (n,), joined by pairs of their members, int (m, 2)."""
    root = list(range(int(names.max(initial=-1)) + 1))

    def root_of(group: int) -> int:
        while root[group] != group:
            root[group] = root[root[group]]
            group = root[group]
        return group

    for first, second in names[pairs].reshape(-1, 2).tolist():
        root[root_of(second)] = root_of(first)
    return np.unique([root_of(group) for group in names.tolist()], return_inverse=True)[1]


def _are_fine(joined: np.ndarray, names: np.ndarray, shown: np.ndarray, largest: float) -> bool:
    """Whether no group is too large by looks alone, and no class has become one group."""
    if np.bincount(joined).max() > max(largest, np.bincount(names).max()):
        return False
    in_classes = [of_class > 0 for of_class in shown.T]
    return not any(len(np.unique(joined[one])) == 1 < len(np.unique(names[one])) for one in in_classes)


def _deal(groups: np.ndarray, shown: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Deal groups to folds, the largest first, each to where its classes are rarest."""
    names, places = np.unique(groups, return_inverse=True)
    totals = np.zeros((len(names), shown.shape[1]))
    np.add.at(totals, places, shown)
    totals /= np.maximum(shown.sum(axis=0), 1)  # a rare class counts as much as a common one
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-totals[order].sum(axis=1), kind="stable")]
    folds = np.zeros((min(count, len(names)), shown.shape[1]))
    fold_of = np.zeros(len(names), np.int64)
    for group in order:
        after = np.square(folds + totals[group]).sum(axis=1) - np.square(folds).sum(axis=1)
        fold_of[group] = after.argmin()
        folds[fold_of[group]] += totals[group]
    return fold_of[places]
