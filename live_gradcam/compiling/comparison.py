"""Whether a network that was rewritten still gives the same: its logits and its map, on real pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from live_gradcam.networks.graph import Network, run
from live_gradcam.networks.split import SplitNetwork, split_at


def check_images(network: Network, pictures: np.ndarray | None) -> tf.Tensor:
    """What a network is checked on: the pictures, and the first of them upside down in some noise.

    Not on noise alone where there are pictures: far from what it expects, a network's float32 can be rounding alone.

    Args:
        network: the network.
        pictures: float32 (n, height, width, channels), real inputs; None: noise.

    Returns:
        float32 (1 + n, height, width, channels); of a network that takes one image at a time, one of them.
    """
    height, width, channels = network.shapes[network.input]
    noise = np.random.default_rng(0).normal(0, 1, (1, height or 1, width or 1, channels or 1))
    if pictures is None:
        return tf.constant(noise, tf.float32)
    if network.batch is not None:
        return tf.constant(pictures[:1], tf.float32)
    upside_down = pictures[:1, ::-1] + 0.1 * pictures.std() * noise
    return tf.constant(np.concatenate([upside_down, pictures]), tf.float32)


def have_few_digits(layers: Iterable[Any]) -> bool:
    """Whether a layer computes in half precision, or rounds its input to integers: there rounding makes steps."""
    return any(map(_has_few_digits, layers))


def _has_few_digits(layer: Any) -> bool:
    policy = getattr(layer, "dtype_policy", None)
    is_half = getattr(layer, "compute_dtype", "float32") in ("float16", "bfloat16")
    return is_half or getattr(policy, "quantization_mode", None) is not None


class Differences(NamedTuple):
    """How a rewritten network differs from the one before.

    Attributes:
        of_logits: the largest difference of the logits, relative to the largest.
        of_map: the largest difference of Grad-CAM's map before its ReLU, relative to the largest.
        logits: those of the rewritten network, float32 (n, units).
    """

    of_logits: float
    of_map: float
    logits: np.ndarray


def differences(network: Network, rewritten: Network, keep: tuple[int, ...], images: tf.Tensor) -> Differences:
    """Compare a rewritten network with the one before.

    Args:
        network: a network.
        rewritten: the same, written in another way.
        keep: the numbers of the target layers' activations.
        images: float32 (n, height, width, channels).
    """
    before = _logits_and_maps(network, keep, images, None)
    top = tf.constant(before[0].argmax(axis=-1), tf.int32)
    after = _logits_and_maps(rewritten, keep, images, top)
    of_logits, *of_maps = (relative_difference(*pair) for pair in zip(before, after, strict=True))
    return Differences(of_logits, max(of_maps, default=0.0), after[0])


def _logits_and_maps(
    network: Network, keep: tuple[int, ...], images: tf.Tensor, classes: tf.Tensor | None
) -> list[np.ndarray]:
    """The logits (n, classes), and each target layer's raw map (n, h, w), of the classes (n,) or the top ones.

    The head is traced: of a trace only the gradients that are asked for are computed. An eager tape also computes those
    of all filters, and one of oneDNN's writes past its memory (1 × 1, stride 2, 8 channels, in TensorFlow 2.21).
    """
    split = split_at(network, *keep)
    values = run(split.trunk, {split.input: images})

    def head(values: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        made = run(split.head, {int(number): value for number, value in values.items()})
        logits = tf.cast(made[split.output], tf.float32)
        if not split.head:
            return [logits]
        picked = tf.one_hot(tf.argmax(logits, axis=-1) if classes is None else classes, logits.shape[-1])
        activations = [made[number] for number in keep]
        gradients = tf.gradients(tf.reduce_sum(logits * picked), activations)
        pairs = zip(activations, gradients, strict=True)
        return [logits, *(_raw_map(split, number, *pair) for number, pair in zip(keep, pairs, strict=True))]

    read = {split.output, *keep, *(number for operation in split.head for number in operation.inputs)}
    needed = {str(number): value for number, value in values.items() if number in read}
    traced = tf.function(head, autograph=False).get_concrete_function(needed)
    return [result.numpy() for result in traced(needed)]


def _raw_map(split: SplitNetwork, target: int, activations: tf.Tensor, gradients: tf.Tensor | None) -> tf.Tensor:
    if gradients is None:  # the score does not depend on them
        gradients = tf.zeros_like(activations)
    activations, gradients = (split.as_map(target, tf.cast(x, tf.float32)) for x in (activations, gradients))
    return tf.reduce_sum(activations * tf.reduce_mean(gradients, axis=(1, 2), keepdims=True), axis=-1)


def relative_difference(expected: np.ndarray, actual: np.ndarray, *, least: float = 1e-12) -> float:
    """The largest difference of any image's values, relative to the largest of that image's expected values.

    What is infinite or no number on both sides is no difference. On one side alone, it is an infinite one.

    Args:
        expected: float32 (n, …), of n images.
        actual: of the same shape.
        least: what differences are compared with at least.
    """
    axes = tuple(range(1, expected.ndim))
    largest = np.maximum(np.abs(np.where(np.isfinite(expected), expected, 0)).max(axis=axes), least)
    is_same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    with np.errstate(invalid="ignore"):
        apart = np.where(is_same, 0, np.abs(actual.astype(np.float64) - expected))
    difference = float((apart.max(axis=axes) / largest).max())
    return np.inf if np.isnan(difference) else difference
