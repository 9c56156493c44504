"""Every rewrite gives the numbers of the layer that it replaces, and the user's model stays as it was."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from toy_networks import called

from live_gradcam import Classifier, Explainer
from live_gradcam.compiling.activations import QUICK, gelu, swish
from live_gradcam.compiling.affine import Affine, affine_of
from live_gradcam.compiling.comparison import check_images
from live_gradcam.compiling.forms.form import Form
from live_gradcam.compiling.forms.winograd import F2, F4
from live_gradcam.compiling.lowering import describe_rewrites, in_bf16, lower
from live_gradcam.compiling.products import FORMS, call_of
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.networks.graph import Network, Operation, flatten, run
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.target_layer import find_layer

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
    lowered, rewrites = lower(network, keep=())
    assert rewrites["batch norm folded"] == 1
    assert len(lowered.operations) == len(network.operations) - 1
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


def test_a_dense_layer_takes_its_batch_norm() -> None:
    image = keras.Input((*SIZE, 3))
    x = norm()(layers.Dense(5)(layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(image))))
    network = flatten(keras.Model(image, layers.Dense(3)(x)), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"batch norm folded": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5, atol=1e-6)


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
    assert lower(network, keep=()) == (network, {})


def test_a_convolution_that_something_else_reads_keeps_its_batch_norm() -> None:
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3)(image)
    x = layers.Add()([x, norm()(x)])
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x))), SIZE)
    assert lower(network, keep=())[1] == {}


def test_a_target_layer_before_a_batch_norm_stays() -> None:
    network = flatten(model_of(layers.Conv2D(4, 3, name="target"), norm()), SIZE)
    kept = find_layer(network, "target").outputs[0]
    assert lower(network, keep=(kept,))[1] == {}


def test_a_shared_convolution_takes_the_batch_norm_of_each_of_its_calls() -> None:
    image = keras.Input((*SIZE, 3))
    shared = layers.Conv2D(4, 3)
    x = layers.Concatenate()([norm()(shared(image)), norm()(shared(-image))])
    model = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    model.set_weights([np.random.default_rng(2).uniform(0.2, 1.2, w.shape) for w in model.get_weights()])
    network = flatten(model, SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"batch norm folded": 2}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (3, 2), (5, 2), (2, 2), ((1, 5), 1), (3, 3)])
def test_a_depthwise_convolution_as_shifted_products_gives_the_same_numbers(kernel, strides, padding: str) -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(kernel, strides, padding=padding, activation="tanh")), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"depthwise as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graph", "xla"])
def test_a_dilated_convolution_after_the_target_layer_has_a_gradient(engine: str) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((*SIZE, 3))
    maps = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="maps")(image)
    x = layers.Conv2D(5, 3, dilation_rate=2, padding="same")(maps)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    logits = layers.Dense(4)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, logits)
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    classifier = Classifier("dilated", model, tuple("abcd"), SIZE, PREPROCESSINGS["unit"])
    explainer = Explainer(classifier, layer="maps", engine=engine, tune="off", maps=1, relu=False, fit="stretch")
    assert explainer.outline.rewrites, "the normalization was not folded"
    found = explainer(frame, target=1)

    both = keras.Model(image, [maps, logits])
    with tf.GradientTape() as tape:
        activations, scores = both(frame[None, ..., ::-1].astype("float32") / 255)
        score = scores[0, 1]
    gradient = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2), keepdims=True)
    expected = tf.reduce_sum(activations * gradient, axis=-1)[0].numpy()
    scaled = (expected - expected.min()) / (expected.max() - expected.min())
    np.testing.assert_allclose(
        tf.image.resize(scaled[..., None], found.heatmaps[0].shape)[..., 0], found.heatmaps[0], atol=2e-3
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_dilated_depthwise_convolution_gives_the_same_numbers(padding: str) -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3, padding=padding, dilation_rate=2)), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"depthwise as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


def test_a_depth_multiplier() -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), norm()), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"batch norm folded": 1, "depthwise as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.parametrize(("strides", "dilation", "multiplier"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 3)])
def test_a_separable_convolution(strides: int, dilation: int, multiplier: int) -> None:
    layer = layers.SeparableConv2D(
        5, 3, strides, padding="same", dilation_rate=dilation, depth_multiplier=multiplier, activation=None
    )
    network = flatten(model_of(layer, norm(), layers.ReLU()), SIZE)
    lowered, rewrites = lower(network, keep=())
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
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x))), size)
    lowered, rewrites = lower(network, keep=())
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
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(layer(image)))), (28, 28))
    assert lower(network, keep=()) == (network, {})


@pytest.mark.slow
def test_the_gradient_through_winograd_is_the_convolutions() -> None:
    image = keras.Input((28, 28, 48))
    x = layers.Conv2D(48, 3, padding="same", name="first")(image)
    x = layers.Conv2D(48, 3, padding="same", activation="relu")(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    network = flatten(model, (28, 28))
    lowered, _ = lower(network, keep=(find_layer(network, "first").outputs[0],))
    images = tf.random.stateless_normal((1, 28, 28, 48), seed=(0, 1))
    gradients = []
    for either in (network, lowered):
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = run(either.operations, {either.input: images})[either.output][0, 1]
        gradients.append(tape.gradient(score, images).numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-4 * np.abs(gradients[0]).max())


FORCED = ("patches", "space to depth")


@pytest.mark.parametrize("form", FORCED)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (7, 2), (4, 4), (5, 3), (2, 2)])
def test_a_stem_in_each_form_gives_the_same_numbers(kernel: int, stride: int, padding: str, form: str) -> None:
    layer = layers.Conv2D(6, kernel, stride, padding=padding, activation="relu")
    network = flatten(model_of(layer), SIZE)
    affine = affine_of(layer)
    assert FORMS[form].fits(affine, (*SIZE, 3))
    images = np.random.default_rng(1).normal(0, 1, (2, *SIZE, 3)).astype(np.float32)
    (actual,) = call_of(replace(affine, form=form))([tf.constant(images)])
    np.testing.assert_allclose(actual, network.operations[0].call([images])[0], rtol=1e-4, atol=1e-4)


def test_a_strided_stem_becomes_space_to_depth_by_rule() -> None:
    network = flatten(model_of(layers.Conv2D(6, 3, 2, padding="same"), norm()), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"batch norm folded": 1, "convolution as space to depth": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(14, 14), (15, 13), (7, 7), (6, 9)])
@pytest.mark.parametrize("form", ["Winograd F(2×2), kernel first", "Winograd F(4×4), kernel first"])
def test_winograd_with_the_kernel_first_gives_the_same_numbers(form: str, size: tuple[int, int], padding: str) -> None:
    generator = np.random.default_rng(6)
    kernel, bias = generator.normal(0, 0.1, (3, 3, 20, 24)).astype(np.float32), generator.normal(size=24)
    affine = Affine("convolution", kernel, bias.astype(np.float32), tf.nn.relu, padding=padding)
    assert FORMS[form].fits(affine, (*size, 20))
    images = tf.constant(generator.normal(0, 1, (2, *size, 20)), tf.float32)
    (expected,), (actual,) = (call_of(a)([images]) for a in (affine, replace(affine, form=form)))
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_pointwise_convolution_of_a_small_map_has_its_kernel_first(strides: int) -> None:
    image = keras.Input((8, 6, 5))
    x = layers.Conv2D(7, 1, strides, activation="relu", bias_initializer="normal")(layers.ReLU()(image))
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(x))), (8, 6))
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"convolution as kernel first": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5, atol=1e-6)


def test_a_strided_pointwise_convolution_is_a_matrix_product() -> None:
    network = flatten(model_of(layers.Conv2D(6, 1, 2), norm(), channels=5), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"batch norm folded": 1, "convolution as matrix product": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("groups", "filters", "strides", "dilation"), [(3, 6, 1, 1), (6, 12, 2, 1), (2, 2, 1, 2)])
def test_a_grouped_convolution(groups: int, filters: int, strides: int, dilation: int, padding: str) -> None:
    layer = layers.Conv2D(filters, 3, strides, padding=padding, dilation_rate=dilation, groups=groups)
    network = flatten(model_of(layer, norm(), channels=12), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"batch norm folded": 1, "convolution as shifted products": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "strides"), [(2, 2), (3, 2), (3, 1), ((2, 3), (1, 2))])
def test_a_max_pool_as_shifted_maxima_is_the_same_and_so_is_its_gradient(size, strides, padding: str) -> None:
    network = flatten(model_of(layers.Conv2D(4, 3), layers.MaxPooling2D(size, strides, padding=padding)), SIZE)
    lowered, rewrites = lower(network, keep=(network.operations[0].outputs[0],))
    assert rewrites == {"max pooling as shifted maxima": 1}
    np.testing.assert_array_equal(answer(lowered), answer(network))
    tied = np.maximum(np.round(np.random.default_rng(2).normal(0, 1, (2, 9, 10, 4))), 0).astype(np.float32)
    gradients = []
    for either in (network, lowered):
        x = tf.constant(tied)
        with tf.GradientTape() as tape:
            tape.watch(x)
            (y,) = either.operations[1].call([x])
            score = tf.reduce_sum(y * tf.random.stateless_normal(y.shape, (3, 4)))
        gradients.append(tape.gradient(score, x).numpy())
    np.testing.assert_allclose(gradients[1].sum((1, 2)), gradients[0].sum((1, 2)), atol=1e-4)


@pytest.mark.slow
def test_a_large_dense_layer_by_its_transposed_kernel() -> None:
    image = keras.Input((32, 32, 32))
    x = layers.Dense(1024, activation="relu", bias_initializer="normal")(layers.Flatten()(layers.ReLU()(image)))
    network = flatten(keras.Model(image, layers.Dense(3)(x)), (32, 32))
    lowered, rewrites = lower(network, keep=(network.operations[0].outputs[0],))
    assert rewrites == {"dense as transposed product": 1}
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_bf16_is_for_the_products_before_the_target_layer() -> None:
    image = keras.Input((28, 28, 64))
    x = layers.Conv2D(48, 3, padding="same")(layers.Conv2D(64, 1)(image))
    x = layers.Conv2D(64, 1, name="after")(layers.ReLU(name="target")(x))
    network = flatten(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))), (28, 28))
    kept = find_layer(network, "target").outputs[0]
    lowered, _ = lower(network, keep=(kept,))
    halved = in_bf16(lowered, keep=(kept,))
    assert [isinstance(o.layer, Affine) and o.layer.bf16 for o in halved.operations] == [True, True, *[False] * 4]
    images = np.random.default_rng(1).normal(0, 1, (2, 28, 28, 64)).astype(np.float32)

    @tf.function(jit_compile=True)
    def logits(x: tf.Tensor) -> tf.Tensor:
        return run(halved.operations, {halved.input: x})[halved.output]

    expected = answer(network)
    difference = np.abs(logits(tf.constant(images)) - expected).max() / np.abs(expected).max()
    assert 1e-5 < difference < 2e-2  # bfloat16 has eight bits


def test_what_became_of_each_layer() -> None:
    image = keras.Input((28, 28, 3))
    x = layers.ReLU(name="relu")(norm(name="norm")(layers.Conv2D(48, 3, 2, padding="same", name="stem")(image)))
    x = layers.Conv2D(48, 3, padding="same", name="second")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    network = flatten(keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))), (28, 28))
    tuner = Tuner("off")
    lowered, _ = lower(network, keep=(), tuner=tuner)
    became = {row.name: row.became for row in describe_rewrites(network, lowered, tuner)}
    assert became["stem"] == "convolution as space to depth"
    assert became["norm"] == "folded into the layer before"
    assert became["depthwise"] == "depthwise as shifted products"
    assert became["second"] == "convolution as Winograd F(2×2)"
    assert became["relu"] == became["logits"] == ""


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("size", [(7, 7), (5, 17), (33, 2), (1, 1)])
def test_a_global_mean_by_rows_is_the_mean(size: tuple[int, int], keepdims: bool) -> None:
    image = keras.Input((*size, 6))
    model = keras.Model(image, layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=keepdims)(image)))
    network = flatten(model, size)
    lowered, rewrites = lower(network, keep=())
    assert rewrites == {"global mean by rows": 1}
    images = np.random.default_rng(0).normal(1, 1, (3, *size, 6)).astype(np.float32)
    actual = run(lowered.operations, {lowered.input: images})[lowered.output]
    np.testing.assert_allclose(actual, images.astype(np.float64).mean((1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("quick", "keras_function", "closed_form"),
    [
        (swish, keras.activations.silu, lambda x: x / (1 + math.exp(-x))),
        (gelu, keras.activations.gelu, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    ],
)
def test_a_quick_activation_is_the_activation_and_so_is_its_slope(quick, keras_function, closed_form) -> None:
    assert QUICK[keras_function] is quick
    x = np.concatenate([np.linspace(-40, 40, 4001), [1e-30, -1e-4, 3e4, -3e4]]).astype(np.float32)
    exact = np.array([closed_form(max(value, -700)) for value in x.astype(np.float64)])
    tensor = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tensor)
        values, expected = quick(tensor), keras_function(tensor)
    assert np.all(np.abs(values - exact) <= 1e-6 * (1 + np.abs(x)))
    np.testing.assert_allclose(tape.gradient(values, tensor), tape.gradient(expected, tensor), atol=2e-5)


def test_activations_are_replaced_in_layers_and_after_convolutions() -> None:
    stack = [layers.DepthwiseConv2D(3), norm(), layers.Activation("silu"), layers.Activation("gelu")]
    network = flatten(model_of(*stack, layers.DepthwiseConv2D(3, activation="silu"), norm()), SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites["quick activation"] == 2  # a Keras layer's own activation stays where the layer stays
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-4, atol=1e-5)


def squeeze_and_excite(x, *, function: str):
    x = layers.Activation(function)(layers.DepthwiseConv2D(3, padding="same")(x))
    return layers.Multiply()([x, layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))])


@pytest.mark.parametrize(
    ("block", "count"),
    [
        (lambda x: squeeze_and_excite(x, function="relu"), 1),
        (lambda x: layers.LayerNormalization()(layers.Conv2D(4, 3, groups=4)(x)), 1),
        (lambda x: squeeze_and_excite(x, function="silu"), 0),  # holds a division itself
        (lambda x: layers.Conv2D(4, 1)(layers.ReLU()(layers.DepthwiseConv2D(3)(x))), 0),  # one reader
        (lambda x: layers.LayerNormalization()(layers.Conv2D(4, 3)(x)), 0),  # no shifted products
    ],
)
def test_shifted_products_that_are_read_more_than_once_are_computed_once(block, count: int) -> None:
    image = keras.Input((*SIZE, 4))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(block(image))))
    network = flatten(model, SIZE)
    lowered, rewrites = lower(network, keep=())
    assert rewrites.get("shifted products computed once", 0) == count
    np.testing.assert_allclose(answer(lowered), answer(network), rtol=1e-4, atol=1e-5)


def test_a_target_layer_of_shifted_products_is_computed_once() -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3, name="target"), layers.ReLU()), SIZE)
    kept = find_layer(network, "target").outputs[0]
    lowered, rewrites = lower(network, keep=(kept,))
    assert rewrites == {"depthwise as shifted products": 1, "shifted products computed once": 1}
    assert lowered.producer(kept).name == "target"


def test_the_compiler_computes_shifted_products_once() -> None:
    """Without the division XLA fuses them into each of a layer norm's readers."""
    image = keras.Input((9, 9, 64))
    network = flatten(keras.Model(image, layers.LayerNormalization()(layers.DepthwiseConv2D(3)(image))), (9, 9))
    lowered, _ = lower(network, keep=())
    shifted, divide, layer_norm = lowered.operations
    fused = (replace(shifted, outputs=divide.outputs), layer_norm)

    def taps(operations: tuple[Operation, ...]) -> int:
        spec = tf.TensorSpec((1, 9, 9, 64), tf.float32)
        compiled = tf.function(
            lambda x: run(operations, {lowered.input: x})[lowered.output], [spec], jit_compile=True, autograph=False
        )
        text = compiled.experimental_get_compiler_ir(tf.zeros(spec.shape))(stage="optimized_hlo")
        return len(re.findall(r" = f32\[1,7,7,64\]\S* slice\(", text))

    assert taps(lowered.operations) == 9
    assert taps(fused) > 9


