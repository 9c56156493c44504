"""What is explained is the user's own model as it is called, whatever its layers do; a difference is never silent."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from command_line import run_program
from keras import layers, ops
from toy_networks import called

from live_gradcam import Classifier, Explainer
from live_gradcam.compiling.affine import affine_of
from live_gradcam.compiling.lowering import lower
from live_gradcam.compiling.products import replaced
from live_gradcam.errors import ModelError
from live_gradcam.explanations.as_json import explanation_json
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.target_layer import candidate_layers, default_target

pytestmark = pytest.mark.slow

SIDE = 32


class StandardizedConv(layers.Conv2D):
    """Weight standardization: the kernel that is multiplied is not the one that is kept."""

    def call(self, inputs):
        kernel = self.kernel - ops.mean(self.kernel, axis=(0, 1, 2), keepdims=True)
        return self.activation(ops.conv(inputs, kernel / 2, padding="same") + self.bias)


class DoubledDense(layers.Dense):
    """A last layer whose activation is not the last thing that it does."""

    def call(self, inputs, training=None):
        return super().call(2 * inputs, training=training)


class TemperedDense(layers.Dense):
    """Its probabilities are no softmax of a linear layer without its activation."""

    def call(self, inputs, training=None):
        return 0.5 * super().call(inputs, training=training) + 0.5 / self.units


def network(*, head, convolution=None, pool=None, norm=False, **convolution_options) -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu", padding="same")(image)
    x = (convolution or layers.Conv2D)(6, 3, padding="same", name="target", **convolution_options)(x)
    if norm:
        x = layers.BatchNormalization()(x)
    x = (pool or layers.GlobalAveragePooling2D())(x)
    model = keras.Model(image, head(x))
    generator = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.5, weight.shape) ** (2 if "variance" in weight.name else 1))
    return model


def classes(**options) -> keras.Layer:
    return layers.Dense(4, activation="softmax", name="out", **options)


def quantized(model: keras.Model, mode: str) -> keras.Model:
    model.quantize(mode)
    return model


def with_lora(model: keras.Model) -> keras.Model:
    head = model.get_layer("out")
    head.enable_lora(2)
    head.lora_kernel_b.assign(np.random.default_rng(1).normal(0, 1, head.lora_kernel_b.shape))
    return model


def half(model: keras.Model) -> keras.Model:
    model.get_layer("target").dtype_policy = "mixed_float16"
    return model


def called_by_another(model: keras.Model) -> keras.Model:
    """A layer whose `call` was put there from outside."""
    head = model.get_layer("out")
    call = head.call
    head.call = lambda x, training=None: call(x[:, ::-1])
    return model


MODELS = {
    "int8": lambda: quantized(network(head=classes()), "int8"),
    "int8 after flatten": lambda: quantized(network(head=classes(), pool=layers.Flatten()), "int8"),
    "int4": lambda: quantized(network(head=classes()), "int4"),
    "float8": lambda: quantized(network(head=classes()), "float8"),
    "LoRA": lambda: with_lora(network(head=classes())),
    "LoRA after flatten": lambda: with_lora(network(head=classes(), pool=layers.Flatten())),
    "LoRA in int8": lambda: quantized(with_lora(network(head=classes())), "int8"),
    "quantized EinsumDense": lambda: quantized(
        network(head=layers.EinsumDense("ab,bc->ac", 4, activation="softmax", name="out")), "int8"
    ),
    "subclass of a convolution": lambda: network(head=classes(), convolution=StandardizedConv, norm=True),
    "subclass of a dense layer": lambda: network(head=DoubledDense(4, activation="softmax")),
    "spectral norm": lambda: network(head=layers.SpectralNormalization(classes())),
    "a call of its own": lambda: called_by_another(network(head=classes())),
    "batch norm in float16": lambda: network(head=classes(), norm=True, dtype="mixed_float16"),
    "all plain": lambda: network(head=classes(), norm=True),
}


def unit_classifier(model: keras.Model) -> Classifier:
    labels = tuple(f"class {index}" for index in range(model.output_shape[-1]))
    return Classifier("toy", model, labels, (SIDE, SIDE), PREPROCESSINGS["unit"])


def picture() -> np.ndarray:
    """Colours that change from edge to edge, in some noise."""
    across, down = np.meshgrid(np.linspace(0, 255, SIDE), np.linspace(0, 255, SIDE))
    noise = np.random.default_rng(5).integers(-20, 20, (SIDE, SIDE, 3))
    return np.clip(np.stack([down, 255 - across, across], axis=-1) + noise, 0, 255).astype(np.uint8)


def by_the_users_model(model: keras.Model, frame: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Its probabilities, and the raw Grad-CAM map of the margin log p − log(1 − p)."""
    images = tf.constant((frame[None, :, :, ::-1] / 255).astype(np.float32))
    both = keras.Model(model.inputs, [model.get_layer("target").output, model.output])

    @tf.function(autograph=False)
    def traced():
        activations, probabilities = both(images, training=False)
        probability = tf.cast(probabilities, tf.float32)[0, target]
        margin = tf.math.log(probability) - tf.math.log1p(-probability)
        return activations, probabilities, tf.gradients(margin, activations)[0]

    activations, probabilities, gradients = (tf.cast(x, tf.float32).numpy()[0] for x in traced())
    return probabilities, (activations * gradients.mean(axis=(0, 1))).sum(axis=-1)


