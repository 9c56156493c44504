"""The options of an explainer, cut by stage: what is explained, how frames enter, how it is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from live_gradcam.choices import (
    FITS,
    METHODS,
    NAMES,
    SCORES,
    TUNES,
    Fit,
    Names,
    Precision,
    Score,
    Tune,
)
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.errors import UsageError, check_number, did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Explained:
    """What is explained, and what is asked for.

    Attributes:
        method: a name of `choices.METHODS`.
        layer: the target layer's name, or several with commas, whose maps are fused: each scaled to its maximum,
            enlarged to the finest one, and averaged. None for the last feature maps before space is given up; where
            several of them reach the prediction, as of two backbones that are joined late, all.
        score: what is differentiated: a name of `choices.SCORES`.
        names: "imagenet" to list the network's classes; "everyday" to list the groups of them that have everyday names,
            for a network of ImageNet's classes. A group's probability is the sum of its classes'.
        topk: how many predictions to return.
        maps: how many classes get a heatmap: the target and the best others. None for `topk`.
        relu: keep only what speaks for the class, scaled to the maximum. False scales from minimum to maximum
            instead, which paints a map of no evidence as if it were one of strong evidence.
        features: give, with each explanation, what the last dense layer reads.
    """

    method: str = "grad-cam"
    layer: str | None = None
    score: Score = "logit"
    names: Names = "imagenet"
    topk: int = 5
    maps: int | None = None
    relu: bool = True
    features: bool = False


@dataclass(frozen=True)
class Fitting:
    """How frames enter the network.

    Attributes:
        fit: a name of `choices.FITS`.
        tiles: with the fit "tiles" how many tiles a frame is cut into; None for as many as its shape asks for.
        input_size: (height, width) to run the network at; None for its own. With the fit "native" its shorter side
            counts.
    """

    fit: Fit = "stretch"
    tiles: int | None = None
    input_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Compiling:
    """How the network is compiled.

    Attributes:
        engine: what runs it: a name of `choices.ENGINES`. All give the same explanation.
        lowering: rewrite the network in the form that the engine runs best (see `compiling.lowering`).
        tune: how much to time to find the fastest form of each layer: a name of `choices.TUNES`.
        precision: "bf16" computes the products before the target layer in bfloat16, with sums in float32. Faster only
            where the processor has instructions for it.
    """

    engine: str = "xla"
    lowering: bool = True
    tune: Tune = "auto"
    precision: Precision = "f32"


class ExplainerKeywords(TypedDict, total=False):
    """All options as keywords, as `Explainer` takes them; see the stages for what they mean."""

    method: str
    layer: str | None
    score: Score
    names: Names
    topk: int
    maps: int | None
    relu: bool
    features: bool
    fit: Fit
    tiles: int | None
    input_size: tuple[int, int] | None
    engine: str
    lowering: bool
    tune: Tune
    precision: Precision


@dataclass(frozen=True)
class ExplainerOptions:
    """The options of an explainer, by stage."""

    explained: Explained = field(default_factory=Explained)
    fitting: Fitting = field(default_factory=Fitting)
    compiling: Compiling = field(default_factory=Compiling)

    def changed(self, **keywords: Unpack[ExplainerKeywords]) -> ExplainerOptions:
        """The same with other values of some options, whatever stages they belong to.

        Raises:
            TypeError: there is no such option.
        """
        left: dict[str, Any] = dict(keywords)
        stages = {}
        for stage in fields(self):
            before = getattr(self, stage.name)
            own = {one.name: left.pop(one.name) for one in fields(before) if one.name in left}
            stages[stage.name] = replace(before, **own)
        if left:
            unknown = next(iter(left))
            known = ExplainerKeywords.__annotations__
            raise TypeError(f"an explainer has no option {unknown!r}{did_you_mean(unknown, known)}")
        return ExplainerOptions(**stages)

    def check(self) -> None:
        """Refuse what does not exist, without importing TensorFlow.

        Raises:
            UsageError: a method, score, fit, engine, tune or precision that does not exist, an engine that is not
                installed, or a number or a size that cannot be.
        """
        METHODS.check(self.explained.method)
        SCORES.check(self.explained.score)
        NAMES.check(self.explained.names)
        FITS.check(self.fitting.fit)
        TUNES.check(self.compiling.tune)
        check_engine(self.compiling.engine, self.compiling.precision)
        numbers = {"topk": self.explained.topk, "maps": self.explained.maps, "tiles": self.fitting.tiles}
        for name, number in numbers.items():
            if number is not None:
                check_number(name, number, least=1)
        if self.fitting.input_size is not None:
            check_input_size(self.fitting.input_size)


def check_input_size(size: object) -> None:
    """Refuse what is no (height, width) in pixels. From Python it can be anything.

    Raises:
        UsageError: it is something else.
    """
    if (
        not isinstance(size, Sequence)
        or len(size) != 2
        or not all(isinstance(side, int) and side >= 1 for side in size)
    ):
        raise UsageError(f"the input size is {size!r}: give (height, width), such as (224, 224)")
