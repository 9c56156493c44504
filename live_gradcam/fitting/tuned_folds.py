"""Trained blocks, tested on what they never saw: they are trained once more without each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from live_gradcam.fitting.fine_tuning import Material, Tail, Tuned
from live_gradcam.fitting.fitted import Fitted

#: Trains a tail on some material. It is called with (done, in all) after each batch.
Train = Callable[[Material, Callable[[int, int], None]], Tuned]


def tuned_without_each_fold(
    fitted: Fitted,
    tail: Tail,
    material: Material,
    train: Train,
    known: Mapping[int, Tuned],
    on_progress: Callable[[str, int, int], None],
) -> tuple[Tuned, ...] | None:
    """Train the blocks once without each fold, and leave them as they are now.

    Args:
        fitted: the fit of the network as it was, with its folds and their heads.
        tail: is trained in place, each time from what it was at first.
        material: the examples; which of them are trained on is decided here.
        train: trains the tail.
        known: by fold what was trained without it already.
        on_progress: called as it goes on.

    Returns:
        For each fold what training without it gave; None where Ctrl-C ended it.
    """
    now, runs = tail.weights(), dict(known)
    count = len(fitted.fold_heads) - len(known)
    for fold, head in enumerate(fitted.fold_heads):
        if fold in runs:
            continue
        place = len(runs) - len(known)

        def on_batch(done: int, total: int, place: int = place) -> None:
            on_progress("train without each fold", place * total + done, count * total)

        seen = np.flatnonzero((fitted.folds >= 0) & (fitted.folds != fold))
        tail.begin_again(head)
        runs[fold] = train(replace(material, train=seen, held_out=np.flatnonzero(fitted.folds == fold)), on_batch)
        if runs[fold].is_stopped:
            break
    tail.restore(now)
    is_whole = not any(run.is_stopped for run in runs.values())
    return tuple(runs[fold] for fold in range(len(fitted.fold_heads))) if is_whole else None


def answers_of_folds(runs: Sequence[Tuned], of_example: np.ndarray) -> np.ndarray:
    """What is said of each example by blocks that never saw it.

    The step at which a fold is asked is the best one of all other folds together: its own examples have no say in it.

    Args:
        runs: for each fold what training without it gave.
        of_example: int (n,): the fold of each example; −1 for none.

    Returns:
        float32 (n, k); 0 for examples of no fold.
    """
    shortest = min(len(run.curve) for run in runs)
    sums = np.array([[len(run.answers[0]) * epoch.val_loss for epoch in run.curve[:shortest]] for run in runs])
    answers = np.zeros((len(of_example), runs[0].answers[0].shape[1]), np.float32)
    for fold, run in enumerate(runs):
        answers[of_example == fold] = run.answers[int((sums.sum(axis=0) - sums[fold]).argmin())]
    return answers
