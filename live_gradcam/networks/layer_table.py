"""The layers of the networks that come by name, from a table: `benchmarks/reference/layer_names.py` makes it."""

from __future__ import annotations

import gzip
import sys
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from live_gradcam.networks.layer_names import KnownLayers

_NO_CANDIDATE = "-"


@cache
def _table() -> tuple[frozenset[str], dict[str, list[str]]]:
    """The versions of Keras that the table holds for, and the layers of each network as it has them."""
    content = files(__package__).joinpath("layer_names.txt.gz").read_bytes()
    versions, *lines = gzip.decompress(content).decode().splitlines()
    return frozenset(versions.split()), {name: layers for name, *layers in map(str.split, lines)}


def layers_of_network(name: str) -> KnownLayers | None:
    """The layers of a network that comes by name; None for one that is not in the table."""
    _, networks = _table()
    if name not in networks:
        return None
    layers = networks[name]
    candidates = tuple(layer for layer in layers if not layer.startswith(_NO_CANDIDATE))
    return KnownLayers(tuple(layer.removeprefix(_NO_CANDIDATE) for layer in layers), candidates)


def table_is_of_this_keras() -> bool:
    """Whether the table was compared with the version of Keras that is installed."""
    versions, _ = _table()
    return ".".join(version("keras").split(".")[:2]) in versions


def numbering_has_begun() -> bool:
    """Whether Keras may have numbered layers already, so that a network built now has other names."""
    return "keras" in sys.modules
