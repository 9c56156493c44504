"""What is known of an explainer besides its compiled functions, and without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from live_gradcam.attribution.framing import Framing
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.target_layers import TargetLayers
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.explanations.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Outline:
    """What frames are brought into the functions by, and what is made of the functions' numbers.

    Attributes:
        name: the network's.
        options: what was asked for.
        framing: how frames enter.
        layers: where the maps are taken.
        vocabulary: what there is to name, and to ask for.
        maps: how many classes get a map.
        against: whether the maps show what speaks against the class.
        rewrites: how often each rule of the lowering applied.
        steps: the layers worth looking at one after the other, by name, with the size of each map; None where the plan
            has to be asked.
        weights: how many numbers the network's weights are; None where the plan has to be asked.
        takes_batches: whether several frames may be explained in one pass.
    """

    name: str
    options: ExplainerOptions
    framing: Framing
    layers: TargetLayers
    vocabulary: Vocabulary
    maps: int
    against: bool
    rewrites: Mapping[str, int]
    steps: Mapping[str, str] | None = None
    weights: int | None = None
    takes_batches: bool = True

    @property
    def tiles_may_share(self) -> bool:
        """Whether tiles are cut, and it pays to compute what they share once."""
        compiling = self.options.compiling
        is_xla = check_engine(compiling.engine, compiling.precision).is_xla
        return self.framing.fit == "tiles" and is_xla and compiling.precision == "f32"