@pytest.mark.parametrize("kind", MODELS)
def test_the_probabilities_and_the_map_are_those_of_the_users_model(kind: str, caplog) -> None:
    model, frame = MODELS[kind](), picture()
    classifier = unit_classifier(model)
    with caplog.at_level(logging.WARNING):
        xla = Explainer(classifier, layer="target", score="margin", maps=1, relu=False, tune="off")(frame, target=1)
        graph = Explainer(classifier, engine="graph", tune="off")(frame)
    assert not [record for record in caplog.records if record.name.startswith("live_gradcam")]

    expected = called(model, (frame[None, :, :, ::-1] / 255).astype(np.float32))[0]
    assert np.ptp(expected) > 0.02
    few_digits = kind in ("float8", "LoRA in int8", "batch norm in float16")
    for explanation in (xla, graph):
        np.testing.assert_allclose(explanation.probabilities, expected, atol=5e-3 if few_digits else 1e-5)

    probabilities, raw = by_the_users_model(model, frame, 1)
    few_digits = kind in ("float8", "batch norm in float16") or "int" in kind
    tolerance = (3e-2 if few_digits else 1e-3) * np.abs(raw).max()
    assert xla.targets[0].probability == pytest.approx(probabilities[1], abs=5e-3 if few_digits else 1e-5)
    np.testing.assert_allclose(xla.evidence[0], raw.max(), atol=tolerance)
    np.testing.assert_allclose(xla.heatmaps[0], (raw - raw.min()) / np.ptp(raw), atol=tolerance / np.ptp(raw))


def probabilities_of(model: keras.Model, frame: np.ndarray) -> np.ndarray:
    return called(model, (frame[None, :, :, ::-1] / 255).astype(np.float32))[0]


def test_a_last_layer_that_does_more_than_its_class_says_is_undone_by_its_inverse() -> None:
    model, frame = network(head=TemperedDense(4, activation="softmax")), picture()
    explanation = Explainer(unit_classifier(model), tune="off")(frame)
    np.testing.assert_allclose(explanation.probabilities, probabilities_of(model, frame), atol=1e-5)


def test_a_softmax_that_no_layer_names_is_found() -> None:
    """Softmax of a softmax would pass for probabilities too."""
    softmax = layers.Lambda(lambda x: ops.exp(x) / ops.sum(ops.exp(x), axis=-1, keepdims=True))
    model, frame = network(head=lambda x: softmax(layers.Dense(4)(x))), picture()
    explanation = Explainer(unit_classifier(model), tune="off")(frame)
    expected = probabilities_of(model, frame)
    assert np.ptp(expected) > 0.3
    np.testing.assert_allclose(explanation.probabilities, expected, atol=1e-5)


