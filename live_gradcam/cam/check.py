"""Whether the network that is explained gives the same as the user's own model."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.cam.logits import LogitNetwork, hides_sigmoid, without_final_activation
from live_gradcam.cam.methods import grad_cam
from live_gradcam.cam.split import SplitNetwork, split_at
from live_gradcam.networks.graph import Network, run
from live_gradcam.networks.outputs import Output

_log = logging.getLogger(__name__)

#: The largest difference to the user's model that passes for rounding, of probabilities, or of values relative to the
#: largest: in float32, and where a layer computes in fewer digits.
_TOLERANCE, _TOLERANCE_OF_FEW_DIGITS = 1e-3, 2e-2


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


def has_few_digits(layer: Any) -> bool:
    """Whether a layer computes in half precision, or rounds its input to integers: there rounding makes steps."""
    policy = getattr(layer, "dtype_policy", None)
    is_half = getattr(layer, "compute_dtype", "float32") in ("float16", "bfloat16")
    return is_half or getattr(policy, "quantization_mode", None) is not None


# --- a rewritten network against the one before -------------------------------------------------------------------


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
    of_logits, *of_maps = (_relative(*pair) for pair in zip(before, after, strict=True))
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
    return grad_cam(*(split.as_map(target, tf.cast(x, tf.float32)) for x in (activations, gradients)))


def _relative(expected: np.ndarray, actual: np.ndarray) -> float:
    """The largest difference of any image's values, relative to the largest of that image's expected values."""
    axes = tuple(range(1, expected.ndim))
    largest = np.maximum(np.abs(expected).max(axis=axes), 1e-12)
    return float((np.abs(actual.astype(np.float64) - expected).max(axis=axes) / largest).max())


# --- the network that is explained against the user's model -------------------------------------------------------


class AsCalled:
    """What the user's own model gives for images, to compare others with.

    Args:
        model: as the user calls it, of one input and one output.
        images: float32 (n, height, width, channels).
    """

    def __init__(self, model: keras.Model, images: tf.Tensor) -> None:
        self._images = images
        answer = keras.tree.flatten(model(images, training=False))[0]
        self._expected = np.asarray(tf.cast(answer, tf.float32))
        few_digits = any(map(has_few_digits, model._flatten_layers()))
        self._tolerance = _TOLERANCE_OF_FEW_DIGITS if few_digits else _TOLERANCE

    @classmethod
    def at(cls, input_size: tuple[int, int], model: keras.Model, images: tf.Tensor) -> AsCalled | None:
        """What the model gives; None where it cannot be called at the images' (height, width)."""
        own_size = tuple(model.inputs[0].shape[1:3])
        return cls(model, images) if None in own_size or own_size == input_size else None

    @property
    def is_distribution(self) -> bool:
        """Whether its numbers are several that are not below 0 and add up to 1, as those of a softmax are."""
        sums = self._expected.sum(axis=-1)
        return self._expected.shape[-1] > 1 and self._expected.min() >= 0 and np.abs(sums - 1).max() <= self._tolerance

    @property
    def is_of_probabilities(self) -> bool:
        """Whether its numbers all lie in 0…1, as those of sigmoids do."""
        return bool(self._expected.min() >= 0 and self._expected.max() <= 1)

    def passes(self, found: LogitNetwork, scores: np.ndarray | None = None) -> bool:
        """Whether a network gives the same, but for rounding.

        Args:
            found: the network.
            scores: what it gives for the images, where that is known.
        """
        return self.difference(found, scores) <= self._tolerance

    def difference(self, found: LogitNetwork, scores: np.ndarray | None = None) -> float:
        """The largest difference, of probabilities, or of values relative to the largest; infinite without numbers."""
        if scores is None:
            operations, value = split_at(found.network, found.network.output).trunk, found.network.input
            scores = run(operations, {value: self._images})[found.network.output]
        actual = np.asarray(found.numbers(scores)).astype(np.float64)
        difference = np.abs(actual - self._expected).max() / max(1.0, np.abs(self._expected).max())
        return float(difference) if np.isfinite(difference) else np.inf


def logits_like_the_model(network: Network, output: Output | None, check: AsCalled | None) -> LogitNetwork:
    """The network without its final activation, which with it gives what the user's model gives.

    Where a last layer does more than its class says, or hides its softmax, that is undone by its inverse function. A
    layer that is known in every respect is not run here: see `confirmed`.

    Args:
        network: the user's model laid out flat.
        output: as for `without_final_activation`.
        check: what the model gives; None where that is not known.
    """
    found = without_final_activation(network, output)
    if check is None:
        return found
    if found.output == "classes" and not found.is_left_out and check.is_distribution:  # by a softmax that it hides
        return without_final_activation(network, "classes", by_inverse=True)
    if hides_sigmoid(network, found) and check.is_of_probabilities:
        return without_final_activation(network, found.output, by_inverse=True)
    if found.is_plain or check.passes(found):
        return found
    return without_final_activation(network, output, by_inverse=True)


def confirmed(found: LogitNetwork, network: Network, check: AsCalled | None, *, name: str) -> LogitNetwork:
    """The network, where it gives what the user's model gives, or else does by its activation's inverse function.

    A difference that remains is said in a warning.

    Args:
        found: the network without its final activation.
        network: the user's model laid out flat.
        check: what the model gives; None where that is not known.
        name: the model's, for the warning.
    """
    if check is None or check.passes(found):
        return found
    undone = without_final_activation(network, found.output, by_inverse=True)
    if not check.passes(undone):
        _log.warning(
            "%s: the numbers that are explained differ from the model's own by %.1e: do not trust them",
            name,
            check.difference(undone),
        )
    return undone
