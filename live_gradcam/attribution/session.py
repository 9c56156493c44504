"""From the options that every command shares to a warmed-up explainer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.attribution.fit_choice import FitGuess, Look, Stream, is_guess, keeping_up, most_accurate_fit
from live_gradcam.attribution.notices import EmptyMaps, GuessedPixels, Notice
from live_gradcam.choices import METHODS, Precision
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.runtime import quiet_tensorflow, set_compiler_flags, set_threads
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.explanation import Target
from live_gradcam.networks.asked_for import check_names
from live_gradcam.networks.catalog import DEFAULT_MODEL, find_entry, load_with_options
from live_gradcam.networks.labels import TOP, choose_names, find_target
from live_gradcam.networks.model_source import ModelOptions

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.methods.method import OnProgress
    from live_gradcam.attribution.targets import Targets
    from live_gradcam.choices import Fit, FitChoice, Names, Output, Score, Tune
    from live_gradcam.compiling.lowering import LayerRewrite
    from live_gradcam.explanations.explanation import Explanation
    from live_gradcam.explanations.vocabulary import Vocabulary
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionOptions:
    """What to explain with, as the command line spells it; see `load_classifier` and `Explainer` for the meanings.

    Attributes:
        classes: to explain, by index or label, or as "A>B": why A rather than B. None of them: the top class.
        fit: of "auto", `attribution.fit_choice` makes one.
        feed: "NAME=VALUE" or "NAME=FILE.npy": what inputs other than the picture are held at.
        names: None for everyday names where a camera is looked at, or where a class is asked for by one.
        is_live: whether only methods will do that are quick enough for a camera.
        methods: of several that are compared, all of them; empty for the one.
    """

    model: str = DEFAULT_MODEL
    weights: str = "imagenet"
    labels: str | None = None
    preprocessing: str | None = None
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
    engine: str = "xla"
    tune: Tune = "auto"
    precision: Precision = "f32"
    threads: int | None = None
    method: str = "grad-cam"
    maps: int | None = 1
    input_size: tuple[int, int] | None = None
    is_live: bool = False
    methods: tuple[str, ...] = ()
    custom_objects: str | None = None
    trust: bool = False

    def check(self) -> None:
        """Tell what is wrong with the names before anything slow starts. Does not import TensorFlow.

        Raises:
            UsageError: no such model, layer, class, method or engine; a method that is too slow for a camera; an engine
                that is not installed, or does not have the precision; a number of tiles for another fit.
            ModelError: no such model file, or one that cannot be explained; no such file of weights, labels or custom
                objects.
        """
        check_names(
            self.model,
            self.of_model(),
            layer=self.layer,
            classes=self.classes,
            names=self.names,
            is_live=self.is_live,
        )
        for method in (self.method, *self.methods):
            METHODS.check(method)
        row = METHODS.row(self.method)
        if self.is_live and row is not None and not row.is_quick:
            raise _too_slow(self.method)
        check_engine(self.engine, self.precision)
        if self.tiles is not None and self.fit not in ("auto", "tiles"):
            raise UsageError(f"--tiles is a number for --fit tiles, and the fit is {self.fit}: leave one of them out")

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


@dataclass(frozen=True)
class Session:
    """A warmed-up explainer with the class to explain.

    Attributes:
        explainer: ready for its first frame.
        targets: the classes to explain; empty for each frame's top class.
        start_s: seconds spent on importing TensorFlow, loading the model, building the explainer, timing the forms of
            its layers, and tracing and compiling it.
        frame_size: (height, width) of the frames that it is warmed up for.
        fit_guess: says that the fit is a guess, where it is one.
        notices: what looks at the explanations, and says what is not sure.
        options: what it was started with; None for one that was not made by `start_session`.
    """

    explainer: Explainer
    targets: tuple[Target, ...]
    start_s: dict[str, float]
    frame_size: tuple[int, int] = Stream().frame_size
    fit_guess: FitGuess | None = None
    notices: tuple[Notice, ...] = ()
    options: SessionOptions | None = None

    def explain(
        self,
        image: np.ndarray,
        *,
        targets: Targets = (),
        smooth_samples: int = 0,
        on_progress: OnProgress | None = None,
    ) -> Explanation:
        """Explain a frame.

        Args:
            image: uint8 (height, width, 3), BGR.
            targets: the classes to explain in place of the session's own; empty or None for these.
            smooth_samples: over how many noisy copies the maps are averaged; 0 for the map of the frame itself.
            on_progress: called after each pass, where there are many: (passes done, passes in all).
        """
        if self.fit_guess is not None:
            self.fit_guess.look_at((image.shape[0], image.shape[1]))
        if targets is None or (isinstance(targets, Sequence) and not targets):
            targets = self.targets
        if smooth_samples:
            explanation = self.explainer.explain_smoothed(
                image, samples=smooth_samples, target=targets, on_progress=on_progress
            )
        else:
            explanation = self.explainer(image, target=targets, on_progress=on_progress)
        self._look_at(image, explanation)
        return explanation

    def _look_at(self, image: np.ndarray, explanation: Explanation) -> None:
        for notice in self.notices:
            notice.look_at(image, explanation)

    def explain_batch(self, images: Sequence[np.ndarray], size: int, *, place: int = 0) -> list[Explanation]:
        """Explain up to `size` frames in the pass for that many, the first of them at a place among so many."""
        before, after = [images[0]] * place, [images[-1]] * (size - place - len(images))
        explanations = self.explainer.explain_batch([*before, *images, *after], target=self.targets)
        explanations = explanations[place : place + len(images)]
        for image, explanation in zip(images, explanations, strict=True):
            self._look_at(image, explanation)
        return explanations

    def expect(self, frame_size: tuple[int, int]) -> None:
        """Say that many frames of (height, width) pixels will come: see `Explainer.expect`."""
        self.explainer.expect(frame_size)
        if self.fit_guess is not None:
            self.fit_guess.look_at(frame_size)

    def variant(self, *, method: str, layer: str, fit: Fit | None = None) -> Session:
        """The same network, ready with another method, target layer or fit. Times nothing: frames may be running.

        Raises:
            LiveGradcamError: as `Explainer` does.
        """
        start = time.perf_counter()
        if fit == self.explainer.fit:
            fit = None  # with as many tiles
        explainer = self.explainer.variant(method=method, layer=layer, fit=fit)
        explainer.warm_up(frame_size=self.frame_size)
        others = [notice for notice in self.notices if not isinstance(notice, EmptyMaps)]
        notices = (EmptyMaps(explainer.layer), *others)
        seconds = {"compile": time.perf_counter() - start}
        options = self.options and replace(self.options, method=method, layer=layer, fit=fit or self.options.fit)
        return replace(self, explainer=explainer, start_s=seconds, notices=notices, options=options)

    @property
    def model(self) -> str:
        """The network's name."""
        return self.explainer.classifier.name

    @property
    def method(self) -> str:
        """The method's name."""
        return self.explainer.method

    @property
    def layer(self) -> str:
        """The target layer's full name; several with commas."""
        return self.explainer.layer

    @property
    def layers(self) -> tuple[str, ...]:
        """The full names of the layers worth looking at one after the other, from the first to the last."""
        return self.explainer.layers

    @property
    def fit(self) -> Fit:
        """How frames are made to fit the network's input."""
        return self.explainer.fit

    @property
    def vocabulary(self) -> Vocabulary:
        """What there is to name."""
        return self.explainer.vocabulary

    def fastest_batch(self, frame_size: tuple[int, int]) -> int:
        """How many frames of (height, width) pixels at a time take the least time each: see `Explainer`."""
        return self.explainer.fastest_batch(frame_size)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods that are quick enough for a camera."""
        from live_gradcam.attribution.methods.method import quick_methods

        return quick_methods()

    @property
    def weights(self) -> int:
        """How many numbers the network's weights are."""
        return int(self.explainer.classifier.model.count_params())

    def noise_floor(self, frame_size: tuple[int, int]) -> float:
        """The evidence found in noise, where there is nothing to see, in units of the score.

        Args:
            frame_size: (height, width) of the frames. The noise is as fine as the network's input for them: shrunk to
                that, finer noise would be grey.
        """
        size = self.explainer.input_size_for(frame_size)
        noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        return float(self.explainer(noise).evidence[0])

    @property
    def description(self) -> tuple[str, str]:
        """Two short lines: the model; the method and the target layer."""
        return self.model, f"{self.method} · {self.layer}"


