"""A fit goes on with the last blocks of the network: a copy of them is trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import keras
import numpy as np

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.fitting.augmentation import VARIANTS, variants
from live_gradcam.fitting.blocks import Cut, cut_before
from live_gradcam.fitting.dataset import Dataset
from live_gradcam.fitting.decoding import read_all
from live_gradcam.fitting.features import Backbone, compiled, in_batches
from live_gradcam.fitting.fine_tuning import Material, Tail, Tuned, fine_tune
from live_gradcam.fitting.fitted import Fitted
from live_gradcam.fitting.network import with_head
from live_gradcam.fitting.options import FitOptions
from live_gradcam.fitting.scores import scores_of
from live_gradcam.fitting.tuned_folds import answers_of_folds, tuned_without_each_fold
from live_gradcam.networks.graph import Network, flatten

#: What activations may take, in bytes.
_MOST_BYTES = 4 * 1024**3


def check_blocks(backbone: Backbone, count: int, options: FitOptions) -> None:
    """Make sure that the last blocks can be trained.

    Args:
        backbone: the network.
        count: how many examples there are.
        options: how.

    Raises:
        UsageError: the network has not so many blocks, or the activations before them would take too much memory.
    """
    network = flatten(backbone.model, backbone.classifier.input_size)
    cut = cut_before(network, options.unfreeze)
    size = 4 * count * _views(options) * int(np.prod([side or 1 for side in network.shapes[cut.value]]))
    if size > _MOST_BYTES:
        raise UsageError(
            f"--unfreeze {options.unfreeze} would keep {size / 1e9:.0f} GB of activations: give a smaller number"
            + (", or leave --augment out" if options.augment else "")
        )


def unfrozen(fitted: Fitted, options: FitOptions, on_progress: Callable[[str, int, int], None]) -> Fitted:
    """Train the last blocks of a copy of the network.

    Training stops by the pictures of `val`, or where there are none by those of a fold, which become `val`.
    Their score is what is known of the trained network, as it has seen the other folds. Where every fold is to be
    tested, the blocks are trained again without each.

    Args:
        fitted: the fit of the network as it was.
        options: how.
        on_progress: called as it goes on.

    Returns:
        The fit of the trained network; where training makes nothing better, the fit as it was. Both have the curve.

    Raises:
        SourceError: a picture is gone by now.
    """
    start = time.perf_counter()
    model = keras.models.clone_model(fitted.backbone.model)
    model.set_weights(fitted.backbone.model.get_weights())
    network = flatten(model, fitted.backbone.classifier.input_size)
    cut = cut_before(network, options.unfreeze)
    dataset, head, fold = fitted.dataset, fitted.head, None
    if not len(dataset.rows_of("val")):
        fold = _usual_fold(fitted.folds)
        dataset, head = _with_val(dataset, fitted.folds == fold), fitted.fold_heads[fold]
    views = _activations(fitted, network, cut, options, on_progress)
    material = Material(views, dataset.targets, dataset.rows_of("train"), dataset.rows_of("val"), dataset.task)
    tail = Tail(network, cut, head)

    def train(some: Material, on_batch: Callable[[int, int], None]) -> Tuned:
        return fine_tune(tail, some, epochs=options.epochs, seed=options.seed, on_batch=on_batch)

    tuned = train(material, lambda done, total: on_progress("train the last blocks", done, total))
    seconds = {**fitted.seconds, "fine-tune": time.perf_counter() - start}
    if not tuned.best:
        return replace(fitted, curve=tuned.curve, is_stopped=tuned.is_stopped, seconds=seconds)
    runs: tuple[Tuned, ...] | None = ()
    if options.every_fold and not tuned.is_stopped:
        start = time.perf_counter()
        known = {} if fold is None else {fold: tuned}
        runs = tuned_without_each_fold(fitted, tail, material, train, known, on_progress)
        seconds["folds"] = time.perf_counter() - start
    features = tail.features_of(views[0])
    held_out = tuned.head.probabilities(features)
    targets = dataset.targets
    scores = {
        part: scores_of(held_out[rows], targets[rows], task=dataset.task, classes=dataset.classes)
        for part in ("val", "test")
        if len(rows := dataset.rows_of(part))
    }
    if runs:
        rows, answers = np.flatnonzero(fitted.folds >= 0), answers_of_folds(runs, fitted.folds)
        tested = scores_of(answers[rows], targets[rows], task=dataset.task, classes=dataset.classes)
        scores = {"cross-validation": tested, **scores}
        train_rows = dataset.rows_of("train")
        held_out[train_rows] = answers[train_rows]
    old = fitted.backbone
    backbone = Backbone(old.classifier, old.fit, model)
    card = replace(
        fitted.card,
        counts=dataset.counts("train"),
        scores={part: one.to_json() for part, one in scores.items()},
    )
    classifier = with_head(old.classifier, model, tuned.head, dataset.classes)
    return replace(
        fitted,
        classifier=replace(classifier, fit=old.fit, card=card),
        head=tuned.head,
        dataset=dataset,
        features=features,
        folds=np.full(len(targets), -1, np.int64),
        fold_heads=(),
        held_out=held_out,
        scores=scores,
        card=card,
        backbone=backbone,
        curve=tuned.curve,
        best=tuned.best,
        is_stopped=tuned.is_stopped or runs is None,
        tuned_folds=len(runs or ()),
        seconds=seconds,
    )


def _views(options: FitOptions) -> int:
    return 1 + VARIANTS * options.augment


def _usual_fold(folds: np.ndarray) -> int:
    """The fold whose size is nearest to that of all: one large group can fill one."""
    sizes = np.bincount(folds[folds >= 0])
    return int(np.abs(sizes - sizes.mean()).argmin())


def _with_val(dataset: Dataset, held_out: np.ndarray) -> Dataset:
    """The data set with some examples, bool (n,), as `val`."""
    examples = (
        replace(example, part="val") if is_held_out else example
        for example, is_held_out in zip(dataset.examples, held_out, strict=True)
    )
    return replace(dataset, examples=tuple(examples))


def _activations(
    fitted: Fitted, network: Network, cut: Cut, options: FitOptions, on_progress: Callable[[str, int, int], None]
) -> tuple[np.ndarray, ...]:
    """What the blocks before the cut make of all examples, for each variant: float32 (n, …)."""
    backbone, examples = fitted.backbone, fitted.dataset.examples
    count, views = len(examples), _views(options)
    function = compiled(
        Network(cut.before, network.input, cut.value, network.shapes, network.batch), backbone.classifier
    )

    def keep(frame: np.ndarray) -> np.ndarray:
        seen = backbone.seen(frame)
        return variants(seen, options.seed) if options.augment else seen[None]

    def pictures() -> Iterator[np.ndarray]:
        for row, kept in read_all(examples, range(count), keep, levels=fitted.dataset.levels):
            if isinstance(kept, str):
                raise SourceError(f"{examples[row].path} could be read before, and cannot be read now: {kept}")
            on_progress("run the first blocks", row + 1, count)
            yield from kept

    found = np.zeros((count * views, *(side or 1 for side in network.shapes[cut.value])), np.float32)
    place = 0
    for some in in_batches(function, pictures()):
        found[place : place + len(some)] = some
        place += len(some)
    return tuple(found[view::views] for view in range(views))