class Moody(layers.Layer):
    """Gives another number with every call."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x * float(self.calls)

    def compute_output_shape(self, shape):
        return shape


def test_a_difference_to_the_users_model_is_said(caplog) -> None:
    model = network(head=lambda x: classes()(Moody()(x)))
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        Explainer(unit_classifier(model), tune="off", engine="graph")
    assert "differ from the model's own by" in caplog.text


def test_where_the_users_model_gives_no_number_the_network_may_give_none(caplog) -> None:
    """The logarithm of what is below 0, although all weights are finite."""
    model = network(head=lambda x: layers.Dense(3)(ops.log(x - 10)))
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        explainer = Explainer(unit_classifier(model), tune="off")
        explanation = explainer(np.full((SIDE, SIDE, 3), 128, np.uint8))
    assert "do not trust" not in caplog.text
    record = explanation_json(replace(explanation, boxes=((),) * len(explanation.targets)))
    json.dumps(record, allow_nan=False)
    first = record["predictions"][0]
    assert first.get("value", first.get("probability")) is None


def test_a_rewrite_that_differs_from_the_users_model_is_not_used(monkeypatch, caplog) -> None:
    """Also where the network that it is a rewrite of shares its mistake."""
    model, frame = network(head=classes(), norm=True), picture()

    def lower_both(network, **options):
        return lower(twice_the_kernel(network), **options)

    monkeypatch.setattr("live_gradcam.attribution.building.lower", lower_both)
    with caplog.at_level(logging.WARNING, "live_gradcam"):
        explainer = Explainer(unit_classifier(model), tune="off")
    assert explainer.rewrites == {}
    assert "is not used" in caplog.text
    np.testing.assert_allclose(explainer(frame).probabilities, probabilities_of(model, frame), atol=1e-5)


def twice_the_kernel(network):
    """The network with a last layer of twice its weights."""
    *others, last = network.operations
    affine = affine_of(last.layer)
    return replace(network, operations=(*others, replaced(last, replace(affine, kernel=2 * affine.kernel))))


# --- gradients that nobody needs ----------------------------------------------------------------------------------

_EARLY_LAYER = """
import keras, numpy as np, tensorflow as tf
from keras import layers
from live_gradcam.compiling.comparison import differences
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.target_layer import find_layer

image = keras.Input((60, 60, 1))
x = layers.Conv2D(8, 3, padding="same", activation="relu", name="early")(image)
x = layers.Conv2D(16, 1, strides=2, padding="same")(x)
model = keras.Model(image, layers.Dense(7)(layers.GlobalAveragePooling2D()(x)))
network = flatten(model, (60, 60))
early = find_layer(network, "early").outputs[0]
for _ in range(20):
    assert differences(network, network, (early,), tf.ones((2, 60, 60, 1)))[:2] == (0, 0)
print("alive")
"""


def test_an_early_layer_is_checked_without_the_gradients_of_filters() -> None:
    """oneDNN's gradient of a 1 × 1 filter of stride 2 and 8 channels destroys the process's memory."""
    done = run_program(_EARLY_LAYER, with_tensorflow=True)
    assert (done.code, done.out) == (0, "alive\n"), done.err[-500:]


def channels_first() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, data_format="channels_first", activation="relu")(layers.Permute((3, 1, 2))(image))
    x = layers.GlobalMaxPooling2D(data_format="channels_first")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name="net")


def test_no_map_is_read_with_the_channels_first() -> None:
    """Some processors run such convolutions: what is explained then is where the channels are last again."""
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, data_format="channels_first", name="first")(layers.Permute((3, 1, 2))(image))
    x = layers.Permute((2, 3, 1), name="last")(layers.ReLU(name="too")(x))
    found = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x))), (SIDE, SIDE))
    assert default_target(found).name == "last"
    assert [one.name for one in candidate_layers(found)] == ["last"]


class Failing(layers.Layer):
    def call(self, inputs):
        if tf.executing_eagerly():
            raise RuntimeError("no licence")
        return inputs


def failing() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(Failing()(image)))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name="net")


def diverged() -> keras.Model:
    model = network(head=layers.Dense(3, activation="softmax", name="kinds"))
    model.get_layer("kinds").bias.assign([0, np.nan, 0])
    return keras.Model(model.inputs, model.outputs, name="net")


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU runs it")
@pytest.mark.parametrize(
    ("build", "says"),
    [
        (diverged, r"net gives no numbers \(NaN\): its weight kinds/bias is NaN or infinite, .* before that$"),
        (  # some processors run it: then it has no map that can be read
            channels_first,
            "(net does not run on this processor: it|the model) has the channels first, .* channels_last$",
        ),
        (failing, "net does not run, even without a map: no licence$"),
    ],
)
def test_a_model_that_does_not_run_says_so_in_a_line(build, says: str) -> None:
    model = build()
    classifier = Classifier("toy", model, ("a", "b", "c"), (SIDE, SIDE), PREPROCESSINGS["unit"])
    with pytest.raises(ModelError, match=says) as caught:
        Explainer(classifier)
    assert "\n" not in str(caught.value)
