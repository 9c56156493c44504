"""What a person has chosen in a live run: one object, which commands change and everything else reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from live_gradcam.choices import Fit
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.explanations.explanation import Target


class Variant(NamedTuple):
    """What a session is compiled for."""

    method: str
    layer: str
    fit: Fit


@dataclass
class LiveState:
    """What a person has chosen in a live run.

    The thread of the run changes it. The thread that explains reads `pinned`, and sets `pinned` and `variant` once,
    when the session has started.

    Attributes:
        overlay: draws the maps, with its colour map and opacity.
        view: what is shown, a name of `choices.VIEWS`.
        hud: how much text is shown, a name of `choices.HUD_LEVELS`.
        mirror: whether the picture is shown as in a mirror.
        boxes: whether boxes are shown.
        help: whether the keys are shown.
        timings: whether the times of the stages are shown.
        paused: whether the picture stands still.
        pinned: the classes to explain; empty for the top class of each frame.
        variant: the method, layer and fit to explain with, or to compile if they are new; None while the first session
            starts.
        teaching: whether the network is being taught; the keys are those of teaching then.
        naming: what was typed so far of a class's name; None while nothing is typed.
        smooth: time constant of predictions, maps and boxes, in seconds; 0 for none.
    """

    overlay: Overlay
    view: str = "overlay"
    hud: str = "full"
    mirror: bool = False
    boxes: bool = False
    help: bool = False
    timings: bool = False
    paused: bool = False
    pinned: tuple[Target, ...] = ()
    variant: Variant | None = None
    teaching: bool = False
    naming: str | None = None
    smooth: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The same as plain values.

        Returns:
            `view`, `hud`, `mirror`, `boxes`, `help`, `timings`, `paused`; `colormap` and `alpha` (0…1); `pinned`:
            [{`index`, `against`}]; `method`, `layer` and `fit`, or null for each while the first session starts;
            `teaching`, and `naming` or null; `smooth`.
        """
        variant = self.variant._asdict() if self.variant else dict.fromkeys(Variant._fields)
        return {
            "view": self.view,
            "colormap": self.overlay.colormap,
            "alpha": self.overlay.alpha,
            "hud": self.hud,
            "mirror": self.mirror,
            "boxes": self.boxes,
            "help": self.help,
            "timings": self.timings,
            "paused": self.paused,
            "pinned": [asdict(target) for target in self.pinned],
            **variant,
            "teaching": self.teaching,
            "naming": self.naming,
            "smooth": self.smooth,
        }
