"""What a user's own model does not say: what its numbers are, how it wants its pixels, what its classes are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.choices import Output
from live_gradcam.errors import LiveGradcamError, ModelError
from live_gradcam.networks.card import Card
from live_gradcam.networks.graph import Network, flatten, run
from live_gradcam.networks.labels import labels_beside
from live_gradcam.networks.model_source import LoadedModel, ModelOptions
from live_gradcam.networks.outputs import Activation, entries_of, last_activation, last_operation, output_of
from live_gradcam.networks.pixel_scale import SCALES, PixelScale, find_pixel_scale, two_photographs
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing, find_preprocessing


@dataclass(frozen=True)
class Facts:
    """What a model itself tells, or what is beside its file.

    Attributes:
        output: what its numbers are; None for what its last layer says.
        preprocessing: how it wants its pixels.
        fit: as for `Classifier`.
        guess: the name of the preprocessing, where it is a guess.
        labels: the source's, or from a file beside the model's; None without either.
        card: what the file says about the model, where all of this is from.
    """

    output: Output | None
    preprocessing: Preprocessing
    fit: str | None
    guess: str | None
    labels: tuple[str, ...] | None
    card: Card | None = None


def facts_of(loaded: LoadedModel, model: keras.Model, input_size: tuple[int, int], options: ModelOptions) -> Facts:
    """Find out what neither the user says, nor the source that the model comes from.

    Args:
        loaded: as it came.
        model: the same, of one input and one output.
        input_size: (height, width).
        options: what the user says. `say` is called with a line for each guess and choice.

    Raises:
        ModelError: the model's numbers say nothing.
    """
    asked_for = find_preprocessing(options.preprocessing)
    if loaded.preprocessing is not None and loaded.labels is not None:  # its source knows the network
        return Facts(options.output, asked_for or loaded.preprocessing, loaded.fit, None, loaded.labels)
    name, say, output = loaded.name, options.say, options.output
    units = model.outputs[0].shape[-1]
    card = _card_of(loaded, units, options)
    if card is not None:
        recipe = asked_for or PREPROCESSINGS[card.preprocessing]
        return Facts(output or card.task, recipe, card.fit or fit_of(model), None, card.classes, card)
    network = _network(model, input_size)
    activation = "linear" if network is None else last_activation(network)
    if activation == "softmax" and units == 1 and output != "values":
        raise ModelError(f"{name} ends in a softmax over one number, which is 1 for any picture: train it with sigmoid")
    if output is None:
        output = _output(name, network, activation, units, say)
    labels = loaded.labels
    if options.labels is None and labels is None and loaded.file is not None:
        labels = _labels_beside(loaded.file, entries_of(output, units), say)
    preprocessing = asked_for or loaded.preprocessing
    fit, guess = loaded.fit or fit_of(model), None
    if preprocessing is None:
        own = _own_preprocessing(model)
        if own is not None:
            preprocessing, fit = own
        elif _is_teachable_machine(model):
            say(f"{name} is from Teachable Machine: it gets the middle square of each frame, with pixels from −1 to 1")
            preprocessing, fit = PREPROCESSINGS["tf"], "crop"
        else:
            scale = _pixel_scale(name, network, say)
            preprocessing = PREPROCESSINGS[scale.name]
            guess = scale.name if scale.why == "guess" else None
    return Facts(output, preprocessing, fit, guess, labels)


def _card_of(loaded: LoadedModel, units: int, options: ModelOptions) -> Card | None:
    """The card in the model's file, where it is of this model. Otherwise a line says that it is left out."""
    card = loaded.card
    if card is None:
        return None
    entries = entries_of(options.output or card.task, units)
    if len(card.classes) != entries:
        options.say(f"{loaded.name}: its card names {len(card.classes)} classes for {entries}, so the card is left out")
        return None
    return card


def _network(model: keras.Model, input_size: tuple[int, int]) -> Network | None:
    """The model laid out flat; None for one whose layers cannot be seen."""
    try:
        return flatten(model, input_size)
    except LiveGradcamError:
        return None


# --- its numbers --------------------------------------------------------------------------------------------------


def _output(
    name: str, network: Network | None, activation: Activation | None, units: int, say: Callable[[str], None]
) -> Output:
    output = output_of(activation, units)
    if activation not in (None, "linear"):
        return output
    numbers = None if network is None or units == 1 else _numbers_of(network)
    gives_probabilities = numbers is not None and _add_up_to_1(numbers)
    if activation is None:
        if not gives_probabilities:
            say(
                f"{name} ends in an activation that is not known here, so its numbers are shown as values. If they are "
                "probabilities, use --output-kind classes or labels"
            )
        return "classes" if gives_probabilities else output
    if output != "classes" or gives_probabilities:
        return output
    last = None if network is None else last_operation(network)
    is_layer_of_scores = last is None or bool(getattr(last.layer, "weights", None))
    if numbers is not None and _are_shares(numbers) and not is_layer_of_scores:
        say(
            f"{name} ends without softmax or sigmoid, but its {units} numbers lie between 0 and 1: they are shown as "
            "probabilities of labels. If they are something else, use --output-kind classes or values"
        )
        return "labels"
    say(
        f"{name} ends without softmax or sigmoid, so its {units} numbers are used as logits of classes. If they are "
        "something else, use --output-kind labels or values"
    )
    return output


