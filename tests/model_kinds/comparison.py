"""What live-gradcam explains of a model, against the model itself as its user calls it, under a gradient tape.

Nothing of live_gradcam is in the reference: the model is called as it is, and for the duration of a trace the target
layer keeps what it gives, wherever it is nested.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from skimage import data

from live_gradcam import Explainer, load_classifier
from live_gradcam.errors import LiveGradcamError
from tests.model_kinds.kind import Ends, Kind

#: The largest differences that pass, of probabilities and of maps relative to their largest value: in float32, and
#: where a layer computes in half precision or in integers.
TOLERANCE, TOLERANCE_OF_FEW_DIGITS = 1e-3, 2e-2
#: A probability out of this range is saturated, so that its margin has few digits left.
_HEALTHY = (0.02, 0.98)
#: ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)
_SCALES = {"unit": (0.0, 1 / 255), "tf": (127.5, 1 / 127.5), "raw": (0.0, 1.0)}


@dataclass(frozen=True)
class Comparison:
    """How far an explanation is from the model's own.

    Attributes:
        layers: the target layers that were compared, each by itself.
        output: what live-gradcam takes the numbers for.
        of_numbers: the largest difference of a probability, or of a logit or value relative to the largest, if > 1.
        of_maps: the largest difference of the maps before their ReLU, relative to their largest value.
        note: what live-gradcam says, or the message that it refuses the model with.
    """

    layers: tuple[str, ...]
    output: str
    of_numbers: float
    of_maps: float
    note: str


def compare(kind: Kind, engine: str) -> Comparison:
    """Build a model of the kind, explain a photograph with it, and compare.

    Raises:
        AssertionError: the kind should be refused and is not; or the comparison is worth nothing, because the
            prediction is saturated or the map is constant.
        LiveGradcamError: the kind is refused and should not be, or with another message.
    """
    keras.utils.set_random_seed(0)
    frame = photograph(kind.size)
    model = kind.build()
    if kind.refused is None:
        images = as_input(frame, kind, model)
        give_weights(model, images, kind)
        if kind.finish is not None:
            with warnings.catch_warnings():  # about layers that cannot be quantized
                warnings.simplefilter("ignore")
                kind.finish(model)
        return compare_model(kind, model, load_classifier, frame, images, engine)
    try:
        Explainer(load_classifier(model, preprocessing=kind.preprocessing), engine=engine, tune="off")
    except LiveGradcamError as error:
        if kind.refused not in str(error):
            raise
        return Comparison((), "", 0.0, 0.0, f"refused: {error}")
    raise AssertionError("it is not refused")


def compare_model(
    kind: Kind, model: keras.Model, load: Any, frame: np.ndarray, images: tf.Tensor, engine: str, **fit: Any
) -> Comparison:
    """Compare a model that has its weights.

    Args:
        kind: its kind.
        model: the model.
        load: makes a classifier of it, as `load_classifier` does.
        frame: uint8 BGR.
        images: the same as the model takes it, (1, height, width, channels).
        engine: what runs live-gradcam's function.
        fit: how it makes the frame fit, where that is not of the input's size.
    """
    asked = {"engine": engine, "tune": "off", **options(kind), **fit}
    with what_is_said() as said:
        classifier = load(model, preprocessing=kind.preprocessing, **kind.options)
        found = Explainer(classifier, layer=kind.layer, **asked)
    numbers = np.asarray(tf.cast(kind.numbers(model, images), tf.float64))[0]
    entry = closest_to_half(numbers, kind.ends)
    layers = tuple(found.layer.split(","))
    of_maps, of_numbers = 0.0, 0.0
    for layer in layers:
        one = found
        if len(layers) > 1:
            one = Explainer(classifier, layer=layer, **asked)
        target = 1 if kind.ends == "sigmoid" and len(numbers) == 1 else entry
        explanation = one(frame, target=target)
        raw_map = by_tape(kind, model, images, layer, entry, explanation.heatmaps[0].shape)
        of_maps = max(of_maps, difference_of_maps(raw_map, explanation.heatmaps[0], float(explanation.evidence[0])))
        of_numbers = max(of_numbers, difference_of_numbers(numbers, explanation, kind.ends))
    notes = [*dict.fromkeys(said)]
    if len(layers) > 1:
        notes.insert(0, "each layer alone")
    return Comparison(layers, str(classifier.output), of_numbers, of_maps, "; ".join(notes))


def options(kind: Kind) -> dict[str, Any]:
    """How the explainer is asked: for the map before its ReLU, of the score that `score_of` is."""
    return {"maps": 1, "relu": False, "score": "margin" if kind.ends in ("softmax", "sigmoid") else "logit"}


@contextmanager
def what_is_said() -> Iterator[list[str]]:
    """The warnings of live_gradcam's loggers, as they come."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("live_gradcam")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


