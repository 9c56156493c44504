"""A model in training is looked at without a trace left in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def untouched(model: keras.Model) -> Iterator[None]:
    """What is run or traced inside leaves the model as it was.

    Keras itself keeps the variables: within a `StatelessScope` nothing is assigned to them, seeds and moving means
    included. What each call of a layer notes in the layer, its losses and its place in a graph, is put back.
    """
    before = [(layer, _notes_of(layer)) for layer in _all_layers(model)]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for layer, notes in before:
            for name, note in notes.items():
                kept = getattr(layer, name)
                kept.clear()
                (kept.update if isinstance(kept, set) else kept.extend)(note)


def _all_layers(model: keras.Model) -> list[Any]:
    return list({id(layer): layer for layer in model._flatten_layers()}.values())


def _notes_of(layer: Any) -> dict[str, Any]:
    """What a call writes into a layer, and what it was."""
    names = ("_losses", "_loss_ids", "_inbound_nodes", "_outbound_nodes")
    return {name: getattr(layer, name).copy() for name in names if hasattr(layer, name)}
