"""Folds: what belongs together is never on both sides, so that chance does not look like skill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from live_gradcam.fitting.cross_validation import cross_validate
from live_gradcam.fitting.dataset import Dataset, Example, groups_of
from live_gradcam.fitting.folds import copies_in_two_classes, folds_of, honest_folds

pytestmark = pytest.mark.versions

_SIZE = 64


def dataset_of(*examples: Example, classes: tuple[str, ...] = ("a", "b")) -> Dataset:
    return Dataset("classes", classes, examples)


def pictures(counts: tuple[int, ...], group: str = "{target} {number}") -> list[Example]:
    return [
        Example(Path(f"{target}/{number}.png"), (target,), group.format(target=target, number=number))
        for target, count in enumerate(counts)
        for number in range(count)
    ]


def unlike(count: int) -> np.ndarray:
    """Features of which no two are alike, float32 (count, 64)."""
    return np.random.default_rng(0).normal(size=(count, _SIZE)).astype(np.float32)


def frames(video: str, targets: list[int], *, every: float = 1.0) -> list[Example]:
    return [Example(Path(video), (target,), video, time=every * number) for number, target in enumerate(targets)]


def wandering(count: int) -> np.ndarray:
    """Features of a video's frames: each is near the one before, float32 (count, 64)."""
    steps = np.random.default_rng(3).normal(size=(count, _SIZE))
    return np.float32(5 * np.random.default_rng(4).normal(size=_SIZE) + np.cumsum(0.3 * steps, axis=0))


def test_each_fold_has_its_share_of_each_class() -> None:
    examples = pictures((50, 20, 10))
    folds = folds_of(dataset_of(*examples, classes=("a", "b", "c")), unlike(80))
    targets = np.array([example.target for example in examples])[:, 0]
    counts = np.array([np.bincount(folds[targets == target], minlength=5) for target in range(3)])
    np.testing.assert_array_equal(counts, [[10] * 5, [4] * 5, [2] * 5])


def test_no_group_is_split() -> None:
    examples = [
        Example(example.path, example.target, f"group {number % 7}")
        for number, example in enumerate(pictures((40, 40)))
    ]
    folds = folds_of(dataset_of(*examples), unlike(80))
    for group in range(7):
        assert len({folds[row] for row, example in enumerate(examples) if example.group == f"group {group}"}) == 1
    assert set(folds) == {0, 1, 2, 3, 4}


def test_pictures_that_look_the_same_are_one_group() -> None:
    features = unlike(30)
    features[[5, 9, 20]] = features[3] + 0.1 * features[[5, 9, 20]]  # the same thing three times more
    found = honest_folds(dataset_of(*pictures((15, 15))), features)
    assert len({found.of_example[row] for row in (3, 5, 9, 20)}) == 1
    assert len(set(found.groups)) == 27
    assert found.same == 0.9


def test_where_all_pictures_look_much_alike_only_the_closest_are_one_group() -> None:
    features = unlike(100) + 5.0  # a cosine of 0.96 and more for all
    features[1] = 1.001 * features[0]
    found = honest_folds(dataset_of(*pictures((50, 50))), features)
    assert found.same > 0.9
    assert found.of_example[0] == found.of_example[1]
    assert len(set(found.of_example)) == 5