# --- the picture and the weights ----------------------------------------------------------------------------------


def photograph(size: tuple[int, int]) -> np.ndarray:
    """A cat, uint8 BGR of (height, width)."""
    return cv2.resize(np.ascontiguousarray(data.chelsea()[:, 75:375, ::-1]), size[::-1], interpolation=cv2.INTER_AREA)


def as_input(frame: np.ndarray, kind: Kind, model: keras.Model) -> tf.Tensor:
    """The frame as the model takes it: (1, height, width, channels)."""
    mean, scale = _SCALES[kind.preprocessing or "raw"]
    pixels = frame[None, ..., ::-1].astype(np.float32)
    if getattr(model, "inputs", None) and model.inputs[0].shape[-1] == 1:  # a subclassed model has none
        pixels = (pixels * np.float32(_LUMA)).sum(axis=-1, keepdims=True, dtype=np.float32)
    return tf.constant((pixels - np.float32(mean)) * np.float32(scale))


def give_weights(model: keras.Model, images: tf.Tensor, kind: Kind) -> None:
    """Weights as of a trained model: none is 0 or 1 as Keras begins, and nothing is saturated.

    Batch norms get about the statistics of the photograph.
    """
    generator = np.random.default_rng(0)
    for weight in model.weights:
        value = np.asarray(weight)
        if np.ptp(value) == 0 and value.size > 1 and weight.dtype in ("float32", "bfloat16"):
            around = 1.0 if "variance" in weight.path else 0.3 if "gamma" in weight.path else 0.0
            weight.assign(generator.uniform(around - 0.2, around + 0.2, value.shape))
    with _norms_that_learn():
        kind.numbers(model, images)
    _make_healthy(model, images, kind)


@contextmanager
def _norms_that_learn() -> Iterator[None]:
    """Batch norms remember about the statistics of what they are given until the end of the block, frozen ones too.

    Not quite: of a single place the deviation is 0, and a network that divides by it is rounding alone.
    """
    own = keras.layers.BatchNormalization.call

    def call(norm: Any, x: tf.Tensor, training: Any = None, mask: Any = None) -> tf.Tensor:
        axes = [axis for axis in range(x.ndim) if axis != norm.axis % x.ndim]
        mean, variance = tf.nn.moments(tf.cast(x, tf.float32), axes)
        norm.moving_mean.assign(0.7 * mean)
        norm.moving_variance.assign(variance + 0.3 * mean**2 + 1e-2)
        return own(norm, x, training=False)

    keras.layers.BatchNormalization.call = call
    try:
        yield
    finally:
        keras.layers.BatchNormalization.call = own


def _make_healthy(model: keras.Model, images: tf.Tensor, kind: Kind) -> None:
    """Scale the last kernels until the probabilities differ and none is saturated."""
    if kind.ends not in ("softmax", "sigmoid"):
        return
    units = np.shape(kind.numbers(model, images))[-1]
    kernels = [weight for weight in model.weights if weight.name == "kernel" and weight.shape[-1] == units]
    for _ in range(40):
        numbers = np.asarray(tf.cast(kind.numbers(model, images), tf.float64))
        saturated = numbers.max() > 0.95 or (units == 1 and numbers.min() < 0.05)
        if not saturated and (units == 1 or np.ptp(numbers) > 0.1):
            return
        for kernel in kernels:
            kernel.assign(kernel * (0.7 if saturated else 1.4))


# --- the model itself ---------------------------------------------------------------------------------------------


def closest_to_half(numbers: np.ndarray, ends: Ends) -> int:
    """Which of the numbers (units,) is explained: the probability with most digits on both sides, or the largest."""
    return int(np.abs(numbers - 0.5).argmin() if ends in ("softmax", "sigmoid") else numbers.argmax())


def score_of(numbers: tf.Tensor, entry: int, ends: Ends) -> tf.Tensor:
    """Of probabilities (1, units) the margin log p − log(1 − p) of one, else the number itself; float64."""
    number = tf.cast(numbers, tf.float64)[0, entry]
    return tf.math.log(number) - tf.math.log1p(-number) if ends in ("softmax", "sigmoid") else number


