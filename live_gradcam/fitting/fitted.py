"""What a fit gives: the network with its new head, and what is known of how good it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.errors import OutputError, UsageError
from live_gradcam.files import check_output, part_path, publish, remove_part, writing
from live_gradcam.fitting.dataset import Dataset
from live_gradcam.fitting.head import Head
from live_gradcam.fitting.scores import Scores
from live_gradcam.networks.card import Card, card_beside, write_beside, write_card
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.labels import labels_file

if TYPE_CHECKING:
    import keras

    from live_gradcam.fitting.features import Backbone
    from live_gradcam.fitting.report.options import ReportOptions


#: How much must be free where a model is written, in bytes: a common network and its copy with the card.
_ROOM = 64_000_000


@dataclass(frozen=True)
class Epoch:
    """A step of fine-tuning.

    Attributes:
        epoch: its number, from 1 on; 0 for the network before it.
        loss: the mean loss of the pictures that are trained on, in nats, with classes counting the same; of values the
            mean squared error; None before.
        val_loss: that of the pictures that are held out.
        val_accuracy: the share of them that is right; None of values.
    """

    epoch: int
    loss: float | None
    val_loss: float
    val_accuracy: float | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A network that was fitted to one's own classes.

    Attributes:
        classifier: the whole network with the new head: raw RGB in, probabilities out.
        head: the new head, fitted to all examples that are for training.
        dataset: what it was fitted to. Files that could not be read are in its `left_out`.
        features: float32 (n, d), of the examples.
        folds: int (n,): which fold tests each example; −1 for those of val and test.
        fold_heads: for each fold the head that never saw its examples.
        held_out: float32 (n, k): what is said of each example by a head that never saw it.
        scores: by "cross-validation", and "val" and "test" where there are such examples.
        card: what travels with the file.
        backbone: the network without its head.
        groups: int (n,): a number for what belongs together, by its group and by its looks; −1 for val and test.
        same: the cosine of their features from which on pictures were taken for one thing.
        strength: of the head's regularisation.
        by_feature: whether features were scaled one by one for it.
        curve: the steps of fine-tuning, the first of which is before it; none without it.
        best: the step of the curve whose weights these are; 0 where fine-tuning made nothing better, and without it.
        is_stopped: whether Ctrl-C ended the fine-tuning.
        tuned_folds: on how many folds trained blocks were tested; 0 where they were not.
        seconds: how long each stage took.
    """

    classifier: Classifier
    head: Head
    dataset: Dataset
    features: np.ndarray
    folds: np.ndarray
    fold_heads: tuple[Head, ...]
    held_out: np.ndarray
    scores: Mapping[str, Scores]
    card: Card
    backbone: Backbone
    groups: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    same: float = 1.0
    strength: float = 0.0
    by_feature: bool = False
    curve: tuple[Epoch, ...] = ()
    best: int = 0
    is_stopped: bool = False
    tuned_folds: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def tested(self) -> Fitted:
        """What it is without the examples of which `held_out` is said by a network that was trained on them.

        Of blocks that are trained, these are all examples for training. Otherwise there are none.
        """
        examples = self.dataset.examples
        rows = [row for row, one in enumerate(examples) if self.folds[row] >= 0 or one.part != "train"]
        if len(rows) == len(examples):
            return self
        return replace(
            self,
            dataset=replace(self.dataset, examples=tuple(examples[row] for row in rows)),
            features=self.features[rows],
            folds=self.folds[rows],
            groups=self.groups[rows],
            held_out=self.held_out[rows],
        )

    def classifier_of(self, head: Head) -> Classifier:
        """The same network with another head, beside this one's classifier.

        The backbone is shared. To look through several heads, take one classifier and give it one head after the other
        by `network.set_head`: what is compiled of it stays.
        """
        from live_gradcam.fitting.network import with_head

        fitted = with_head(self.backbone.classifier, self.backbone.model, head, self.dataset.classes)
        return replace(fitted, fit=self.backbone.fit, card=None)  # whose scores are of another head

    def save(self, path: str | Path, *, overwrite: bool = False, teachable: bool = False) -> None:
        """Write the network as plain Keras, with its card in it, and the names of its classes beside it.

        Args:
            path: a `.keras` file.
            overwrite: whether a file that exists may be replaced.
            teachable: whether the features are written beside it, too, so that `Teacher.load` goes on from them.

        Raises:
            UsageError: the classes cannot be taught: see `fitted_lesson.check_teachable`.
            OutputError: it cannot be written.
        """
        from live_gradcam.fitting.examples import check_lesson, write_lesson
        from live_gradcam.fitting.fitted_lesson import check_teachable, lesson_of_fit

        path = Path(path)
        if teachable:
            check_teachable(self.dataset)
            check_lesson(path, overwrite=overwrite, pictures=False)
        write_model(path, self.classifier.model, self.card, overwrite=overwrite)
        if teachable:
            write_lesson(path, lesson_of_fit(self), pictures=False)

    def report(self, folder: str | Path, options: ReportOptions | None = None) -> Path:
        """Write what was found out as a page, with its pictures and figures: see `report.writing.write_report`.

        Args:
            folder: of the report. It is made where it is missing.
            options: what the report shows.

        Returns:
            The page.

        Raises:
            LiveGradcamError: the folder cannot be written, or something that the report needs cannot be read.
        """
        from live_gradcam.fitting.report.options import ReportOptions
        from live_gradcam.fitting.report.writing import write_report

        return write_report(self, folder, options or ReportOptions())

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values: see docs/json.md."""
        from live_gradcam.fitting.as_json import fit_json

        return fit_json(self)


def write_model(path: Path, model: keras.Model, card: Card, *, overwrite: bool) -> None:
    """Write a network as plain Keras, with its card in it and beside it. The file is whole or not there.

    Args:
        path: a `.keras` file.
        model: the network.
        card: what is known of it.
        overwrite: whether a file that exists may be replaced.

    Raises:
        UsageError: the name does not end in .keras.
        OutputError: it cannot be written.
    """
    check_model_path(path, overwrite=overwrite)
    part = part_path(path).with_suffix(".part.keras")
    try:
        with writing(path):
            model.save(part)
            write_card(part, card)
            part.replace(part_path(path))
            publish(path)
            write_beside(path, card)
    finally:
        part.unlink(missing_ok=True)
        remove_part(path)


def check_model_path(path: Path, *, overwrite: bool) -> None:
    """Make sure that a network can be written as a file, with its card and the names of its classes beside it.

    Raises:
        UsageError: the name does not end in .keras.
        OutputError: one of the files cannot be written, or exists and may not be overwritten, or the disk has no room.
    """
    if path.suffix != ".keras":
        raise UsageError(f"the model is written as NAME.keras, and {path} is another name")
    for file in (path, card_beside(path), labels_file(path)):
        check_output(file, overwrite=overwrite)
    with writing(path):
        free = shutil.disk_usage(path.parent).free
    if free < _ROOM:
        raise OutputError(
            f"cannot write {path}: there are only {free // 1_000_000} MB left on the disk, and {_ROOM // 1_000_000} MB "
            "are needed"
        )
