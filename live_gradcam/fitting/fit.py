"""Fit a network to one's own classes: `live_gradcam.fit`."""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.compiling.runtime import set_compiler_flags
from live_gradcam.fitting.cache import FeatureCache
from live_gradcam.fitting.cross_validation import CrossValidated, cross_validate
from live_gradcam.fitting.dataset import PARTS, Dataset, LeftOut, check_groups
from live_gradcam.fitting.decoding import read_all
from live_gradcam.fitting.fitted import Fitted
from live_gradcam.fitting.fitted_lesson import check_teachable
from live_gradcam.fitting.folds import copies_in_two_classes, honest_folds
from live_gradcam.fitting.head import Head, fit_head
from live_gradcam.fitting.options import DEFAULT_OPTIONS, FitOptions, chosen_fit
from live_gradcam.fitting.reading import Source, content_hash, read_dataset
from live_gradcam.fitting.scores import Scores, scores_of
from live_gradcam.networks.card import Card
from live_gradcam.networks.catalog import DEFAULT_MODEL, check_model, find_source, identity_of, load_with_options
from live_gradcam.networks.model_source import ModelOptions
from live_gradcam.silence import quiet_tensorflow
from live_gradcam.sources.kinds import Kind
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.shared_levels import shared_levels

if TYPE_CHECKING:
    import keras

    from live_gradcam.fitting.features import Backbone

_log = logging.getLogger(__name__)

#: So many pictures are read, and their features kept, at a time.
_TOGETHER = 256

#: Called as a stage goes on: (what is done, done, in all).
OnProgress = Callable[[str, int, int], None]


def fit(
    source: Source | None = None,
    *,
    model: str | Path | keras.Model = DEFAULT_MODEL,
    model_options: ModelOptions | None = None,
    options: FitOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress | None = None,
) -> Fitted:
    """Fit a network to one's own classes.

    Args:
        source: a folder with a folder of pictures and videos for each class, or with such folders in `train`, `val` and
            `test`; `{video: class}`; or the folder where the paths of the table `options.csv` begin.
        model: the network whose features are used: as for `load_classifier`.
        model_options: how it is loaded.
        options: how it is fitted.
        on_progress: called as a stage goes on: (what is done, done, in all).

    Raises:
        LiveGradcamError: what `read_dataset` refuses; the model cannot be loaded, or has no pooled features.
    """
    model_options = model_options or ModelOptions()
    run = _Run(options, on_progress or (lambda what, done, total: None))
    check_model(model, model_options)
    with run.timed("look"):
        dataset = read_dataset(source, options, lambda done, total: run.on_progress("look at files", done, total))
        dataset = replace(dataset, levels=run.levels(dataset))
    if options.teachable:
        check_teachable(dataset)
    set_compiler_flags()
    with quiet_tensorflow():
        with run.timed("load"):
            backbone = _backbone(model, model_options, options)
        if options.unfreeze:
            from live_gradcam.fitting.unfreezing import check_blocks

            check_blocks(backbone, len(dataset.examples), options)
        with run.timed("features"):
            cache = FeatureCache(_identity(model, model_options, backbone, dataset)) if options.cache else None
            dataset, features = run.features(dataset, backbone, cache)
            check_groups(dataset)
            _say_copies(dataset, features)
        fitted = run.fitted(dataset, features, backbone)
        if options.unfreeze:
            from live_gradcam.fitting.unfreezing import unfrozen

            fitted = unfrozen(fitted, options, run.on_progress)
        return fitted


@dataclass
class _Run:
    """A fit that goes on.

    Attributes:
        options: how.
        on_progress: as for `fit`.
        seconds: how long each stage took.
    """

    options: FitOptions
    on_progress: OnProgress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Take the time of a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start

    def levels(self, dataset: Dataset) -> Levels | None:
        """Which values are black and white in all pictures: their brightness may be what tells the classes apart."""
        if self.options.levels is not None:
            return replace(self.options.levels, of="pictures")
        pictures = [example.path for example in dataset.examples if example.time is None]
        return shared_levels(pictures, lambda done, total: self.on_progress("look at values", done, total))

    def features(self, dataset: Dataset, backbone: Backbone, cache: FeatureCache | None) -> tuple[Dataset, np.ndarray]:
        """The features of all examples; those that cannot be read are left out of the data set."""
        count = len(dataset.examples)
        keys = _keys(dataset, cache) if cache else []
        kept = cache.get(keys, backbone.size) if cache else {}
        missing = [row for row in range(count) if not (keys and keys[row] in kept)]
        unread: dict[int, str] = {}
        read: list[int] = []
        features = np.zeros((count, backbone.size), np.float32)
        for row, key in enumerate(keys):
            if key in kept:
                features[row] = kept[key]

        def frames() -> Iterator[np.ndarray]:
            read_each = read_all(dataset.examples, missing, backbone.seen, levels=dataset.levels)
            for done, (row, pixels) in enumerate(read_each, 1):
                self.on_progress("read pictures", count - len(missing) + done, count)
                if isinstance(pixels, str):
                    unread[row] = pixels
                else:
                    read.append(row)
                    yield pixels

        all_frames = frames()
        while some := list(islice(all_frames, _TOGETHER)):
            done = read[-len(some) :]
            features[done] = backbone.features(some, are_seen=True)
            if cache:  # what is computed is kept, also where the fit is interrupted
                cache.put({keys[row]: features[row] for row in done})
        rows = [row for row in range(count) if row not in unread]
        return _without(dataset, unread), features[rows]

    def fitted(self, dataset: Dataset, features: np.ndarray, backbone: Backbone) -> Fitted:
        """Fit the head, test it, and put the network together."""
        from live_gradcam.fitting.network import with_head

        rows, targets = dataset.rows_of("train"), dataset.targets
        task, count = dataset.task, len(dataset.classes)
        with self.timed("head"):
            folds = honest_folds(dataset, features, count=self.options.folds, seed=self.options.seed)
            tested = cross_validate(
                features[rows],
                targets[rows],
                folds.of_example[rows],
                task=task,
                classes=count,
                on_fold=lambda done, total: self.on_progress("fit and test", done, total),
            )
            head = fit_head(
                features[rows],
                targets[rows],
                task=task,
                classes=count,
                strength=tested.strength,
                by_feature=tested.by_feature,
            )
        held_out = _held_out(dataset, features, head, tested)
        scores = _scores(dataset, held_out)
        with self.timed("assemble"):
            fitted = with_head(backbone.classifier, backbone.model, head, dataset.classes)
            card = _card(dataset, backbone, scores)
            classifier = replace(fitted, fit=backbone.fit, card=card)
        return Fitted(
            classifier,
            head,
            dataset,
            features,
            folds.of_example,
            tested.heads,
            held_out,
            scores,
            card,
            backbone,
            groups=folds.groups,
            same=folds.same,
            strength=tested.strength,
            by_feature=tested.by_feature,
            seconds=self.seconds,
        )


