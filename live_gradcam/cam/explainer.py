"""The engine: one compiled function that returns the predictions and the class activation maps in one pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from live_gradcam.cam.explanation import Explanation, Prediction
from live_gradcam.cam.fit import FITS, Fit, fit_frame
from live_gradcam.cam.graph import flatten, run
from live_gradcam.cam.logits import without_final_activation
from live_gradcam.cam.lowering import lower
from live_gradcam.cam.methods import METHODS
from live_gradcam.cam.split import default_target, find_layer, split_at
from live_gradcam.errors import ModelError, UsageError, did_you_mean
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.preprocessing import Preprocessing

#: What is differentiated. logit: the class's own score z. margin: z_c − logsumexp of the others, which is
#: log(p/(1−p)): the softmax's map without its saturation. probability: p itself, as the popular recipe does.
Score = Literal["logit", "margin", "probability"]
SCORES: tuple[str, ...] = get_args(Score)

_TOP_CLASS = -1
_LUMA_OF_BGR = (0.114, 0.587, 0.299)  # ITU-R BT.601


class Explainer:
    """Explains frames with one XLA-compiled function: trunk → head → the head's gradient → maps.

    The function is compiled once, for one network and one target layer; frames of any size and any class to explain
    run through it without compiling again. The weights are those at construction.

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
        lowering: rewrite the network in the form that XLA compiles best (see `cam.lowering`).

    Raises:
        UsageError: a method, layer, score or fit that does not exist.
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
    ) -> None:
        _check_choice("method", method, METHODS)
        _check_choice("score", score, SCORES)
        _check_choice("fit", fit, FITS)
        if topk < 1 or (maps is not None and maps < 1):
            raise UsageError("topk and maps must be at least 1")
        self.classifier = classifier
        self.fit: Fit = fit
        self.method = method
        #: How often the one-pass function has been traced: 1 after warm-up, for ever.
        self.trace_count = 0

        logit_network = without_final_activation(flatten(classifier.model, classifier.input_size))
        network = logit_network.network
        target = default_target(network) if layer is None else find_layer(network, layer)
        #: The target layer's full name.
        self.layer = target.name
        #: What the lowering rewrote, by rule.
        self.rewrites: dict[str, int] = {}
        if lowering:
            network, self.rewrites = lower(network, keep=target.outputs[0])
        split = split_at(network, target.outputs[0])

        classes = len(classifier.labels)
        topk, maps = min(topk, classes), min(topk if maps is None else maps, classes)
        height, width = classifier.input_size
        pixels = tf.TensorSpec((1, height, width, 3), tf.uint8, name="pixels")
        target_class = tf.TensorSpec((1,), tf.int32, name="target_class")
        to_input = _input_recipe(classifier.preprocessing)
        to_probabilities = tf.nn.softmax if logit_network.activation == "softmax" else tf.math.sigmoid
        to_map, score_of = METHODS[method], _score_function(score, to_probabilities)

        def trunk_of(pixels: tf.Tensor) -> dict[int, tf.Tensor]:
            return run(split.trunk, {network.input: to_input(pixels)})

        def head_of(values: dict[int, tf.Tensor], activations: tf.Tensor) -> tf.Tensor:
            logits = run(split.head, {**values, split.target: activations})[network.output]
            logits = tf.cast(logits, tf.float32)
            return tf.concat([-logits, logits], axis=-1) if logits.shape[-1] == 1 else logits

        def top_predictions(logits: tf.Tensor) -> dict[str, tf.Tensor]:
            _, indices = tf.math.top_k(logits, topk)
            probabilities = to_probabilities(logits)
            return {
                "indices": indices,
                "probabilities": tf.gather(probabilities, indices, batch_dims=1),
                "logits": logits,
            }

        def predict(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            values = trunk_of(pixels)
            return top_predictions(head_of(values, values[split.target]))

        def explain(pixels: tf.Tensor, target_class: tf.Tensor) -> dict[str, tf.Tensor]:
            self.trace_count += 1
            values = trunk_of(pixels)
            activations = values[split.target]
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(activations)
                logits = head_of(values, activations)
                targets = _targets(logits, target_class, maps)
                scores = [score_of(logits, targets[:, position]) for position in range(maps)]
            float_activations = tf.cast(activations, tf.float32)
            raw_maps = [
                to_map(float_activations, tf.cast(tape.gradient(one_score, activations), tf.float32))
                for one_score in scores
            ]
            heatmaps, evidence = _scale(tf.stack(raw_maps, axis=1), relu=relu)
            result = top_predictions(logits)
            result["heatmaps"], result["evidence"], result["targets"] = heatmaps, evidence, targets
            result["target_probabilities"] = tf.gather(to_probabilities(logits), targets, batch_dims=1)
            return result

        self._predict = tf.function(predict, jit_compile=True, input_signature=[pixels])
        self._explain = tf.function(explain, jit_compile=True, input_signature=[pixels, target_class])
        self._compiled: Callable[..., dict[str, tf.Tensor]] | None = None

    def warm_up(self) -> float:
        """Trace, compile and run the one-pass function once, so that the first frame is as fast as the thousandth.

        Returns:
            The seconds it took.

        Raises:
            ModelError: XLA cannot compile the network.
        """
        start = time.perf_counter()
        height, width = self.classifier.input_size
        try:
            self._compiled = self._explain.get_concrete_function()
            self._run(np.zeros((height, width, 3), np.uint8), None)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.InternalError) as error:
            reason = str(error.message).strip().splitlines()[0]
            raise ModelError(f"{self.classifier.name} cannot be compiled by XLA: {reason}") from error
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
        result = self._run(pixels, target)
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
        result = {name: tensor.numpy()[0] for name, tensor in self._predict(tf.constant(pixels[None])).items()}
        return _predictions(result["indices"], result["probabilities"], self.classifier.labels)

    def _run(self, pixels: np.ndarray, target: int | None) -> dict[str, np.ndarray]:
        if self._compiled is None:
            self._compiled = self._explain.get_concrete_function()
        target_class = tf.constant([_TOP_CLASS if target is None else target], tf.int32)
        result = self._compiled(tf.constant(pixels[None]), target_class)
        return {name: tensor.numpy()[0] for name, tensor in result.items()}


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


