"""The names of layers: their own ones, and the full ones of those that are nested in other models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from live_gradcam.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class KnownLayers:
    """The layers of a model that has not been loaded.

    Attributes:
        names: their full names in running order, as `live-gradcam layers` prints them.
        candidates: those that may be the target layer, as far as that is known: an error suggests the closest of these.
    """

    names: tuple[str, ...]
    candidates: tuple[str, ...]

    def check(self, name: str) -> None:
        """Refuse a name that no layer has. Where several have it, or the layer is no target, the loaded model says so.

        Args:
            name: a full name, or a layer's own.

        Raises:
            UsageError: there is no such layer; the closest are suggested.
        """
        if name not in self.names and name not in map(own_name, self.names):
            raise no_such_layer(name, self.candidates)


def own_name(layer: str) -> str:
    """A layer's name without those of the models that it is nested in."""
    return layer.rpartition("/")[2]


def no_such_layer(name: str, candidates: Iterable[str]) -> UsageError:
    """The error of a layer that does not exist.

    Args:
        name: as the user wrote it.
        candidates: the full names of the layers to suggest.
    """
    hint = did_you_mean(name, map(own_name, candidates)) or "; see live-gradcam layers"
    return UsageError(f"there is no layer {name!r}{hint}")
