"""Whether the network that is explained gives the same as the user's own model."""

from __future__ import annotations

import logging

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.attribution.logits import LogitNetwork, hides_sigmoid, without_final_activation
from live_gradcam.choices import Output
from live_gradcam.compiling.comparison import have_few_digits, relative_difference
from live_gradcam.errors import ModelError
from live_gradcam.networks.graph import Network, run
from live_gradcam.networks.keras_reading import keras_reason
from live_gradcam.networks.split import split_at

_log = logging.getLogger(__name__)

#: The largest difference to the user's model that passes for rounding, of probabilities, or of values relative to the
#: largest: in float32, and where a layer computes in fewer digits.
_TOLERANCE, _TOLERANCE_OF_FEW_DIGITS = 1e-3, 2e-2


class AsCalled:
    """What the user's own model gives for images, to compare others with.

    Args:
        model: as the user calls it, of one input and one output.
        images: float32 (n, height, width, channels).

    Raises:
        ModelError: it cannot be called here, such as a model of a GPU's convolutions without a GPU; or it gives NaN, as
            weights are NaN or infinite.
    """

    def __init__(self, model: keras.Model, images: tf.Tensor) -> None:
        self._images = images
        try:
            answer = keras.tree.flatten(model(images, training=False))[0]
        except Exception as error:  # of any layer, also of the user's own
            raise _does_not_run(model, error) from error
        self._expected = np.asarray(tf.cast(answer, tf.float32))
        if np.isnan(self._expected).any():
            _check_weights(model)
        few_digits = have_few_digits(model._flatten_layers())
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
        """The largest difference, of probabilities, or of values relative to the largest.

        It is infinite where one of them gives no number. Where both give none, that is no difference.
        """
        if scores is None:
            operations, value = split_at(found.network, found.network.output).trunk, found.network.input
            scores = run(operations, {value: self._images})[found.network.output]
        actual = np.asarray(found.numbers(scores))
        return relative_difference(self._expected[None], actual[None], least=1.0)


def _does_not_run(model: keras.Model, error: Exception) -> ModelError:
    layers = model._flatten_layers()
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if not has_gpu and any(getattr(layer, "data_format", None) == "channels_first" for layer in layers):
        return ModelError(
            f"{model.name} does not run on this processor: it has the channels first, which TensorFlow computes on a "
            "GPU and on some processors only. Build it with channels_last"
        )
    return ModelError(f"{model.name} does not run, even without a map: {keras_reason(error)}")


def _check_weights(model: keras.Model) -> None:
    """Refuse a model with weights that are no numbers: every answer is NaN then, and every map empty."""
    for weight in model.weights:
        if not np.isfinite(np.asarray(tf.cast(weight.value, tf.float32))).all():
            raise ModelError(
                f"{model.name} gives no numbers (NaN): its weight {weight.path} is NaN or infinite, as after a "
                "training that failed. Use a file that was saved before that"
            )


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
            "%s: do not trust its maps. The explained numbers differ from the model's own by %.1e",
            name,
            check.difference(undone),
        )
    return undone
