"""From the options that every command shares to a warmed-up explainer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.cam.backends import Backend, Precision, check_backend
from live_gradcam.cam.explanation import Target
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.networks.catalog import DEFAULT_MODEL, check_model_name, load_classifier
from live_gradcam.networks.model_file import check_custom_objects
from live_gradcam.networks.runtime import quiet_tensorflow, set_compiler_flags, set_threads

if TYPE_CHECKING:
    from live_gradcam.cam.explainer import Explainer
    from live_gradcam.cam.explanation import Explanation
    from live_gradcam.cam.fit import Fit
    from live_gradcam.cam.lowering import LayerRewrite
    from live_gradcam.cam.one_pass import Score
    from live_gradcam.cam.still_methods import OnProgress
    from live_gradcam.cam.tuning import Tune
    from live_gradcam.networks.classifier import Classifier

TOP_CLASS = "top1"


@dataclass(frozen=True)
class EngineOptions:
    """What to explain with, as the command line spells it; see `load_classifier` and `Explainer` for the meanings.

    Attributes:
        classes: to explain, by index or label, or as "A>B": why A rather than B. None of them: the top class.
        is_live: whether only methods will do that are quick enough for a camera.
    """

    model: str = DEFAULT_MODEL
    weights: str = "imagenet"
    labels: str | None = None
    preprocessing: str | None = None
    layer: str | None = None
    classes: tuple[str, ...] = ()
    topk: int = 5
    score: Score = "logit"
    fit: Fit = "stretch"
    lowering: bool = True
    engine: Backend = "xla"
    tune: Tune = "auto"
    precision: Precision = "f32"
    threads: int | None = None
    method: str = "grad-cam"
    maps: int | None = 1
    input_size: tuple[int, int] | None = None
    is_live: bool = False
    custom_objects: str | None = None
    trust: bool = False

    def check(self) -> None:
        """Tell what is wrong with the names before anything slow starts. Does not import TensorFlow.

        Raises:
            UsageError: no such model or engine, an engine that is not installed, or does not have the precision.
            ModelError: no such model file, or one that cannot be explained; no such file of custom objects.
        """
        check_model_name(self.model)
        if self.custom_objects is not None:
            check_custom_objects(self.custom_objects)
        check_backend(self.engine, self.precision)


@dataclass(frozen=True)
class Engine:
    """A warmed-up explainer with the class to explain.

    Attributes:
        explainer: ready for its first frame.
        targets: the classes to explain; empty for each frame's top class.
        start_s: seconds spent on importing TensorFlow, loading the model, building the explainer, timing the forms of
            its layers, and tracing and compiling it.
    """

    explainer: Explainer
    targets: tuple[Target, ...]
    start_s: dict[str, float]

    def explain(
        self, image: np.ndarray, *, smooth_samples: int = 0, on_progress: OnProgress | None = None
    ) -> Explanation:
        """Explain a frame, uint8 (height, width, 3) BGR; with samples, the mean over so many noisy copies."""
        if not smooth_samples:
            return self.explainer(image, target=self.targets, on_progress=on_progress)
        return self.explainer.explain_smoothed(
            image, samples=smooth_samples, target=self.targets, on_progress=on_progress
        )

    def explain_batch(self, images: Sequence[np.ndarray], size: int, *, place: int = 0) -> list[Explanation]:
        """Explain up to `size` frames in the pass for that many, the first of them at a place among so many."""
        before, after = [images[0]] * place, [images[-1]] * (size - place - len(images))
        explanations = self.explainer.explain_batch([*before, *images, *after], target=self.targets)
        return explanations[place : place + len(images)]

    def variant(self, *, method: str, layer: str) -> Engine:
        """The same network, ready with another method or target layer. Times nothing: frames may be running.

        Raises:
            LiveGradcamError: as `Explainer` does.
        """
        start = time.perf_counter()
        explainer = self.explainer.variant(method=method, layer=layer)
        explainer.warm_up()
        return Engine(explainer, self.targets, {"compile": time.perf_counter() - start})

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods that are quick enough for a camera."""
        from live_gradcam.cam.methods import METHODS

        return tuple(METHODS)

    @property
    def weights(self) -> int:
        """How many numbers the network's weights are."""
        return int(self.explainer.classifier.model.count_params())

    def evidence_of_nothing(self, frame_size: tuple[int, int]) -> float:
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
        return self.explainer.classifier.name, f"{self.explainer.method} · {self.explainer.layer}"


