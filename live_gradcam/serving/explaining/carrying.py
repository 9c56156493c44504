"""What a viewer has chosen goes with them to another worker, when theirs is lost: as plain values."""

from __future__ import annotations

from typing import Any, Protocol

from live_gradcam.explanations.explanation import Target
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.variants import Variants


class Carried(Protocol):
    """A viewer whose choices can be carried."""

    state: LiveState

    @property
    def variants(self) -> Variants:
        """The network's methods, layers and fits."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes that can be asked for."""


def carried(viewer: Carried) -> dict[str, Any]:
    """What a viewer has chosen. Of one who teaches, not what their own network explains: it is lost with the worker."""
    state = viewer.state
    always = {"boxes": state.boxes, "smooth": state.smooth, "teaching": state.teaching}
    if state.teaching or state.variant is None:
        return always
    return {
        **always,
        "pinned": [[target.index, target.against] for target in state.pinned],
        **state.variant._asdict(),
    }


def take_over(carried: dict[str, Any], viewer: Carried) -> bool:
    """Let a viewer go on with what they had chosen. Returns whether something is lost that they taught."""
    state, names = viewer.state, viewer.vocabulary.names
    state.boxes, state.smooth = bool(carried.get("boxes")), float(carried.get("smooth", state.smooth))
    if "pinned" in carried:
        targets = [Target(index, against) for index, against in carried["pinned"]]
        known = [one for one in targets if max(one.index, one.against or 0) < len(names)]
        state.pinned = tuple(known[: viewer.variants.current.maps])
    wanted = {name: carried[name] for name in ("method", "layer", "fit") if name in carried}
    if wanted and wanted != viewer.variants.held._asdict():
        viewer.variants.ask(**wanted)
    return bool(carried.get("teaching"))