def test_layers_that_no_rule_knows_exactly_stay() -> None:
    class Doubled(layers.DepthwiseConv2D):
        def call(self, inputs):
            return 2 * super().call(inputs)

    network = flatten(model_of(Doubled(3), layers.SeparableConv2D(4, 3, dtype="float16")), SIZE)
    assert lower(network, keep=()) == (network, {})


def test_the_users_model_is_not_changed() -> None:
    model = model_of(layers.DepthwiseConv2D(3), norm())
    images = np.random.default_rng(3).normal(0, 1, (1, *SIZE, 3)).astype(np.float32)
    weights, before = [w.copy() for w in model.get_weights()], called(model, images)
    lower(flatten(model, SIZE), keep=())
    for weight, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)
    np.testing.assert_array_equal(called(model, images), before)


def test_a_rewrite_that_differs_is_dropped_with_a_warning(monkeypatch, caplog) -> None:
    network = flatten(model_of(layers.DepthwiseConv2D(3)), SIZE)
    wrong = Form(lambda affine, input_shape: affine.kind == "depthwise", lambda affine: lambda x: 0.9 * x[:, 2:, 2:])
    monkeypatch.setitem(FORMS, "shifted products", wrong)
    with caplog.at_level("WARNING", "live_gradcam"):
        assert lower(network, keep=()) == (network, {})
    first, second = caplog.messages
    assert re.match(
        r"the rewritten network is not used: its logits differ by \S+ of the largest \(at most 1e-04 is allowed\), "
        r"its map by \S+ \(at most 1e-03\)\. It is rewritten again, without Winograd's products, which round most$",
        first,
    )
    assert second.endswith("The network runs as it is, which is slower")


def test_the_check_is_made_on_what_looks_like_the_pictures() -> None:
    """On noise, EfficientNetV2S's float32 logits can be rounding alone."""
    network = flatten(model_of(layers.Conv2D(4, 3)), SIZE)
    pictures = np.random.default_rng(1).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    other, picture = check_images(network, pictures).numpy()
    np.testing.assert_array_equal(picture, pictures[0])
    np.testing.assert_allclose((other - picture[::-1]).std(), 0.1 * pictures.std(), rtol=0.1)