def start_session(options: SessionOptions, *, look: Look | None = None, let_tensorflow_talk: bool = False) -> Session:
    """Load, build and warm up.

    Args:
        options: what to explain with.
        look: says what is known of the frames when the network is there. Without it, as of pictures that may have any
            shape, what depends on that is compiled for the first frame.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `load_classifier` and `Explainer` do; for a wrong model name or an engine that is not
            installed before TensorFlow is imported.
    """
    options.check()
    seconds: dict[str, float] = {}
    set_compiler_flags()
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        start = time.perf_counter()
        from live_gradcam.attribution.explainer import Explainer
        from live_gradcam.attribution.methods.method import load_method

        if options.threads is not None:
            set_threads(options.threads)
        seconds["import"] = time.perf_counter() - start
        start = time.perf_counter()
        if options.is_live and not load_method(options.method).is_quick:
            raise _too_slow(options.method)  # of another package, which says so when it is loaded
        many_passes = not all(load_method(name).is_quick for name in (options.method, *options.methods))
        notes: list[str] = []
        classifier = _load(options, notes.append)
        names = options.names or _names(options, classifier)
        targets = tuple(_target(name, classifier, names) for name in options.classes if name != TOP)
        seconds["load"] = time.perf_counter() - start
        start = time.perf_counter()
        fit = options.fit
        if fit == "auto":
            fit = "tiles" if options.tiles else most_accurate_fit(classifier, options.model, many_passes=many_passes)
        explainer = Explainer(
            classifier,
            layer=options.layer,
            topk=options.topk,
            score=options.score,
            fit=fit,
            tiles=options.tiles,
            names=names,
            maps=max(options.topk if options.maps is None else options.maps, len(targets)),
            input_size=options.input_size,
            method=options.method,
            lowering=options.lowering,
            engine=options.engine,
            tune=options.tune,
            precision=options.precision,
        )
        seconds["build"] = time.perf_counter() - start - explainer.tune_s
        seconds["tune"] = explainer.tune_s
        start = time.perf_counter()
        stream = (look() if look else None) or Stream()
        if options.is_live and options.fit == "auto" and options.tiles is None:
            explainer = keeping_up(explainer, stream)
            start += explainer.tune_s - seconds["tune"]
            seconds["tune"] = explainer.tune_s
        if look or explainer.fit != "tiles":
            explainer.warm_up(frame_size=stream.frame_size)
        seconds["compile"] = time.perf_counter() - start
    guess = None
    if options.fit == "auto" and options.tiles is None and is_guess(classifier, options.model):
        guess = FitGuess(classifier)
    notices: list[Notice] = [EmptyMaps(explainer.layer)]
    if classifier.pixel_guess is not None:
        notices.append(GuessedPixels(explainer.plan))
    engine = Session(explainer, targets, seconds, stream.frame_size, guess, tuple(notices), options)
    if look:
        engine.expect(stream.frame_size)
    for note in notes:  # not before: what goes wrong until here is one line
        _log.warning(note)
    _log.info("%s, ready in %.1f s", " · ".join(engine.description), sum(seconds.values()))
    for rule, count in explainer.rewrites.items():
        _log.info("lowering: %s, %d times", rule, count)
    return engine