def _numbers_of(network: Network) -> tf.Tensor:
    """A network's numbers for two photographs, (2, units), in its own type."""
    height, width, channels = (side or 1 for side in network.shapes[network.input])
    images = tf.constant(two_photographs(height, width, channels))
    each = [run(network.operations, {network.input: image})[network.output] for image in tf.split(images, len(images))]
    return tf.concat(each, axis=0)


def _add_up_to_1(numbers: tf.Tensor) -> bool:
    """Whether numbers add up to 1, so that a softmax is hidden in a layer that does not tell."""
    tolerance = 1e-3 if numbers.dtype in (tf.float32, tf.float64) else 2e-2  # of few digits
    sums = np.asarray(tf.reduce_sum(tf.cast(numbers, tf.float32), axis=-1))
    return _are_shares(numbers) and np.allclose(sums, 1, atol=tolerance)


def _are_shares(numbers: tf.Tensor) -> bool:
    """Whether numbers lie between 0 and 1."""
    found = np.asarray(tf.cast(numbers, tf.float32))
    return bool(found.min() >= 0 and found.max() <= 1)


def _labels_beside(path: Path, entries: int, say: Callable[[str], None]) -> tuple[str, ...] | None:
    found = labels_beside(path, entries)
    if found is None:
        return None
    labels, name = found
    say(f"{path.name}: the labels are read from {name} in the same folder")
    return labels


# --- its pixels ---------------------------------------------------------------------------------------------------


def _pixel_scale(name: str, network: Network | None, say: Callable[[str], None]) -> PixelScale:
    scale = PixelScale("raw", "guess") if network is None else find_pixel_scale(network)
    what = describe_scale(scale.name)
    if scale.why == "batch norms":
        say(f"{name}: pixels are scaled to {what}, as its batch norms expect. Change this with --preprocessing")
    elif scale.why == "first layers":
        say(f"{name}: pixels are scaled to {what}, as its first layers expect. Change this with --preprocessing")
    elif scale.why == "nearest":
        say(f"{name}: its batch norms fit no usual scale of pixels. {what} is closest: set yours with --preprocessing")
    elif scale.why == "guess":
        say(f"{name} does not say how its pixels were scaled. {what} is a guess: set yours with --preprocessing")
    return scale


def describe_scale(name: str) -> str:
    """A preprocessing in words: "−1…1"."""
    scale, _, order = name.partition("-")
    words = SCALES.get(scale, name)
    return f"{words}, in BGR" if order == "bgr" else words


def fit_of(model: keras.Model) -> str | None:
    """How a model itself makes pictures fit, by a Resizing layer before all weights; None where there is none.

    Returns:
        A name of `explanations.fits.Fit`.
    """
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Resizing):
            if layer.crop_to_aspect_ratio:
                return "crop"
            return "letterbox" if getattr(layer, "pad_to_aspect_ratio", False) else "stretch"
        if layer.weights and not isinstance(layer, (keras.Model, keras.layers.Normalization)):
            return None
    return None


# --- models whose makers are known --------------------------------------------------------------------------------


def _own_preprocessing(model: keras.Model) -> tuple[Preprocessing, str | None] | None:
    """The preprocessing and the fit of a KerasHub model's own preprocessor; None for another model."""
    converter = _converter_of(model)
    if converter is None:
        return None
    scale, offset = (
        _per_channel(getattr(converter, field, None), usual) for field, usual in (("scale", 1), ("offset", 0))
    )
    red, green, blue = (-shift / factor for shift, factor in zip(offset, scale, strict=True))
    if getattr(converter, "crop_to_aspect_ratio", False):
        fit = "crop"
    else:
        fit = "letterbox" if getattr(converter, "pad_to_aspect_ratio", False) else "stretch"
    return Preprocessing((red, green, blue), scale), fit


def size_of_preprocessor(model: keras.Model) -> tuple[int, int] | None:
    """(height, width) that a KerasHub model's own preprocessor makes pictures; None for another model, or any size."""
    size = getattr(_converter_of(model), "image_size", None)
    return None if size is None else (int(size[0]), int(size[1]))


def _converter_of(model: keras.Model) -> Any | None:
    """What a KerasHub model's preprocessor converts pictures with: itself, or a part of it."""
    preprocessor = getattr(model, "preprocessor", None)
    converter = getattr(preprocessor, "image_converter", preprocessor)
    return converter if hasattr(converter, "crop_to_aspect_ratio") else None


def _per_channel(numbers: Any, usual: float) -> tuple[float, float, float]:
    values = [usual] if numbers is None else keras.tree.flatten(numbers)
    red, green, blue = (values * 3)[:3] if len(values) == 1 else values
    return float(red), float(green), float(blue)


def _is_teachable_machine(model: keras.Model) -> bool:
    """Whether it is Teachable Machine's export: MobileNetV2 in a Sequential, and two dense layers in another one."""
    if not isinstance(model, keras.Sequential) or len(model.layers) != 2:
        return False
    features, head = model.layers
    if not (isinstance(features, keras.Sequential) and isinstance(head, keras.Sequential)):
        return False
    backbone = features.layers[0]
    is_mobilenet = isinstance(backbone, keras.Model) and {"Conv1", "out_relu"} <= {one.name for one in backbone.layers}
    return is_mobilenet and all(isinstance(layer, keras.layers.Dense) for layer in head.layers)
