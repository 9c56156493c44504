"""The options that every command shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.attribution.options import check_input_size
from live_gradcam.choices import (
    AUTO_ENGINE,
    AUTO_PRECISION,
    FIT_CHOICES,
    METHODS,
    NAMES,
    OUTPUTS,
    PRECISION_CHOICES,
    SCORES,
    TUNES,
    USUAL_ENGINE,
    PrecisionChoice,
    default_engine,
)
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.errors import ModelError, UsageError, check_number
from live_gradcam.networks.asked_for import check_names
from live_gradcam.networks.card import read_card
from live_gradcam.networks.catalog import DEFAULT_MODEL, find_entry
from live_gradcam.networks.model_source import ModelOptions

if TYPE_CHECKING:
    import keras

    from live_gradcam.attribution.options import ExplainerKeywords
    from live_gradcam.choices import FitChoice, Names, Output, Score, Tune
    from live_gradcam.networks.preprocessing import Preprocessing


@dataclass(frozen=True)
class SessionOptions:
    """What to explain with, as the command line spells it; see `load_classifier` and `Explainer` for the meanings.

    Attributes:
        model: a name of the catalogue, a model file, or a Keras model in memory.
        classes: to explain, by index or label, or as "A>B": why A rather than B. None of them: the top class.
        engine: of "auto", `session.engine_choice` makes one. Without it, as `LIVE_GRADCAM_ENGINE` says in the
            environment, or else "auto".
        fit: of "auto", `attribution.fit_choice` makes one.
        precision: of "auto", `session.engine_choice` makes one.
        feed: "NAME=VALUE" or "NAME=FILE.npy": what inputs other than the picture are held at.
        names: None for everyday names where a camera is looked at, or where a class is asked for by one.
        is_live: whether only methods will do that are quick enough for a camera.
        methods: of several that are compared, all of them; empty for the one.
    """

    model: str | Path | keras.Model = DEFAULT_MODEL
    weights: str = "imagenet"
    labels: str | None = None
    preprocessing: str | Preprocessing | None = None
    output: Output | None = None
    head: str | None = None
    feed: tuple[str, ...] = ()
    layer: str | None = None
    classes: tuple[str, ...] = ()
    topk: int = 5
    score: Score = "logit"
    fit: FitChoice = "auto"
    tiles: int | None = None
    names: Names | None = None
    lowering: bool = True
    engine: str = field(default_factory=default_engine)
    tune: Tune = "auto"
    precision: PrecisionChoice = "f32"
    threads: int | None = None
    method: str = "grad-cam"
    maps: int | None = 1
    input_size: tuple[int, int] | None = None
    is_live: bool = False
    methods: tuple[str, ...] = ()
    custom_objects: str | None = None
    trust: bool = False

    @property
    def is_of_catalog(self) -> bool:
        """Whether the model is one of the catalogue's, by its name."""
        return find_entry(self.model) is not None

    @property
    def card_levels(self) -> Mapping[str, Any] | None:
        """Which values of pictures were black and white when the network was fitted; None where no card says it."""
        if self.is_of_catalog or not isinstance(self.model, (str, Path)) or not Path(self.model).exists():
            return None
        card = read_card(self.model, lambda _: None)  # what is wrong with it is said when the model is loaded
        return None if card is None else card.levels

    def check(self) -> None:
        """Refuse what is wrong before anything slow starts. Does not import TensorFlow.

        Raises:
            UsageError: a name that does not exist, of a model, layer, class, method, engine or any other choice; a
                method that is too slow for a camera; an engine that is not installed, or does not have the precision; a
                number of tiles for another fit; a number or a size that cannot be.
            ModelError: no such model file, or one that cannot be explained; no such file of weights, labels or custom
                objects.
        """
        self._check_choices()
        check_names(
            self.model,
            self.of_model(),
            layer=self.layer,
            classes=self.classes,
            names=self.names,
            is_live=self.is_live,
        )
        self._check_numbers()
        PRECISION_CHOICES.check(self.precision)
        if self.engine != AUTO_ENGINE:
            check_engine(self.engine, "f32" if self.precision == AUTO_PRECISION else self.precision)
        if self.tiles is not None and self.fit not in ("auto", "tiles"):
            raise UsageError(f"--tiles works with --fit tiles, and the fit is {self.fit}: leave one of them out")

    def _check_choices(self) -> None:
        for method in (self.method, *self.methods):
            METHODS.check(method)
        row = METHODS.row(self.method)
        if self.is_live and row is not None and not row.is_quick:
            raise too_slow(self.method)
        SCORES.check(self.score)
        FIT_CHOICES.check(self.fit)
        TUNES.check(self.tune)
        if self.names is not None:
            NAMES.check(self.names)
        if self.output is not None:
            OUTPUTS.check(self.output)

    def _check_numbers(self) -> None:
        for name in ("topk", "tiles", "threads"):
            number = getattr(self, name)
            if number is not None:
                check_number(f"--{name}", number, least=1)
        if self.maps is not None:
            check_number("the number of maps", self.maps, least=1)
        if self.input_size is not None:
            check_input_size(self.input_size)

    def of_model(self) -> ModelOptions:
        """Those that say how the model is loaded.

        Raises:
            UsageError: `feed` is of another form.
            ModelError: there is no such file of it.
        """
        return ModelOptions(
            weights=None if self.weights == "none" else self.weights,
            labels=self.labels,
            preprocessing=self.preprocessing,
            output=self.output,
            head=self.head,
            feed=parse_feed(self.feed),
            custom_objects=self.custom_objects,
            trust=self.trust,
        )

    def by_usual_engine(self) -> SessionOptions:
        """The same with the usual engine and precision where these are to be chosen."""
        engine = USUAL_ENGINE if self.engine == AUTO_ENGINE else self.engine
        return replace(self, engine=engine, precision="f32" if self.precision == AUTO_PRECISION else self.precision)

    def of_explainer(self) -> ExplainerKeywords:
        """Those that an explainer takes as they are. Names, and "auto" for the fit, depend on the network.

        Where an engine or a precision is to be chosen, it is the usual one.
        """
        usual = self.by_usual_engine()
        assert usual.precision != AUTO_PRECISION
        return {
            "method": self.method,
            "layer": self.layer,
            "score": self.score,
            "topk": self.topk,
            "maps": self.maps,
            "tiles": self.tiles,
            "input_size": self.input_size,
            "engine": usual.engine,
            "lowering": self.lowering,
            "tune": self.tune,
            "precision": usual.precision,
        }

    def to_json(self) -> dict[str, Any]:
        """The options as plain values, by name, in the order in which files say how they came about."""
        name = str(self.model) if isinstance(self.model, (str, Path)) else self.model.name
        return asdict(replace(self, model=name))


def too_slow(method: str) -> UsageError:
    """The error of a method that is too slow for a camera."""
    return UsageError(f"{method} is too slow for a camera: it is for live-gradcam explain and annotate")


def parse_feed(texts: Sequence[str]) -> dict[str, float | str]:
    """What inputs are held at, by name, of "NAME=VALUE" and "NAME=FILE.npy".

    Raises:
        UsageError: a text of another form.
        ModelError: there is no such file.
    """
    feed: dict[str, float | str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name and separator and value):
            raise UsageError(f"--feed takes NAME=VALUE or NAME=FILE.npy, not {text!r}")
        try:
            feed[name] = float(value)
        except ValueError:
            if not value.endswith(".npy"):
                raise UsageError(f"--feed {text!r}: {value!r} is neither a number nor a .npy file") from None
            if not Path(value).is_file():
                raise ModelError(f"there is no file {value} to feed {name} with") from None
            feed[name] = value
    return feed
