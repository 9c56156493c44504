"""What a fit found out, as JSON has it: see docs/json.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from live_gradcam.explanations.as_json import rounded
from live_gradcam.fitting.dataset import PARTS

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

#: Of what `fit_json` gives. New fields may come under the same number.
SCHEMA = 1


def fit_json(fitted: Fitted) -> dict[str, Any]:
    """The numbers of a fit as plain values."""
    dataset = fitted.dataset
    parts = [part for part in PARTS if len(dataset.rows_of(part))]
    return {
        "schema": SCHEMA,
        "backbone": fitted.backbone.classifier.name,
        "task": dataset.task,
        "classes": list(dataset.classes),
        "fit": fitted.backbone.fit,
        "levels": None if dataset.levels is None else asdict(dataset.levels),
        "counts": {part: dataset.counts(part) for part in parts},
        "groups": len(set(fitted.groups.tolist()) - {-1}),
        "same_from_cosine": fitted.same,
        "folds": len(fitted.fold_heads) or fitted.tuned_folds,
        "strength": fitted.strength,
        "scaled_by_feature": fitted.by_feature,
        "scores": {part: scores.to_json() for part, scores in fitted.scores.items()},
        "left_out": [{"path": str(one.path), "why": one.why} for one in dataset.left_out],
        "examples": [_example_json(fitted, row) for row in range(len(dataset.examples))],
        "curve": [
            {"epoch": one.epoch, "loss": one.loss, "val_loss": one.val_loss, "val_accuracy": one.val_accuracy}
            for one in fitted.curve
        ],
        "best_epoch": fitted.best,
        "seconds": {stage: round(seconds, 3) for stage, seconds in fitted.seconds.items()},
    }


def _example_json(fitted: Fitted, row: int) -> dict[str, Any]:
    """An example, and what the head that never saw it says of it."""
    example = fitted.dataset.examples[row]
    target = example.target
    names = [fitted.dataset.classes[index] for index in target] if isinstance(target, tuple) else target
    fold = int(fitted.folds[row])
    are_values = fitted.dataset.task == "values"
    return {
        "path": str(example.path),
        "time": example.time,
        "part": example.part,
        "group": example.group,
        "fold": None if fold < 0 else fold,
        "target": names,
        "held_out": [rounded(number) if are_values else round(float(number), 6) for number in fitted.held_out[row]],
    }
