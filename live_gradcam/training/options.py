"""How a model in training is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from live_gradcam.choices import METHODS, Output
from live_gradcam.errors import UsageError, check_number
from live_gradcam.networks.preprocessing import Preprocessing, find_preprocessing

#: Pictures (n, height, width, channels) as the model takes them to uint8 (n, height, width, 3), RGB.
Show = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CallbackOptions:
    """What `GradCAMCallback` explains, and how.

    Attributes:
        count: how many pictures at most: the first ones.
        every: make maps after so many batches; None for the end of each epoch.
        method: a name of `choices.METHODS`, of a method of one pass.
        layer: as for `Explainer`.
        output: what the model's numbers are; None for what its last layer and its loss say.
        show: how pictures are shown: what makes RGB pixels of them, a function or a name of `PREPROCESSINGS`, such as
            "caffe". None to find it out from the numbers: pixels of 0…255, 0…1 and −1…1 are shown as they are, others
            from the lowest to the highest, which a line says.
        steps: of deletion and insertion, which say how faithful the maps are, as `evaluate` does; 0 to leave them out.
        verbose: say in a line at the end what the maps cost.

    Raises:
        UsageError: a name that does not exist, a method of many passes, or a number that is not possible.
    """

    count: int = 8
    every: int | None = None
    method: str = "grad-cam"
    layer: str | None = None
    output: Output | None = None
    show: str | Preprocessing | Show | None = None
    steps: int = 0
    verbose: bool = True

    def __post_init__(self) -> None:
        METHODS.check(self.method)
        row = METHODS.row(self.method)
        if row is not None and not row.is_quick:
            raise UsageError(f"{self.method} takes many passes, which would hold up the training: use another method")
        check_number("count", self.count, least=1)
        check_number("steps", self.steps, least=0)
        if self.every is not None:
            check_number("every", self.every, least=1)
        if not callable(self.show):
            find_preprocessing(self.show)
