"""The engine: frames in, explanations out, through one compiled function."""

from __future__ import annotations

import time
from functools import cached_property
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from live_gradcam.cam.backends import Backend, CompiledFunction, check_backend, compile_function
from live_gradcam.cam.explanation import Explanation, Prediction
from live_gradcam.cam.fit import FITS, Fit, fit_frame
from live_gradcam.cam.graph import flatten
from live_gradcam.cam.logits import without_final_activation
from live_gradcam.cam.lowering import LayerRewrite, describe_rewrites, lower
from live_gradcam.cam.mean_gradient import offset_path
from live_gradcam.cam.methods import METHODS
from live_gradcam.cam.one_pass import SCORES, TOP_CLASS, OnePass, Score, network_input
from live_gradcam.cam.split import default_target, find_layer, split_at
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
    ) -> None:
        _check_choice("method", method, METHODS)
        _check_choice("score", score, SCORES)
        _check_choice("fit", fit, FITS)
        _check_choice("tune", tune, TUNES)
        check_backend(engine)
        if topk < 1 or (maps is not None and maps < 1):
            raise UsageError("topk and maps must be at least 1")
        self.classifier = classifier
        self.fit: Fit = fit
        self.method = method
        self.engine: Backend = engine
        #: How often the one-pass function has been traced: 1 after warm-up, for ever.
        self.trace_count = 0

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
    def _explain(self) -> CompiledFunction:
        def explain(pixels: tf.Tensor, target_class: tf.Tensor) -> dict[str, tf.Tensor]:
            self.trace_count += 1
            return self._one_pass.explain(pixels, target_class)

        signature = [self._pixels, tf.TensorSpec((1,), tf.int32, name="target_class")]
        return compile_function(explain, signature, self.engine, name=self.classifier.name)

    @cached_property
    def _predict(self) -> CompiledFunction:
        return compile_function(self._one_pass.predict, [self._pixels], self.engine, name=self.classifier.name)

    @property
    def _pixels(self) -> tf.TensorSpec:
        return tf.TensorSpec((1, *self.classifier.input_size, 3), tf.uint8, name="pixels")

    @property
    def tune_s(self) -> float:
        """Seconds spent on timing forms of layers."""
        return self._tuner.seconds

    def describe_rewrites(self) -> list[LayerRewrite]:
        """What the lowering made of each layer, in running order."""
        return describe_rewrites(self._original, self._network, self._tuner)

    def warm_up(self) -> float:
        """Trace, compile and run the one-pass function once, so that the first frame is as fast as the thousandth.

        Returns:
            The seconds it took.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        start = time.perf_counter()
        _ = self._explain
        return time.perf_counter() - start

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
        _check_frame(frame)
        labels = self.classifier.labels
        if target is not None and not 0 <= target < len(labels):
            raise ValueError(f"there is no class {target}: the classes are 0 to {len(labels) - 1}")
        pixels, region = fit_frame(frame, self.classifier.input_size, self.fit)
        target_class = np.array([TOP_CLASS if target is None else target], np.int32)
        result = _first(self._explain(pixels[None], target_class))
        return Explanation(
            predictions=_predictions(result["indices"], result["probabilities"], labels),
            heatmaps=result["heatmaps"],
            targets=_predictions(result["targets"], result["target_probabilities"], labels),
            evidence=result["evidence"],
            logits=result["logits"],
            region=region,
        )

    def predict(self, frame: np.ndarray) -> tuple[Prediction, ...]:
        """The top k without any map, by a compiled function of its own: what the network alone costs.

        Args:
            frame: as for a call.
        """
        _check_frame(frame)
        pixels, _ = fit_frame(frame, self.classifier.input_size, self.fit)
        result = _first(self._predict(pixels[None]))
        return _predictions(result["indices"], result["probabilities"], self.classifier.labels)


def _check_picture(classifier: Classifier) -> np.ndarray:
    """A photograph as the network's input, float32 (1, height, width, channels), to check rewrites on."""
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


def _first(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values[0] for name, values in batch.items()}
