"""What is kept of a network and of an explainer besides programs, as plain values and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from live_gradcam.attribution.coverage import Coverage, Extent
from live_gradcam.attribution.framing import Framing
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.outline import Outline
from live_gradcam.attribution.target_layers import TargetLayers
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.networks.labels import groups_of


@dataclass(frozen=True)
class NetworkRecord:
    """What a start has to know of a network before there is an explainer.

    Attributes:
        name: as of a `Classifier`.
        labels: likewise.
        input_size: likewise.
        fit: likewise.
        notes: the lines that were said while it was loaded and built: they are said again.
    """

    name: str
    labels: tuple[str, ...]
    input_size: tuple[int, int]
    fit: str | None
    notes: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The record as JSON."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def from_bytes(cls, content: memoryview) -> NetworkRecord:
        """The record of what `to_bytes` gave."""
        found = json.loads(bytes(content))
        return cls(
            found["name"],
            tuple(found["labels"]),
            _pair(found["input_size"]),
            found["fit"],
            tuple(found["notes"]),
        )


def outline_to_bytes(outline: Outline) -> bytes:
    """An outline as JSON, without what the record of the network and the options say."""
    layers = outline.layers
    coverages = [
        None if one is None else {"extents": one.extents, "input_size": one.input_size} for one in layers.coverages
    ]
    content = {
        "name": outline.name,
        "input_size": outline.framing.input_size,
        "layers": {"name": layers.name, "coverages": coverages, "places": layers.places},
        "classes": outline.vocabulary.classes,
        "are_values": outline.vocabulary.are_values,
        "maps": outline.maps,
        "against": outline.against,
        "rewrites": dict(outline.rewrites),
        "steps": None if outline.steps is None else dict(outline.steps),
        "weights": outline.weights,
        "takes_batches": outline.takes_batches,
    }
    return json.dumps(content).encode()


def outline_from_bytes(content: memoryview, options: ExplainerOptions) -> Outline:
    """The outline of what `outline_to_bytes` gave, for the same options."""
    found: Mapping[str, Any] = json.loads(bytes(content))
    layers, classes = found["layers"], tuple(found["classes"])
    is_everyday = options.explained.names == "everyday"
    return Outline(
        name=found["name"],
        options=options,
        framing=Framing(options.fitting.fit, _pair(found["input_size"]), options.fitting.tiles),
        layers=TargetLayers(layers["name"], tuple(map(_coverage, layers["coverages"])), tuple(layers["places"])),
        vocabulary=Vocabulary(classes, groups_of(classes) if is_everyday else None, found["are_values"]),
        maps=found["maps"],
        against=found["against"],
        rewrites=found["rewrites"],
        steps=found["steps"],
        weights=found["weights"],
        takes_batches=found["takes_batches"],
    )


def _coverage(found: Mapping[str, Any] | None) -> Coverage | None:
    if found is None:
        return None
    rows, columns = (Extent(*extent) for extent in found["extents"])
    return Coverage((rows, columns), _pair(found["input_size"]))


def _pair(size: Any) -> tuple[int, int]:
    height, width = size
    return height, width