def _input_recipe(preprocessing: Preprocessing) -> Callable[[tf.Tensor], tf.Tensor]:
    """uint8 BGR (batch, height, width, 3) to the network's float32 input."""

    def to_input(pixels: tf.Tensor) -> tf.Tensor:
        x = tf.cast(pixels, tf.float32)
        if preprocessing.channels == "grey":
            x = tf.reduce_sum(x * tf.constant(_LUMA_OF_BGR), axis=-1, keepdims=True)
            return (x - preprocessing.mean[0]) * preprocessing.scale[0]
        if preprocessing.channels == "rgb":
            x = tf.reverse(x, axis=[-1])
        return (x - tf.constant(preprocessing.mean)) * tf.constant(preprocessing.scale)

    return to_input


def _score_function(
    score: Score, to_probabilities: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The function (logits (batch, classes), classes (batch,)) → scores (batch,) that is differentiated.

    The class is picked by a one-hot product: XLA would compile anew for every class that slices.
    """

    def score_of(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        picked = tf.one_hot(classes, logits.shape[-1])
        if score == "probability":
            return tf.reduce_sum(to_probabilities(logits) * picked, axis=-1)
        own = tf.reduce_sum(logits * picked, axis=-1)
        if score == "logit":
            return own
        return own - tf.reduce_logsumexp(tf.where(picked > 0, logits.dtype.min, logits), axis=-1)

    return score_of


def _targets(logits: tf.Tensor, target_class: tf.Tensor, maps: int) -> tf.Tensor:
    """The classes to map, int32 (batch, maps): the one asked for (-1: none) first, then the best others."""
    asked_for = tf.one_hot(target_class, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    return tf.math.top_k(tf.where(asked_for, logits.dtype.max, logits), maps).indices


def _scale(raw_maps: tf.Tensor, *, relu: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Raw maps (batch, maps, h, w) to 0…1, and their maxima before (batch, maps)."""
    highest = tf.reduce_max(raw_maps, axis=(2, 3), keepdims=True)
    if relu:
        positive = tf.nn.relu(raw_maps)
        return tf.math.divide_no_nan(positive, tf.nn.relu(highest)), tf.nn.relu(highest)[:, :, 0, 0]
    lowest = tf.reduce_min(raw_maps, axis=(2, 3), keepdims=True)
    return tf.math.divide_no_nan(raw_maps - lowest, highest - lowest), highest[:, :, 0, 0]
