"""Every rewrite gives the numbers of the layer that it replaces, and the user's model stays as it was."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam.cam.graph import Network, flatten, run
from live_gradcam.cam.lowering import lower
from live_gradcam.cam.products import F2, F4, FORMS, Form
from live_gradcam.cam.split import find_layer

SIZE = (17, 22)


def model_of(*stack: keras.Layer, channels: int = 3) -> keras.Model:
    """The layers on an odd-sized image, then a pooled head; weights and statistics are random, not those of a start."""
    image = keras.Input((*SIZE, channels))
    x = image
    for layer in stack:
        x = layer(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.2, 1.2, weight.shape) for weight in model.get_weights()])
    return model


def norm(**options) -> keras.Layer:
    return layers.BatchNormalization(**options)


def answer(network: Network, seed: int = 1) -> np.ndarray:
    shape = (2, *network.shapes[network.input])
    images = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    return np.asarray(run(network.operations, {network.input: images})[network.output])


@pytest.mark.parametrize(
    "stack",
    [
        [layers.Conv2D(4, 3, use_bias=False), norm()],
        [layers.Conv2D(4, 3, strides=2, padding="same"), norm(scale=False)],
        [layers.Conv2D(4, 3, dilation_rate=2), norm(center=False), layers.ReLU(6)],
        [layers.DepthwiseConv2D(3, use_bias=False), norm()],
        [layers.Conv2D(6, 1), layers.Conv2D(4, 3, groups=2), norm(epsilon=0.1)],
    ],
)
def test_a_folded_batch_norm_gives_the_same_numbers(stack) -> None:
    model = model_of(*stack)
    network = flatten(model, SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites["batch norm folded"] == 1
    assert len(lowered.operations) == len(network.operations) - 1
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


def test_a_dense_layer_takes_its_batch_norm() -> None:
    image = keras.Input((*SIZE, 3))
    x = norm()(layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))))
    network = flatten(keras.Model(image, layers.Dense(3)(x)), SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {"batch norm folded": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.parametrize(
    "stack",
    [
        [layers.Conv2D(4, 3, activation="relu"), norm()],  # the activation is between them
        [layers.ReLU(), norm()],
        [layers.Conv2D(4, 3), layers.ReLU(), norm()],
    ],
)
def test_a_batch_norm_with_something_in_between_stays(stack) -> None:
    network = flatten(model_of(*stack), SIZE)
    assert lower(network, keep=-1) == (network, {})


def test_a_convolution_that_something_else_reads_keeps_its_batch_norm() -> None:
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3)(image)
    x = layers.Add()([x, norm()(x)])
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x))), SIZE)
    assert lower(network, keep=-1)[1] == {}


def test_a_target_layer_before_a_batch_norm_stays() -> None:
    network = flatten(model_of(layers.Conv2D(4, 3, name="target"), norm()), SIZE)
    kept = find_layer(network, "target").outputs[0]
    assert lower(network, keep=kept)[1] == {}


def test_a_shared_convolution_takes_the_batch_norm_of_each_of_its_calls() -> None:
    image = keras.Input((*SIZE, 3))
    shared = layers.Conv2D(4, 3)
    x = layers.Concatenate()([norm()(shared(image)), norm()(shared(-image))])
    model = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    model.set_weights([np.random.default_rng(2).uniform(0.2, 1.2, w.shape) for w in model.get_weights()])
    network = flatten(model, SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {"batch norm folded": 2}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (3, 2), (5, 2), (2, 2), ((1, 5), 1), (3, 3)])
def test_a_depthwise_convolution_as_shifted_products_gives_the_same_numbers(kernel, strides, padding: str) -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(kernel, strides, padding=padding, activation="tanh")), SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {"depthwise as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_dilated_depthwise_convolution_gives_the_same_numbers(padding: str) -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3, padding=padding, dilation_rate=2)), SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {"depthwise as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


def test_a_depth_multiplier() -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), norm()), SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {"batch norm folded": 1, "depthwise as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.parametrize(("strides", "dilation", "multiplier"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 3)])
def test_a_separable_convolution(strides: int, dilation: int, multiplier: int) -> None:
    layer = layers.SeparableConv2D(
        5, 3, strides, padding="same", dilation_rate=dilation, depth_multiplier=multiplier, activation=None
    )
    network = flatten(model_of(layer, norm(), layers.ReLU()), SIZE)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {
        "separable convolution parted": 1,
        "batch norm folded": 1,
        "depthwise as shifted products": 1,
    }
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.parametrize("form", [F2, F4])
def test_winograds_matrices_are_a_convolution(form) -> None:
    """In one dimension Aᵀ[(G k) ⊙ (Bᵀ d)] is the correlation of d with k, to the last digit of float64."""
    generator = np.random.default_rng(0)
    tile, kernel = generator.normal(size=form.tile + 2), generator.normal(size=3)
    a, g, b = np.array(form.a_transposed), np.array(form.g), np.array(form.b_transposed)
    np.testing.assert_allclose(a @ ((g @ kernel) * (b @ tile)), np.correlate(tile, kernel, "valid"), atol=1e-13)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(14, 14), (15, 13), (28, 28), (27, 34)])
def test_a_convolution_by_winograd_gives_the_same_numbers(size: tuple[int, int], padding: str) -> None:
    keras.utils.set_random_seed(4)
    image = keras.Input((*size, 48))
    x = layers.Conv2D(50, 3, padding=padding, activation="relu", bias_initializer="normal", name="maps")(image)
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))), size)
    lowered, rewrites = lower(network, keep=-1)
    assert rewrites == {f"convolution as Winograd {'F(2×2)' if min(size) < 24 else 'F(4×4)'}": 1}
    images = np.random.default_rng(5).normal(0, 1, (2, *size, 48)).astype(np.float32)
    maps = network.producer(find_layer(network, "maps").outputs[0]).outputs[0]
    expected, actual = (np.asarray(run(n.operations, {n.input: images})[maps]) for n in (network, lowered))
    np.testing.assert_allclose(actual, expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(48, 3, strides=2),
        layers.Conv2D(48, 3, dilation_rate=2),
        layers.Conv2D(48, 5),
        layers.Conv2D(48, 3, groups=2),
        layers.Conv2D(47, 3),
    ],
)
def test_winograd_leaves_other_convolutions(layer) -> None:
    image = keras.Input((28, 28, 48))
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(layer(image)))), (28, 28))
    assert lower(network, keep=-1) == (network, {})


def test_the_gradient_through_winograd_is_the_convolutions() -> None:
    image = keras.Input((28, 28, 48))
    x = layers.Conv2D(48, 3, padding="same", name="first")(image)
    x = layers.Conv2D(48, 3, padding="same", activation="relu")(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    network = flatten(model, (28, 28))
    lowered, _ = lower(network, keep=find_layer(network, "first").outputs[0])
    images = tf.random.stateless_normal((1, 28, 28, 48), seed=(0, 1))
    gradients = []
    for either in (network, lowered):
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = run(either.operations, {either.input: images})[either.output][0, 1]
        gradients.append(tape.gradient(score, images).numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-4 * np.abs(gradients[0]).max())


def test_layers_that_no_rule_knows_exactly_stay() -> None:
    class Doubled(layers.DepthwiseConv2D):
        def call(self, inputs):
            return 2 * super().call(inputs)

    network = flatten(model_of(Doubled(3), layers.SeparableConv2D(4, 3, dtype="float16")), SIZE)
    assert lower(network, keep=-1) == (network, {})


def test_the_users_model_is_not_changed() -> None:
    model = model_of(layers.DepthwiseConv2D(3), norm())
    images = np.random.default_rng(3).normal(0, 1, (1, *SIZE, 3)).astype(np.float32)
    weights, before = [w.copy() for w in model.get_weights()], model.predict(images, verbose=0)
    lower(flatten(model, SIZE), keep=-1)
    for weight, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)


def test_a_rewrite_that_differs_is_dropped_with_a_warning(monkeypatch, caplog) -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3)), SIZE)
    wrong = Form(lambda affine, input_shape: affine.kind == "depthwise", lambda affine: lambda x: 0.9 * x[:, 2:, 2:])
    monkeypatch.setitem(FORMS, "shifted products", wrong)
    with caplog.at_level("WARNING", "live_gradcam"):
        assert lower(network, keep=-1) == (network, {})
    assert "is not used" in caplog.text