def test_chains_of_pictures_are_cut() -> None:
    angles = np.deg2rad(np.arange(0, 180, 2))  # each has a cosine of 0.999 with the next
    features = np.float32(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    found = honest_folds(dataset_of(*pictures((45, 45))), features)
    for group in set(found.groups):
        members = features[found.groups == group]
        assert (members @ members.T).min() >= 0.9
    assert 6 <= len(set(found.groups)) <= 14


def test_many_pictures_are_compared_with_the_first_of_each_group(monkeypatch: pytest.MonkeyPatch) -> None:
    features = unlike(30)
    features[[5, 9, 20]] = features[3] + 0.1 * features[[5, 9, 20]]
    in_pairs = honest_folds(dataset_of(*pictures((15, 15))), features)
    monkeypatch.setattr("live_gradcam.fitting.folds._MOST_IN_PAIRS", 10)
    by_first = honest_folds(dataset_of(*pictures((15, 15))), features)
    same = (found.groups[:, None] == found.groups for found in (in_pairs, by_first))
    np.testing.assert_array_equal(*same)


def test_things_that_were_filmed_are_a_fold_each_however_large_they_are() -> None:
    things = unlike(4)
    features = things[np.repeat(np.arange(4), 30)] + 0.05 * unlike(120)
    targets = np.random.default_rng(1).integers(0, 2, 120)
    examples = [Example(Path(f"{row}.jpg"), (int(target),), f"{row}") for row, target in enumerate(targets)]
    folds = folds_of(dataset_of(*examples), features)
    assert [len(set(folds[30 * thing : 30 * thing + 30])) for thing in range(4)] == [1] * 4
    assert len(set(folds)) == 4


def test_examples_for_other_parts_are_in_no_fold() -> None:
    examples = pictures((6, 6))
    examples[2] = Example(examples[2].path, (0,), "x", part="val")
    folds = folds_of(dataset_of(*examples), unlike(12))
    assert folds[2] == -1
    assert (np.delete(folds, 2) >= 0).all()


def test_a_video_is_a_group_and_the_only_one_of_a_class_is_blocks() -> None:
    examples = frames("a.mp4", [0] * 20) + frames("b.mp4", [1] * 5) + frames("c.mp4", [1] * 5)
    groups = groups_of(dataset_of(*examples))
    assert groups[20:] == ("b.mp4",) * 5 + ("c.mp4",) * 5
    assert groups[:20] == tuple(f"a.mp4 part {block}" for block in range(1, 6) for _ in range(4))
    short = groups_of(dataset_of(*frames("a.mp4", [0] * 11), *frames("b.mp4", [1] * 7)))
    assert len(set(short[:11])) == 2  # 5.5 s each
    assert len(set(short[11:])) == 1


def test_blocks_are_the_same_for_all_classes_of_a_video() -> None:
    examples = frames("a.mp4", [0, 1] * 20)
    groups = groups_of(dataset_of(*examples))
    assert groups == tuple(f"a.mp4 part {block}" for block in range(1, 6) for _ in range(8))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_labels_drawn_at_random_on_frames_give_no_good_accuracy(seed: int) -> None:
    targets = np.repeat(np.random.default_rng(seed).integers(0, 2, 60), 2)  # for two frames each
    examples = frames("a.mp4", targets.tolist(), every=0.5)
    features = wandering(len(targets))
    by_blocks = folds_of(dataset_of(*examples), features)
    by_frame = np.random.default_rng(seed).permutation(len(targets)) % 5
    blocks, single = (
        np.mean(cross_validate(features, targets, folds, task="classes", classes=2).held_out.argmax(axis=1) == targets)
        for folds in (by_blocks, by_frame)
    )
    assert blocks < 0.65
    assert single > blocks + 0.1


def test_values_and_labels_are_dealt_too() -> None:
    numbers = tuple(Example(Path(f"{n}.png"), float(n), f"{n}") for n in range(25))
    folds = folds_of(Dataset("values", ("age",), numbers), unlike(25))
    np.testing.assert_array_equal(np.bincount(folds), [5] * 5)
    assert all(folds[fifth : fifth + 5].tolist() != [0] * 5 for fifth in range(0, 25, 5))
    labels = tuple(Example(Path(f"{n}.png"), ((), (0,), (0, 1))[n % 3], f"{n}") for n in range(30))
    folds = folds_of(Dataset("labels", ("x", "y"), labels), unlike(30))
    np.testing.assert_array_equal(np.bincount(folds), [6] * 5)


def test_pictures_that_look_the_same_in_two_classes_are_found() -> None:
    examples, features = [*pictures((15, 15)), *frames("a.mp4", [1, 0])], unlike(32)
    features[20] = 2 * features[3] + 0.1 * features[7]  # cosine 0.9988
    features[4] = features[5]  # in one class
    features[31] = features[30]  # frames of a video
    features[22] = features[8] + 0.5 * features[9]  # cosine 0.89
    assert copies_in_two_classes(dataset_of(*examples), features) == [(3, 20)]
    values = [Example(example.path, float(number), "") for number, example in enumerate(examples)]
    assert copies_in_two_classes(Dataset("values", ("height",), tuple(values)), features) == []
