"""What a viewer is told besides the answers to frames: that the network is ready, and what was chosen."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Protocol

from live_gradcam.explanations.explanation import Target
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.live_loop.pool import SessionPool
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.serving.messages import pack_text


class Told(Protocol):
    """What there is to tell of a viewer."""

    state: LiveState

    @property
    def teaching(self) -> Teaching:
        """What they teach."""

    @property
    def compiling(self) -> str | None:
        """What is being compiled, in words; None for nothing."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes that can be asked for."""


def ready_of(pool: SessionPool, *, can_be_taught: bool) -> bytes:
    """The message that says which network there is: see docs/page-messages.md."""
    session = pool.first
    height, width = session.input_size
    return pack_text(
        "ready",
        model=session.model,
        input={"height": height, "width": width},
        methods=pool.methods,
        layers=pool.layers,
        fits=pool.fits,
        labels=len(session.vocabulary.classes),
        network=_network_of(pool),
        teachable=can_be_taught,
    )


def _network_of(pool: SessionPool) -> str:
    """The same for networks of which a class's index and a layer's name mean the same."""
    session = pool.first
    names = [session.model, pool.layers, session.vocabulary.names]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def state_of(told: Told) -> dict[str, Any]:
    """What a viewer has chosen, as the page gets it."""
    state = told.state
    return {
        **state.to_json(),
        "compiling": told.compiling,
        "pinned_names": [_name(told.vocabulary, target) for target in state.pinned],
        "teaching_panel": told.teaching.to_json() if state.teaching else None,
    }


def _name(vocabulary: Vocabulary, target: Target) -> str:
    name = vocabulary.names[target.index]
    return name if target.against is None else f"{name} > {vocabulary.names[target.against]}"
