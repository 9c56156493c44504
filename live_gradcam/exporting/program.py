"""A classifier as a function that is complete: the pixels of pictures in, a probability for each label out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.attribution.logits import ACTIVATIONS, without_final_activation
from live_gradcam.choices import Output
from live_gradcam.errors import ModelError
from live_gradcam.exporting.float32 import in_float32
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.network_input import network_input
from live_gradcam.networks.outputs import output_of
from live_gradcam.networks.preprocessing import Preprocessing

#: What its argument is called in every format.
INPUT = "pixels"

#: Pixels as they are need nothing.
_AS_THEY_ARE = Preprocessing(channels="rgb")


@dataclass(frozen=True)
class Program:
    """What is exported.

    Attributes:
        name: of the classifier, in messages.
        model: the Keras model, which holds the weights.
        size: (height, width) of the pictures, in pixels.
        output: what the numbers are.
        function: takes float32 (pictures, height, width, 3), RGB, 0…255; gives float32 (pictures, labels).
    """

    name: str
    model: keras.Model
    size: tuple[int, int]
    output: Output
    function: Callable[[tf.Tensor], tf.Tensor]

    @property
    def result(self) -> str:
        """What its result is called in every format: "probabilities", or "values"."""
        return "values" if self.output == "values" else "probabilities"

    @property
    def bytes(self) -> int:
        """How large the weights are, which are float32."""
        return 4 * self.model.count_params()

    def compilable(self, pictures: int | None = None) -> Any:
        """The program as a TensorFlow function, with its argument and its result by name.

        Args:
            pictures: how many at a time; None for any number.
        """
        # as in compiling.compilation: AutoGraph takes long and changes nothing
        return tf.function(self._by_name, input_signature=self._signature(pictures), autograph=False)

    def traced(self) -> Any:
        """The same as a ConcreteFunction, without calls of other functions: not every format has them.

        Keras calls one for a convolution in groups.
        """
        inlines = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            return tf.compat.v1.wrap_function(self._by_name, self._signature(None))
        finally:
            tf.config.run_functions_eagerly(inlines)

    def _by_name(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {self.result: self.function(pixels)}

    def _signature(self, pictures: int | None) -> list[tf.TensorSpec]:
        return [tf.TensorSpec((pictures, *self.size, 3), tf.float32, INPUT)]


def program_of(classifier: Classifier) -> Program:
    """The program of a classifier.

    Raises:
        UsageError: the model's numbers cannot be what they are said to be.
    """
    output, activation = _numbers_of(classifier)
    units = classifier.model.outputs[0].shape[-1]
    model = in_float32(classifier.model)

    def function(pixels: tf.Tensor) -> tf.Tensor:
        numbers = model(input_of_rgb(pixels, classifier.preprocessing), training=False)
        (numbers,) = keras.tree.flatten(numbers)
        numbers = activation(tf.cast(numbers, tf.float32))
        if output == "classes" and units == 1:
            numbers = tf.concat([1 - numbers, numbers], axis=-1)
        return numbers

    return Program(classifier.name, model, classifier.input_size, output, function)


def input_of_rgb(pixels: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """RGB pixels as a network's input; nothing is computed where it takes them as they are.

    Args:
        pixels: float32 (pictures, height, width, 3), 0…255.
        preprocessing: how they become the input.
    """
    if preprocessing == _AS_THEY_ARE:
        return pixels
    if preprocessing.channels == "grey":
        return network_input(tf.reverse(pixels, axis=[-1]), preprocessing)
    # `network_input` takes BGR: it turns the channels round for a network of RGB, and must not do it for these pixels
    return network_input(pixels, replace(preprocessing, channels="bgr" if preprocessing.channels == "rgb" else "rgb"))


def original_numbers(classifier: Classifier, pictures: np.ndarray) -> np.ndarray:
    """What the user's own model gives, called as it is, on pictures as every command reads them.

    Args:
        classifier: whose model.
        pictures: uint8 (pictures, height, width, 3), BGR.

    Returns:
        float32 (pictures, labels): probabilities or values.
    """
    output, activation = _numbers_of(classifier)
    inputs = network_input(tf.constant(pictures), classifier.preprocessing)
    (given,) = keras.tree.flatten(classifier.model(inputs, training=False))
    numbers = np.asarray(activation(tf.cast(given, tf.float32)))
    one_unit = output == "classes" and numbers.shape[-1] == 1
    return np.concatenate([1 - numbers, numbers], axis=-1) if one_unit else numbers


def _numbers_of(classifier: Classifier) -> tuple[Output, Callable[[tf.Tensor], tf.Tensor]]:
    """What a classifier's numbers are, and what makes probabilities of those that its model gives."""
    units = classifier.model.outputs[0].shape[-1]
    try:
        network = flatten(classifier.model, classifier.input_size)
    except ModelError:  # its layers cannot be seen, and then its numbers are taken as they are
        return classifier.output or output_of("softmax", units), tf.identity
    found = without_final_activation(network, classifier.output)
    as_they_are = found.is_left_out or found.output == "values"
    return found.output, tf.identity if as_they_are else ACTIVATIONS[found.activation]
