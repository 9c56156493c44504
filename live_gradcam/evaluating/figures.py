"""What is measured of a map, of a picture, and the mean over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from live_gradcam.explanations import faithfulness
from live_gradcam.explanations.explanation import Prediction

RANDOM_MAP, CENTRED_BLOB = "random map", "centred blob"


@dataclass(frozen=True)
class Figures:
    """What is measured of one map, or the mean of it over several.

    Attributes:
        deletion: float32 (steps + 1,): the class's probability with more and more of the most salient pixels gone.
        insertion: float32 (steps + 1,): with more and more of them there.
        drop: of the probability, in per cent, when the explanation map is shown.
        increase: 100 where it rises instead, else 0.
        hit: 100 where the map points at the object, else 0; None without boxes.
        rank_correlation: with the map of the network with a random head, -1…1; None where that was not asked for.
        absolute_rank_correlation: its absolute value, 0…1.
    """

    deletion: np.ndarray
    insertion: np.ndarray
    drop: float
    increase: float
    hit: float | None = None
    rank_correlation: float | None = None
    absolute_rank_correlation: float | None = None

    @property
    def deletion_auc(self) -> float:
        """The area under `deletion`, 0…1: the lower the better."""
        return faithfulness.area_under_curve(self.deletion)

    @property
    def insertion_auc(self) -> float:
        """The area under `insertion`, 0…1: the higher the better."""
        return faithfulness.area_under_curve(self.insertion)

    @classmethod
    def mean(cls, figures: Sequence[Figures]) -> Figures:
        """The mean of each figure, over those that have it. An area's mean is the area under the mean curve."""
        return cls(
            deletion=np.mean([one.deletion for one in figures], axis=0),
            insertion=np.mean([one.insertion for one in figures], axis=0),
            drop=float(np.mean([one.drop for one in figures])),
            increase=float(np.mean([one.increase for one in figures])),
            hit=_mean_of_known([one.hit for one in figures]),
            rank_correlation=_mean_of_known([one.rank_correlation for one in figures]),
            absolute_rank_correlation=_mean_of_known([one.absolute_rank_correlation for one in figures]),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        numbers = {
            "deletion_auc": self.deletion_auc,
            "insertion_auc": self.insertion_auc,
            "average_drop_percent": self.drop,
            "increase_percent": self.increase,
            "pointing_percent": self.hit,
            "random_head_correlation": self.rank_correlation,
            "random_head_absolute_correlation": self.absolute_rank_correlation,
        }
        return {
            **{name: None if number is None else round(number, 6) for name, number in numbers.items()},
            "deletion": [round(float(probability), 6) for probability in self.deletion],
            "insertion": [round(float(probability), 6) for probability in self.insertion],
        }


def _mean_of_known(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one picture.

    Attributes:
        name: the picture's.
        target: the explained class, with its probability for the picture.
        figures: by method, and by control.
        truth: the class that the picture is of, with its probability; None where nobody says it.
    """

    name: str
    target: Prediction
    figures: dict[str, Figures]
    truth: Prediction | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        truth = {} if self.truth is None else {"truth": self.truth.index, "truth_label": self.truth.label}
        return {
            "picture": self.name,
            "target": self.target.index,
            "target_label": self.target.label,
            "probability": round(self.target.probability, 6),
            **truth,
            "maps": {name: one.to_json() for name, one in self.figures.items()},
        }


def mean_figures(evaluations: Sequence[Evaluation]) -> dict[str, Figures]:
    """The mean over pictures, by method and control."""
    return {
        name: Figures.mean([evaluation.figures[name] for evaluation in evaluations]) for name in evaluations[0].figures
    }
