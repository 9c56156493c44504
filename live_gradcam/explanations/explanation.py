"""What an explainer says about a frame. Importing this module does not import TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the command line knows these names, and its help does without NumPy
    import numpy as np


@dataclass(frozen=True)
class Prediction:
    """A class and how sure the network is of it, or a value.

    Attributes:
        index: the class index; of a group of classes, the number of classes plus the group's own.
        label: its name.
        probability: 0…1; of a group the sum of its classes'; NaN of a value.
        finest: of a group of several classes the most probable one.
        value: the number itself, of a network whose numbers are no probabilities; else None.
    """

    index: int
    label: str
    probability: float
    finest: Prediction | None = None
    value: float | None = None

    @property
    def number(self) -> float:
        """The probability, or the value."""
        return self.probability if self.value is None else self.value

    def amount(self, digits: int = 0) -> str:
        """The probability in per cent with so many digits after the point, or the value with four digits in all."""
        return f"{100 * self.probability:.{digits}f} %" if self.value is None else f"{self.value:.4g}"


@dataclass(frozen=True)
class Target:
    """What a map is to explain.

    Attributes:
        index: the class, or a group of classes: see `Prediction.index`.
        against: the class that it is contrasted with: why the one rather than the other. None for the class alone.
    """

    index: int
    against: int | None = None


@dataclass(frozen=True)
class Region:
    """The rectangle of the frame that the network was shown, in frame pixels.

    With letterboxing it reaches past the frame's edges; with cropping it is smaller than the frame.
    """

    x: float
    y: float
    width: float
    height: float


class Box(NamedTuple):
    """A rectangle in frame pixels: left and top inside, right and bottom just outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, repr=False)
class Explanation:
    """The predictions for one frame, and where the network saw what it names.

    Attributes:
        predictions: the top k, best first.
        heatmaps: float32 (maps, h, w) in 0…1 at the target layer's own resolution, or about twice that where layers in
            front of it cut or pad pixels; one a target, the first for `target`. Each is scaled to its own maximum; a
            map of no evidence is all zero.
        targets: the class that each heatmap explains, with its probability.
        evidence: float32 (maps,): each map's maximum before scaling, in units of the score. It tells "nothing here
            speaks for the class" (0) from "something does".
        logits: float32 (classes,): every class's score before softmax or sigmoid.
        probabilities: float32 (classes,): every class's probability; with everyday names (classes + groups,): every
            group's follow. Of a network whose numbers are values: these.
        region: the part of the frame that the heatmaps cover.
        boxes: for each map, or the first ones, the boxes around its regions, largest first; empty where nobody looked
            for them (see `explanations.boxes`).
        against: whether the maps show what speaks against their class, instead of for it.
        contrasts: for each map the class that its class is contrasted with, or None; empty where there is no contrast.
        fit: how the frame entered the network: see `explanations.fits.Fit`.
        tiles: as how many overlapping parts it did. The probabilities are then the mean over them, the logits are
            those that give these, and the heatmaps are composed of theirs (`explanations.tiles`).
        signs: int8 (maps, h, w), −1, 0 or 1, of a method whose maps are the strengths of something with a sign, as
            guided Grad-CAM's: whether the score rises with the pixel (1) or falls. None for other methods.
        model: the network's name.
        method: the method's name.
        layer: the target layer's name; several with commas.
        features: float32 (d,): what the last dense layer reads, where the explainer was asked for it; else None.
        is_undefined: whether a map was no number somewhere, as of a gradient of 0 / 0. It is left empty.
    """

    predictions: tuple[Prediction, ...]
    heatmaps: np.ndarray
    targets: tuple[Prediction, ...]
    evidence: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray
    region: Region
    boxes: tuple[tuple[Box, ...], ...] = ()
    against: bool = False
    contrasts: tuple[Prediction | None, ...] = ()
    fit: str = "stretch"
    tiles: int = 1
    signs: np.ndarray | None = None
    model: str = ""
    method: str = ""
    layer: str = ""
    features: np.ndarray | None = None
    is_undefined: bool = False

    def __repr__(self) -> str:
        best = ", ".join(f"{one.label} {one.amount(1)}" for one in self.predictions[:3])
        more = ", …" if len(self.predictions) > 3 else ""
        shape = "×".join(map(str, self.heatmaps.shape[1:]))
        maps = "1 map" if len(self.heatmaps) == 1 else f"{len(self.heatmaps)} maps"
        how = " · ".join(word for word in (self.model, self.method, self.layer) if word)
        return f"Explanation({best}{more}; {maps} of {shape}{'; ' if how else ''}{how})"

    @property
    def empty(self) -> tuple[bool, ...]:
        """Of each map whether it is 0 everywhere: nothing that the target layer sees speaks for its class."""
        return tuple(not heatmap.any() for heatmap in self.heatmaps)

    @property
    def target(self) -> int:
        """The index of the class that `heatmaps[0]` explains."""
        return self.targets[0].index

    @property
    def explained(self) -> tuple[Target, ...]:
        """What each map explains: its class, and what that is contrasted with."""
        contrasts = self.contrasts or (None,) * len(self.targets)
        return tuple(
            Target(target.index, None if contrast is None else contrast.index)
            for target, contrast in zip(self.targets, contrasts, strict=True)
        )

    @property
    def signed_maps(self) -> np.ndarray:
        """float32 (maps, h, w): the heatmaps in units of the score, and with their signs where they have some."""
        maps = self.heatmaps * self.evidence[:, None, None]
        return maps if self.signs is None else self.signs * maps

    def of_map(self, position: int) -> Explanation:
        """The same with one of the maps alone."""
        return self.of_maps(slice(position, position + 1))

    def of_maps(self, some: slice) -> Explanation:
        """The same with some of the maps alone."""
        return replace(
            self,
            heatmaps=self.heatmaps[some],
            targets=self.targets[some],
            evidence=self.evidence[some],
            boxes=self.boxes[some],
            contrasts=self.contrasts[some],
            signs=None if self.signs is None else self.signs[some],
        )

    def without_scores(self) -> Explanation:
        """The same without what says something of every class: `logits` and `probabilities` are empty."""
        import numpy as np

        nothing = np.empty(0, np.float32)
        return replace(self, logits=nothing, probabilities=nothing)