def _too_slow(method: str) -> UsageError:
    return UsageError(f"{method} is too slow for a camera: it is for live-gradcam explain and annotate")


def _names(options: SessionOptions, classifier: Classifier) -> Names:
    """Everyday names where a camera is looked at by a network of ImageNet's, or where one of them is asked for."""
    are_usual = options.is_live and find_entry(options.model) is not None
    return choose_names(options.classes, classifier.labels, are_usual=are_usual)


def _target(name: str, classifier: Classifier, names: Names) -> Target:
    return find_target(name, classifier.labels, classifier.groups if names == "everyday" else None)


def _load(options: SessionOptions, say: Callable[[str], None]) -> Classifier:
    return load_with_options(options.model, replace(options.of_model(), say=say))


def _say_nothing(note: str) -> None:
    """For what asks a network for no answer."""


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
            raise UsageError(f"--feed {text!r} is not of the form NAME=VALUE or NAME=FILE.npy")
        try:
            feed[name] = float(value)
        except ValueError:
            if not value.endswith(".npy"):
                raise UsageError(f"--feed {text!r}: {value!r} is neither a number nor a .npy file") from None
            if not Path(value).is_file():
                raise ModelError(f"there is no file {value} to feed {name} with") from None
            feed[name] = value
    return feed


def explain_lowering(options: SessionOptions, *, let_tensorflow_talk: bool = False) -> list[LayerRewrite]:
    """What the lowering makes of each layer of a model, in running order.

    Args:
        options: which model, and how much to time.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_session`.
    """
    options.check()
    set_compiler_flags()
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.attribution.explainer import Explainer

        explainer = Explainer(_load(options, _say_nothing), layer=options.layer, maps=1, tune=options.tune)
        return explainer.describe_rewrites()


@dataclass(frozen=True)
class LayerRow:
    """A layer of a model.

    Attributes:
        name: its full name, as `--layer` takes it.
        kind: the class of the layer.
        shape: of its output, without the batch.
        is_candidate: whether it can be the target layer.
        is_default: whether it is by default.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    is_candidate: bool
    is_default: bool


def list_layers(options: SessionOptions, *, let_tensorflow_talk: bool = False) -> list[LayerRow]:
    """The layers of a model in running order, nested ones opened.

    Args:
        options: which model, and the layer to mark.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_session`, or a `layer` that cannot be the target.
    """
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.networks.graph import flatten
        from live_gradcam.networks.split import candidate_layers, default_targets, find_layer

        if find_entry(options.model) is None:  # its numbers and pixels do not matter
            options = replace(options, preprocessing="raw", output="values", labels=None)
        classifier = _load(options, _say_nothing)
        network = flatten(classifier.model, classifier.input_size)
        targets = []
        if options.layer:
            targets = [find_layer(network, options.layer)]
        else:
            with suppress(ModelError):  # such a model is listed too, so that a layer can be named
                targets = default_targets(network)
        candidates = candidate_layers(network)
        return [
            LayerRow(
                operation.name,
                type(operation.layer).__name__,
                network.shapes[operation.outputs[0]],
                operation in candidates,
                operation in targets,
            )
            for operation in network.operations
        ]
