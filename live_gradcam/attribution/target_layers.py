"""The target layers, and how their raw maps become the heatmaps of a frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.attribution.coverage import Coverage, coverage_of
from live_gradcam.explanations.heatmaps import fuse, scale
from live_gradcam.explanations.tiles import Tiling

if TYPE_CHECKING:
    from live_gradcam.networks.graph import Network, Operation


@dataclass(frozen=True)
class TargetLayers:
    """One or several target layers, in running order.

    Attributes:
        name: the full name; several with commas.
        coverages: what of the input each layer's map covers; None for all of it.
        places: of layers side by side, how many places each one's map has; empty for a single layer, and for layers one
            after the other.
    """

    name: str
    coverages: tuple[Coverage | None, ...]
    places: tuple[int, ...] = ()

    @classmethod
    def of(cls, network: Network, operations: Sequence[Operation], values: Sequence[int]) -> TargetLayers:
        """The target layers of a network.

        Args:
            network: as it was before it was rewritten.
            operations: the layers.
            values: the numbers of their activations, in running order.
        """
        from live_gradcam.networks.target_layer import are_side_by_side

        places: tuple[int, ...] = ()
        if len(values) > 1 and are_side_by_side(network, tuple(values)):
            places = tuple(math.prod(side or 1 for side in network.shapes[value][:-1]) for value in values)
        name = ",".join(operation.name for operation in operations)
        return cls(name, tuple(coverage_of(network, value) for value in values), places)

    def on_input(self, raw_maps: list[np.ndarray], *, relu: bool) -> list[np.ndarray]:
        """Each layer's raw maps (…, h, w) as maps of the whole input.

        Where the layer does not look, there is no evidence: 0, or what is nothing where maps are scaled from minimum to
        maximum.
        """
        placed = []
        for of_layer, coverage in zip(raw_maps, self.coverages, strict=True):
            if coverage is None:
                placed.append(of_layer)
                continue
            nothing = np.float32(0) if relu else of_layer.min(axis=(-2, -1), keepdims=True)
            placed.append(coverage.place(of_layer - nothing) + nothing)
        return placed

    def heatmaps(
        self, raw_maps: Sequence[np.ndarray], tiling: Tiling | None, *, relu: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """The heatmaps of a frame, (maps, h, w), and their evidence, (maps,).

        Several layers' are fused. Of layers one after the other each counts the same, and the evidence is the last
        one's. Of layers side by side each counts by its part in the score, which is the sum of its raw map over as many
        places as it has, and the evidence is the largest.

        Args:
            raw_maps: of each layer, float32 (tiles, maps, h, w).
            tiling: how the frame was cut; None for a frame that was not.
            relu: see `explanations.heatmaps.scale`.
        """
        whole = [of_layer[0] if tiling is None else tiling.compose(of_layer) for of_layer in raw_maps]
        scaled = [scale(of_layer, relu=relu) for of_layer in whole]
        heatmaps, evidence = scaled[-1]
        if len(scaled) == 1:
            return heatmaps, evidence
        if not self.places or not relu:  # below 0 there are no parts of a sum
            return fuse([of_layer for of_layer, _ in scaled]), evidence
        each = np.stack([of_layer for _, of_layer in scaled])
        weights = [one * places for one, places in zip(each, self.places, strict=True)]
        return fuse([of_layer for of_layer, _ in scaled], weights), each.max(axis=0)


def find_layers(network: Network, names: str | None) -> list[Operation]:
    """The target layers, in running order.

    Args:
        network: the network.
        names: with commas; None for the last feature maps. A shared layer that is named twice is its last two calls.

    Raises:
        UsageError: there is no such layer.
        ModelError: there are no feature maps.
    """
    from live_gradcam.networks.target_layer import default_targets, find_calls

    if names is None:
        return default_targets(network)
    wanted = Counter(name.strip() for name in names.split(","))
    found = [call for name, count in wanted.items() for call in find_calls(network, name, count)]
    return sorted(found, key=network.operations.index)


def values_of(operations: Sequence[Operation]) -> tuple[int, ...]:
    """The numbers of the layers' activations."""
    return tuple(dict.fromkeys(operation.outputs[0] for operation in operations))