def by_tape(
    kind: Kind, model: keras.Model, images: tf.Tensor, layer: str, entry: int, shape: tuple[int, int]
) -> np.ndarray:
    """Grad-CAM's map of a layer before its ReLU, float64 of `shape`, laid over the whole input.

    It is traced: an eager tape computes gradients that nobody asks for, and one of oneDNN's destroys memory.
    """
    kept: list[tf.Tensor] = []

    @tf.function(autograph=False)
    def traced(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kept.clear()
        with tf.GradientTape(watch_accessed_variables=False) as tape, kept_and_watched(model, layer, tape, kept):
            score = score_of(kind.numbers(model, images), entry, kind.ends)
        return kept[-1], tape.gradient(score, kept[-1])

    activations, gradients = (np.asarray(tf.cast(tensor, tf.float64))[0] for tensor in traced(images))
    if activations.ndim == 2:  # tokens: the last ones are the patches
        side = int(np.sqrt(len(activations)))
        activations, gradients = (one[-(side**2) :].reshape(side, side, -1) for one in (activations, gradients))
    raw_map = (activations * gradients.mean(axis=(0, 1))).sum(axis=-1)
    return raw_map if kind.extent is None else placed(raw_map, kind.extent, kind.size, shape)


@contextmanager
def kept_and_watched(model: keras.Model, path: str, tape: tf.GradientTape, kept: list[tf.Tensor]) -> Iterator[None]:
    """What a layer gives is watched and kept, with each of its calls, until the end of the block."""
    layer: Any = model
    for name in path.removeprefix(f"{model.name}/").split("/"):  # a model whose other inputs are held is in another one
        inside = (
            layer.operations
            if hasattr(layer, "operations") and not isinstance(layer, keras.Sequential)
            else layer.layers
        )
        layer = next(one for one in inside if one.name == name)
    method = "quantized_call" if getattr(layer, "quantization_mode", None) else "call"
    own = getattr(layer, method)

    def call(*arguments: Any, **named: Any) -> tf.Tensor:
        given = tf.identity(own(*arguments, **named))
        tape.watch(given)
        kept.append(given)
        return given

    object.__setattr__(layer, method, call)
    try:
        yield
    finally:
        object.__delattr__(layer, method)


def placed(
    raw_map: np.ndarray, extent: tuple[float, float, float, float], size: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """A map of a part of the input as one of all of it, linear between its places' centres, and its least outside."""
    least = raw_map.min()
    raw_map = raw_map - least
    for axis, (start, end) in enumerate((extent[:2], extent[2:])):
        centres = (np.arange(shape[axis]) + 0.5) * size[axis] / shape[axis]
        places = raw_map.shape[axis]
        known = start + (np.arange(places) + 0.5) * (end - start) / places
        inside = (centres > start) & (centres < end)
        raw_map = np.apply_along_axis(lambda line: np.interp(centres, known, line) * inside, axis, raw_map)  # noqa: B023
    return raw_map + least


# --- differences --------------------------------------------------------------------------------------------------


def difference_of_maps(raw_map: np.ndarray, heatmap: np.ndarray, evidence: float) -> float:
    """The largest difference of a map, relative to the largest value: of its maximum, and of all its places.

    Args:
        raw_map: as it should be, before its ReLU.
        heatmap: as it is, from its minimum to its maximum scaled to 0…1.
        evidence: its maximum.
    """
    assert heatmap.shape == raw_map.shape, f"the map is of {heatmap.shape}, and should be of {raw_map.shape}"
    largest, spread = np.abs(raw_map).max(), np.ptp(raw_map)
    assert spread > 1e-3 * largest, "the map is constant, so that nothing is compared"
    of_places = np.abs(heatmap * spread - (raw_map - raw_map.min())).max()
    return float(np.nan_to_num(max(of_places, abs(evidence - raw_map.max())) / largest, nan=np.inf))


def difference_of_numbers(numbers: np.ndarray, explanation: Any, ends: Ends) -> float:
    """The largest difference of a probability, or of a logit or value relative to the largest, if that is above 1."""
    found = explanation.logits if ends == "logits" else explanation.probabilities
    if ends in ("softmax", "sigmoid"):
        best = numbers[closest_to_half(numbers, ends)]
        assert _HEALTHY[0] < best < _HEALTHY[1], f"the prediction is saturated: {numbers.round(4)}"
    if ends == "sigmoid" and len(numbers) == 1:
        numbers = np.array([1 - numbers[0], numbers[0]])
    difference = np.abs(np.asarray(found, np.float64) - numbers).max() / max(1.0, np.abs(numbers).max())
    return float(np.nan_to_num(difference, nan=np.inf))


def tolerance_of(kind: Kind) -> float:
    """The largest differences that pass."""
    return TOLERANCE_OF_FEW_DIGITS if kind.few_digits else TOLERANCE