def start_engine(options: EngineOptions, *, let_tensorflow_talk: bool = False) -> Engine:
    """Load, build and warm up.

    Args:
        options: what to explain with.
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
        from live_gradcam.cam.explainer import Explainer
        from live_gradcam.cam.still_methods import STILL_METHODS

        if options.threads is not None:
            set_threads(options.threads)
        seconds["import"] = time.perf_counter() - start
        start = time.perf_counter()
        if options.is_live and options.method in STILL_METHODS:
            raise UsageError(f"{options.method} is too slow for a camera: it is for live-gradcam explain and annotate")
        classifier = _load(options)
        targets = tuple(_target(name, classifier) for name in options.classes if name != TOP_CLASS)
        seconds["load"] = time.perf_counter() - start
        start = time.perf_counter()
        explainer = Explainer(
            classifier,
            layer=options.layer,
            topk=options.topk,
            score=options.score,
            fit=options.fit,
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
        seconds["compile"] = explainer.warm_up()
    return Engine(explainer, targets, seconds)


def _target(name: str, classifier: Classifier) -> Target:
    """The class of an index or a label; of "A>B" the contrast of two, where no class is called that."""
    first, separator, second = name.partition(">")
    if not separator or name in classifier.labels:
        return Target(classifier.class_index(name))
    target = Target(classifier.class_index(first.strip()), classifier.class_index(second.strip()))
    if target.index == target.against:
        raise UsageError(f"{name!r} contrasts a class with itself")
    return target


def _load(options: EngineOptions) -> Classifier:
    return load_classifier(
        options.model,
        weights=None if options.weights == "none" else options.weights,
        labels=options.labels,
        preprocessing=options.preprocessing,
        custom_objects=options.custom_objects,
        trust=options.trust,
    )


def explain_lowering(options: EngineOptions, *, let_tensorflow_talk: bool = False) -> list[LayerRewrite]:
    """What the lowering makes of each layer of a model, in running order.

    Args:
        options: which model, and how much to time.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_engine`.
    """
    options.check()
    set_compiler_flags()
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.cam.explainer import Explainer

        explainer = Explainer(_load(options), layer=options.layer, maps=1, tune=options.tune)
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


def list_layers(options: EngineOptions, *, let_tensorflow_talk: bool = False) -> list[LayerRow]:
    """The layers of a model in running order, nested ones opened.

    Args:
        options: which model, and the layer to mark.
        let_tensorflow_talk: let TensorFlow's own messages through.

    Raises:
        LiveGradcamError: as `start_engine`, or a `layer` that cannot be the target.
    """
    with quiet_tensorflow(enabled=not let_tensorflow_talk):
        from live_gradcam.cam.graph import flatten
        from live_gradcam.cam.split import candidate_layers, default_target, find_layer

        classifier = _load(options)
        network = flatten(classifier.model, classifier.input_size)
        target = None
        if options.layer:
            target = find_layer(network, options.layer)
        else:
            with suppress(ModelError):  # such a model is listed too, so that a layer can be named
                target = default_target(network)
        candidates = candidate_layers(network)
        return [
            LayerRow(
                operation.name,
                type(operation.layer).__name__,
                network.shapes[operation.outputs[0]],
                operation in candidates,
                operation is target,
            )
            for operation in network.operations
        ]
