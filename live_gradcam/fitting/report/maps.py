"""Maps of examples by the head that never saw them, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from live_gradcam.drawing.views import rescaled
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.fits import heatmap_on_frame, shrink

if TYPE_CHECKING:
    from live_gradcam.fitting.fitted import Fitted

#: The side of the square on which maps of pictures of any size are added up and compared, in pixels.
SIDE = 224


class HeldOutExplainer:
    """Explains examples by the heads that never saw them, all through one compiled function.

    Args:
        fitted: the fit. Its own classifier keeps its head.
    """

    def __init__(self, fitted: Fitted) -> None:
        from live_gradcam.attribution.explainer import Explainer

        self._fitted = fitted
        self._classifier = fitted.classifier_of(fitted.head)
        self._fold = -1
        classes = len(fitted.dataset.classes)
        options: dict[str, Any] = {"fit": fitted.backbone.fit, "maps": min(2, classes), "topk": 1}
        self.explainer = Explainer(self._classifier, tune="remembered", **options)

    def __call__(self, frame: np.ndarray, fold: int, targets: Sequence[int] = ()) -> Explanation:
        """Explain a frame.

        Args:
            frame: uint8 (H, W, 3), BGR.
            fold: the one whose head explains it; −1 for the head of all examples, which saw none of val and test.
            targets: one or two classes; none for what the head says.

        Returns:
            The probabilities, and a map for each of the classes.
        """
        self._use(fold)
        wanted = tuple(dict.fromkeys(targets)) or None
        return self.explainer(frame, target=wanted).of_maps(slice(len(wanted or (None,))))

    def _use(self, fold: int) -> None:
        from live_gradcam.fitting.network import set_head

        if fold != self._fold:
            set_head(self._classifier, self._fitted.fold_heads[fold] if fold >= 0 else self._fitted.head)
            self._fold = fold


def on_square(explanation: Explanation, frame_size: tuple[int, int], side: int = SIDE) -> np.ndarray:
    """The first map of a frame of (height, width) pixels, squeezed into a square: float32 (side, side) in 0…1."""
    squeezed = rescaled(explanation, frame_size, (side, side))
    return heatmap_on_frame(explanation.heatmaps[0], squeezed.region, (side, side)) / np.float32(255)


def share_on(heatmap: np.ndarray, inside: np.ndarray) -> float | None:
    """How much of a map lies in a part of the picture.

    Args:
        heatmap: float (h, w), not negative.
        inside: float or bool (h, w): how much of each pixel belongs to the part, 0…1.

    Returns:
        0…1; None of a map that is 0 everywhere.
    """
    total = float(heatmap.sum(dtype=np.float64))
    return float((heatmap * inside).sum(dtype=np.float64)) / total if total > 0 else None


@dataclass(frozen=True)
class OnObject:
    """How much of the maps of a class lies on the object.

    Attributes:
        name: of the class.
        count: how many pictures have a mask and a map.
        map_share: the mean share of the map that lies on the object, 0…1.
        area_share: the mean share of the picture that the object fills, 0…1.
    """

    name: str
    count: int
    map_share: float
    area_share: float

    @property
    def ratio(self) -> float:
        """The share of the map over the share of the area: 1 is what a map has that is the same everywhere."""
        return self.map_share / self.area_share

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return {
            "class": self.name,
            "pictures": self.count,
            "map_share": round(self.map_share, 4),
            "area_share": round(self.area_share, 4),
            "ratio": round(self.ratio, 3),
        }


@dataclass(frozen=True, eq=False)
class MeanMap:
    """What the maps of a class have in common.

    Attributes:
        name: of the class.
        count: over how many pictures the mean is.
        heatmap: float32 (side, side): the mean of the maps, each scaled to its own maximum.
        picture: uint8 (side, side, 3), BGR: the mean of the pictures.
    """

    name: str
    count: int
    heatmap: np.ndarray
    picture: np.ndarray

    @property
    def peak(self) -> float:
        """The mean map's maximum over its mean: 1 of a map that is the same everywhere."""
        mean = float(self.heatmap.mean())
        return float(self.heatmap.max()) / mean if mean > 0 else 1.0

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return {"class": self.name, "pictures": self.count, "peak": round(self.peak, 3)}


@dataclass(eq=False)
class MapsOfClass:
    """Adds up the maps of a class, picture after picture.

    Attributes:
        name: of the class.
    """

    name: str
    _heatmaps: np.ndarray = field(default_factory=lambda: np.zeros((SIDE, SIDE)))
    _pictures: np.ndarray = field(default_factory=lambda: np.zeros((SIDE, SIDE, 3)))
    _count: int = 0
    _shares: list[tuple[float, float]] = field(default_factory=list)

    def add(self, frame: np.ndarray, explanation: Explanation, opacity: np.ndarray | None) -> None:
        """Add a picture.

        Args:
            frame: uint8 (H, W, 3), BGR.
            explanation: of the frame; its first map is of this class.
            opacity: float32 (H, W) in 0…1, of the object; None where nobody knows where it is.
        """
        heatmap = on_square(explanation, (frame.shape[0], frame.shape[1]))
        self._heatmaps += heatmap
        self._pictures += shrink(frame, SIDE, SIDE)
        self._count += 1
        if opacity is not None:
            inside = cv2.resize(opacity, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            share = share_on(heatmap, inside)
            if share is not None:
                self._shares.append((share, float(inside.mean())))

    @property
    def mean(self) -> MeanMap | None:
        """What the maps have in common; None without any."""
        if not self._count:
            return None
        picture = np.rint(self._pictures / self._count).astype(np.uint8)
        return MeanMap(self.name, self._count, (self._heatmaps / self._count).astype(np.float32), picture)

    @property
    def on_object(self) -> OnObject | None:
        """How much of them lies on the object; None where no picture has a mask."""
        if not self._shares:
            return None
        maps, areas = np.mean(self._shares, axis=0)
        return OnObject(self.name, len(self._shares), float(maps), float(areas))
