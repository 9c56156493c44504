"""The engine: frames in, explanations out, through one compiled function."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from live_gradcam.cam.backends import PRECISIONS, Backend, CompiledFunction, Precision, check_backend, compile_function
from live_gradcam.cam.explanation import Explanation, Prediction
from live_gradcam.cam.fit import FITS, Fit, fit_frame
from live_gradcam.cam.graph import flatten
from live_gradcam.cam.logits import without_final_activation
from live_gradcam.cam.lowering import LayerRewrite, describe_rewrites, in_bf16, lower
from live_gradcam.cam.mean_gradient import offset_path
from live_gradcam.cam.methods import METHODS
from live_gradcam.cam.one_pass import SCORES, TOP_CLASS, OnePass, Score, network_input
from live_gradcam.cam.split import default_target, find_layer, layers_to_step_through, split_at
from live_gradcam.cam.tuning import TUNES, Tune, Tuner
from live_gradcam.errors import UsageError, did_you_mean
from live_gradcam.networks.classifier import Classifier


class Explainer:
    """Explains frames with one compiled function: trunk → head → the head's gradient → maps.

    The function is compiled once, for one network and one target layer; frames of any size and any class to explain
    run through it without compiling again. For weights that change afterwards, build a new explainer.

    Args:
        classifier: from `load_classifier`.
        method: a name of `cam.methods.METHODS`.
        layer: the target layer's name; None for the last feature maps before space is given up.
        topk: how many predictions to return.
        score: "logit", "margin" or "probability": see `Score`.
        fit: "stretch", "crop" or "letterbox": see `cam.fit.Fit`.
        maps: how many classes get a heatmap: the target and the best others. None for `topk`.
        relu: keep only what speaks for the class, scaled to the maximum. False scales from minimum to maximum
            instead, which paints a map of no evidence as if it were one of strong evidence.
        lowering: rewrite the network in the form that the engine runs best (see `cam.lowering`).
        engine: what runs the function: see `cam.backends.Backend`. All give the same explanation.
        tune: how much to time to find the fastest form of each layer: see `cam.tuning.Tune`.
        precision: "bf16" computes the products before the target layer in bfloat16, with sums in float32. Faster only
            where the processor has instructions for it.

    Raises:
        UsageError: a method, layer, score, fit, engine or tune that does not exist, or an engine that is not installed.
        ModelError: the model has no feature maps, or its graph cannot be seen.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        method: str = "grad-cam",
        layer: str | None = None,
        topk: int = 5,
        score: Score = "logit",
        fit: Fit = "stretch",
        maps: int | None = None,
        relu: bool = True,
        lowering: bool = True,
        engine: Backend = "xla",
        tune: Tune = "auto",
        precision: Precision = "f32",
    ) -> None:
        _check_choice("method", method, METHODS)
        _check_choice("score", score, SCORES)
        _check_choice("fit", fit, FITS)
        _check_choice("tune", tune, TUNES)
        _check_choice("precision", precision, PRECISIONS)
        check_backend(engine, precision)
        if topk < 1 or (maps is not None and maps < 1):
            raise UsageError("topk and maps must be at least 1")
        self._settings: dict[str, Any] = {
            "topk": topk,
            "score": score,
            "fit": fit,
            "maps": maps,
            "relu": relu,
            "lowering": lowering,
            "engine": engine,
            "precision": precision,
        }
        self.classifier = classifier
        self.fit: Fit = fit
        self.method = method
        self.engine: Backend = engine
        self.precision: Precision = precision
        #: How often the one-pass function has been traced: once for each size of batch that was asked for.
        self.trace_count = 0
        self._explain_batch: dict[int, CompiledFunction] = {}

        logit_network = without_final_activation(flatten(classifier.model, classifier.input_size))
        network = logit_network.network
        target = default_target(network) if layer is None else find_layer(network, layer)
        #: The target layer's full name.
        self.layer = target.name
        #: What the lowering rewrote, by rule.
        self.rewrites: dict[str, int] = {}
        self._tuner = Tuner(tune)
        self._original = network
        if lowering:
            for_xla = engine == "xla" and not tf.config.list_physical_devices("GPU")
            pictures = _check_picture(classifier)
            network, self.rewrites = lower(
                network, keep=target.outputs[0], for_xla=for_xla, tuner=self._tuner, pictures=pictures
            )
        if precision == "bf16" and engine == "xla":
            network = in_bf16(network, keep=target.outputs[0])
        self._network = network

        classes = len(classifier.labels)
        split = split_at(network, target.outputs[0])
        self._one_pass = OnePass(
            split=split,
            offset_path=offset_path(network, split),
            preprocessing=classifier.preprocessing,
            activation=logit_network.activation,
            method=METHODS[method],
            score=score,
            topk=min(topk, classes),
            maps=min(topk if maps is None else maps, classes),
            relu=relu,
        )

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The full names of the layers worth looking at one after the other, from the first to the last."""
        return tuple(dict.fromkeys(step.name for step in layers_to_step_through(self._original)))

    def variant(self, *, method: str, layer: str) -> Explainer:
        """A new explainer that differs in these alone. It chooses forms by what was timed before, and times nothing.

        Args:
            method: as in the constructor.
            layer: as in the constructor.
        """
        return Explainer(self.classifier, method=method, layer=layer, tune="remembered", **self._settings)

    def _explain(self, batch: int) -> CompiledFunction:
        """The one-pass function for this many frames at a time, compiled when it is first asked for."""
        if batch not in self._explain_batch:
            signature = [self._pixels(batch), tf.TensorSpec((batch,), tf.int32, name="target_class")]
            self._explain_batch[batch] = self._compile(self._traced_explain, signature)
        return self._explain_batch[batch]

    def _traced_explain(self, pixels: tf.Tensor, target_class: tf.Tensor) -> dict[str, tf.Tensor]:
        self.trace_count += 1
        return self._one_pass.explain(pixels, target_class)

    @cached_property
    def _predict(self) -> CompiledFunction:
        return self._compile(self._one_pass.predict, [self._pixels(1)])

    def _compile(self, function: Callable[..., Any], signature: list[tf.TensorSpec]) -> CompiledFunction:
        return compile_function(function, signature, self.engine, name=self.classifier.name, precision=self.precision)

    def _pixels(self, batch: int) -> tf.TensorSpec:
        return tf.TensorSpec((batch, *self.classifier.input_size, 3), tf.uint8, name="pixels")

    @property
    def tune_s(self) -> float:
        """Seconds spent on timing forms of layers."""
        return self._tuner.seconds

    def describe_rewrites(self) -> list[LayerRewrite]:
        """What the lowering made of each layer, in running order."""
        return describe_rewrites(self._original, self._network, self._tuner)

    def warm_up(self, batch: int = 1) -> float:
        """Trace, compile and run the one-pass function once, so that the first frame is as fast as the thousandth.

        Args:
            batch: for how many frames at a time.

        Returns:
            The seconds it took.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        start = time.perf_counter()
        self._explain(batch)
        return time.perf_counter() - start

    def fastest_batch(self) -> int:
        """How many frames at a time take the least time each: timed once, and remembered like the layers' forms."""
        size = "×".join(map(str, self.classifier.input_size))
        return self._tuner.choose_batch(
            f"{self.classifier.name} {size} {self.engine} {self.precision}", self._time_batch
        )

    def _time_batch(self, batch: int) -> None:
        generator = np.random.default_rng(0)
        pixels = generator.integers(0, 256, (batch, *self.classifier.input_size, 3), np.uint8)
        self._explain(batch)(pixels, np.full(batch, TOP_CLASS, np.int32))

    def __call__(self, frame: np.ndarray, *, target: int | None = None) -> Explanation:
        """Explain a frame.

        Args:
            frame: uint8 (H, W, 3), BGR as OpenCV has it, of any size.
            target: the class index to explain; None for the frame's own top class.

        Returns:
            The predictions, and a heatmap each for the target and the best other classes.

        Raises:
            ValueError: not such a frame, or no such class.
        """
        return self.explain_batch([frame], target=target)[0]

    def explain_batch(self, frames: Sequence[np.ndarray], *, target: int | None = None) -> list[Explanation]:
        """Explain several frames in one pass, which is compiled once for each number of them.

        Args:
            frames: as for a call; they may differ in size.
            target: as for a call; None for each frame's own top class.
        """
        labels = self.classifier.labels
        if target is not None and not 0 <= target < len(labels):
            raise ValueError(f"there is no class {target}: the classes are 0 to {len(labels) - 1}")
        for frame in frames:
            _check_frame(frame)
        pixels, regions = zip(
            *(fit_frame(frame, self.classifier.input_size, self.fit) for frame in frames), strict=True
        )
        target_classes = np.full(len(frames), TOP_CLASS if target is None else target, np.int32)
        batch = self._explain(len(frames))(np.stack(pixels), target_classes)
        return [
            Explanation(
                predictions=_predictions(batch["indices"][row], batch["probabilities"][row], labels),
                heatmaps=batch["heatmaps"][row],
                targets=_predictions(batch["targets"][row], batch["target_probabilities"][row], labels),
                evidence=batch["evidence"][row],
                logits=batch["logits"][row],
                probabilities=batch["all_probabilities"][row],
                region=region,
            )
            for row, region in enumerate(regions)
        ]

    def predict(self, frame: np.ndarray) -> tuple[Prediction, ...]:
        """The top k without any map, by a compiled function of its own: what the network alone costs.

        Args:
            frame: as for a call.
        """
        _check_frame(frame)
        pixels, _ = fit_frame(frame, self.classifier.input_size, self.fit)
        result = self._predict(pixels[None])
        return _predictions(result["indices"][0], result["probabilities"][0], self.classifier.labels)


def _check_picture(classifier: Classifier) -> np.ndarray:
    """A photograph as the network's input, float32 (1, height, width, channels), to check rewrites on.

    It is a part of scikit-image's "chelsea", by Stéfan van der Walt, CC0.
    """
    encoded = np.frombuffer(files("live_gradcam.cam").joinpath("cat.jpg").read_bytes(), np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert picture is not None  # it is part of the package
    pixels, _ = fit_frame(picture, classifier.input_size, "stretch")
    return network_input(tf.constant(pixels[None]), classifier.preprocessing).numpy()


def _check_choice(kind: str, name: str, known: Any) -> None:
    if name not in known:
        hint = did_you_mean(name, known) or f": use one of {', '.join(known)}"
        raise UsageError(f"there is no {kind} {name!r}{hint}")


def _check_frame(frame: np.ndarray) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"a frame is a uint8 BGR array of shape (height, width, 3), not {found}")
    if 0 in frame.shape:
        raise ValueError(f"the frame is empty: {frame.shape}")


def _predictions(indices: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...]) -> tuple[Prediction, ...]:
    return tuple(
        Prediction(int(index), labels[index], float(probability))
        for index, probability in zip(indices, probabilities, strict=True)
    )