def _say_copies(dataset: Dataset, features: np.ndarray) -> None:
    """Say which pictures look almost the same, but show something else."""
    pairs = copies_in_two_classes(dataset, features)
    if not pairs:
        return
    count = "2 pictures" if len(pairs) == 1 else f"{len(pairs)} pairs of pictures"
    one, other = (f"{dataset.examples[row].path} is {_shown(dataset, row)}" for row in pairs[0])
    _log.warning("%s look almost the same, but are in different classes, such as: %s, %s", count, one, other)


def _shown(dataset: Dataset, row: int) -> str:
    target = dataset.examples[row].target
    indices = target if isinstance(target, tuple) else ()
    return ", ".join(dataset.classes[index] for index in indices) or "nothing"


def _backbone(model: str | Path | keras.Model, model_options: ModelOptions, options: FitOptions) -> Backbone:
    from live_gradcam.fitting.features import Backbone

    classifier = load_with_options(model, model_options)
    return Backbone(classifier, chosen_fit(options.fit, classifier.fit))


def _identity(
    model: str | Path | keras.Model, model_options: ModelOptions, backbone: Backbone, dataset: Dataset
) -> Mapping[str, object]:
    """All that the features of a picture depend on, besides the picture."""
    classifier = backbone.classifier
    return {
        "model": find_source(model).identity(model, model_options),
        "files": sorted(identity_of(model, model_options).items()),
        "head": model_options.head,
        "feed": repr(sorted(model_options.feed.items())),
        "input": classifier.input_size,
        "preprocessing": classifier.preprocessing,
        "fit": backbone.fit,
        **({} if dataset.levels is None else {"levels": repr(dataset.levels)}),
        "versions": [importlib.metadata.version(name) for name in ("live-gradcam", "tensorflow", "keras")],
    }


def _keys(dataset: Dataset, cache: FeatureCache) -> list[bytes]:
    contents: dict[Path, str] = {}
    for example in dataset.examples:
        if example.path not in contents:
            kind = Kind.PICTURE if example.time is None else Kind.VIDEO
            contents[example.path] = content_hash(example.path, kind)
    return [cache.key(contents[example.path], example.time) for example in dataset.examples]


def _without(dataset: Dataset, unread: Mapping[int, str]) -> Dataset:
    """The data set without examples that cannot be read, whose files are left out; of a video some frames may be."""
    if not unread:
        return dataset
    of_file: dict[Path, list[int]] = {}
    for row in unread:
        of_file.setdefault(dataset.examples[row].path, []).append(row)
    left_out = []
    for path, rows in of_file.items():
        total = sum(example.path == path for example in dataset.examples)
        why = unread[rows[0]]
        left_out.append(LeftOut(path, why if len(rows) == total else f"{len(rows)} of {total} frames: {why}"))
    examples = tuple(example for row, example in enumerate(dataset.examples) if row not in unread)
    return replace(dataset, examples=examples, left_out=(*dataset.left_out, *left_out))


def _held_out(dataset: Dataset, features: np.ndarray, head: Head, tested: CrossValidated) -> np.ndarray:
    held_out = head.probabilities(features)
    held_out[dataset.rows_of("train")] = tested.held_out
    return held_out


def _scores(dataset: Dataset, held_out: np.ndarray) -> dict[str, Scores]:
    targets = dataset.targets
    scores: dict[str, Scores] = {}
    for part in PARTS:
        rows = dataset.rows_of(part)
        if len(rows):
            name = "cross-validation" if part == "train" else part
            scores[name] = scores_of(held_out[rows], targets[rows], task=dataset.task, classes=dataset.classes)
    return scores


def _card(dataset: Dataset, backbone: Backbone, scores: Mapping[str, Scores]) -> Card:
    return Card(
        classes=dataset.classes,
        task=dataset.task,
        fit=backbone.fit,
        backbone=backbone.classifier.name,
        counts=dataset.counts("train"),
        scores={part: one.to_json() for part, one in scores.items()},
        levels=None if dataset.levels is None else asdict(dataset.levels),
    )
