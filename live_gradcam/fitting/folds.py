"""Folds that test honestly: what belongs together is never on both sides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from live_gradcam.fitting.dataset import Dataset, groups_of

#: Where all pictures of a group have this cosine of their features or more, they are one thing seen several times. In
#: a class whose pictures are all so much alike, only those are that have the next one.
_SAME = (0.9, 0.95, 0.98, 0.99, 0.995)
#: Two pictures with this cosine are likely the same one, perhaps saved in another way: 0.994 of a PNG and its JPEG,
#: where the most alike of other crops of one photograph have 0.96. Of so many pictures at most they are looked for.
_COPY, _MOST_FOR_COPIES = 0.98, 20_000
#: Of so many pictures all pairs are looked at: 200 MB. Of more, each is compared with the first one of each group.
_MOST_IN_PAIRS = 5000
#: So many are compared with all others at a time: 80 MB.
_AT_A_TIME = 1000


class Folds(NamedTuple):
    """Which part of the cross-validation tests each example.

    Attributes:
        of_example: int (n,): from 0 on; −1 for examples that are not for training.
        groups: int (n,): a number for what belongs together, by its group and by its looks; −1 likewise.
        same: the cosine from which pictures were taken for one thing; 1 where none were.
    """

    of_example: np.ndarray
    groups: np.ndarray
    same: float


def folds_of(dataset: Dataset, features: np.ndarray, *, count: int = 5, seed: int = 0) -> np.ndarray:
    """The fold of each example: see `honest_folds`. int (n,), −1 for examples that are not for training."""
    return honest_folds(dataset, features, count=count, seed=seed).of_example


def honest_folds(dataset: Dataset, features: np.ndarray, *, count: int = 5, seed: int = 0) -> Folds:
    """Deal what belongs together to folds, so that each has its share of all classes as far as groups allow it.

    Together are examples of one group, and still pictures that look the same: each pair of them has features with a
    cosine of 0.9 or more. (Chains of such pairs would join most of a set of solar cells: 1238 of 2223.) Frames of a
    video are together as a video, or where it is the only one of its class as a block of it.

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
    groups, same = _by_looks(features[rows], pictures, names, shown)
    of_example, of_group = (np.full(len(dataset.examples), -1, np.int64) for _ in range(2))
    of_group[rows] = groups
    of_example[rows] = _deal(groups, shown, count, seed)
    return Folds(of_example, of_group, same)


def copies_in_two_classes(dataset: Dataset, features: np.ndarray) -> list[tuple[int, int]]:
    """The pairs of examples that look the same and show something else: one of the two may be in the wrong place.

    Args:
        dataset: the examples, of classes or labels. Of values there are none, and frames of videos are not looked at.
        features: float32 (n, d), of the examples.
    """
    pictures = np.array([row for row, example in enumerate(dataset.examples) if example.time is None], np.int64)
    if dataset.task == "values" or len(pictures) > _MOST_FOR_COPIES:
        return []
    units = features[pictures] / np.maximum(np.linalg.norm(features[pictures], axis=1, keepdims=True), 1e-12)
    pairs = []
    for begin in range(0, len(units), _AT_A_TIME):
        ones, others = np.nonzero(units[begin : begin + _AT_A_TIME] @ units.T >= _COPY)
        for one, other in zip(pictures[ones + begin].tolist(), pictures[others].tolist(), strict=True):
            if one < other and dataset.examples[one].target != dataset.examples[other].target:
                pairs.append((one, other))
    return pairs


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
    features: np.ndarray, pictures: np.ndarray, names: np.ndarray, shown: np.ndarray
) -> tuple[np.ndarray, float]:
    """Groups by name, joined where pictures look the same; and the cosine from which on they do."""
    lengths = np.linalg.norm(features[pictures], axis=1, keepdims=True)
    units = features[pictures] / np.maximum(lengths, 1e-12)
    for same in _SAME if len(pictures) > 1 else ():
        looks = _in_pairs(units, same) if len(units) <= _MOST_IN_PAIRS else _by_first(units, same)
        first = np.unique(looks, return_index=True)[1]
        joined = _joined(names, np.stack([pictures, pictures[first[looks]]], axis=1))
        in_classes = [of_class > 0 for of_class in shown.T]
        if not any(len(np.unique(joined[one])) == 1 < len(np.unique(names[one])) for one in in_classes):
            return joined, same
    return names, 1.0


def _in_pairs(units: np.ndarray, same: float) -> np.ndarray:
    """Groups of rows of length 1, of which each pair has the cosine `same` or more (complete linkage): int (n,)."""
    from sklearn.cluster import AgglomerativeClustering

    distances = np.clip(1 - units @ units.T, 0, 2)
    clustering = AgglomerativeClustering(
        n_clusters=None, linkage="complete", metric="precomputed", distance_threshold=1 - same
    )
    labels: np.ndarray = clustering.fit(distances).labels_
    return labels


def _by_first(units: np.ndarray, same: float) -> np.ndarray:
    """Groups of rows that have the cosine `same` or more with the first one of them: int (n,)."""
    groups = np.zeros(len(units), np.int64)
    left, count = np.arange(len(units)), 0
    while len(left):
        near = units[left] @ units[left[0]] >= same
        near[0] = True
        groups[left[near]] = count
        left, count = left[~near], count + 1
    return groups


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
