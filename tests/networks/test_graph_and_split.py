"""Laying models out flat, finding the target layer and the logits, and cutting the network in two."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from toy_networks import called

from live_gradcam.attribution.logits import without_final_activation
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.networks.efficientnet_lite import build_efficientnet_lite
from live_gradcam.networks.graph import flatten, run
from live_gradcam.networks.split import split_at
from live_gradcam.networks.target_layer import default_target, default_targets, find_layer, layers_to_step_through

SIZE = (32, 32)


def backbone(name: str = "backbone") -> keras.Model:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv_a")(image)
    x = layers.Conv2D(5, 3, activation="relu", name="conv_b")(x)
    return keras.Model(image, x, name=name)


def transfer_model() -> keras.Model:
    """A backbone inside a wrapper inside a wrapper, as transfer learning makes them."""
    image = keras.Input((32, 32, 3))
    middle = keras.Model(image, layers.MaxPooling2D(2)(backbone()(image)), name="middle")
    outer = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(outer)
    x = middle(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(outer, layers.Dense(3, activation="softmax")(x))


def random_images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)


def flat_answer(model: keras.Model, images: np.ndarray) -> np.ndarray:
    network = flatten(model, SIZE)
    return np.asarray(run(network.operations, {network.input: images})[network.output])


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )


def shared_backbone() -> keras.Model:
    """One backbone called twice: `layer.output` would always mean the first call."""
    image = keras.Input((32, 32, 3))
    shared = backbone()
    flipped = image[:, :, ::-1]
    both = layers.Concatenate(name="both")([shared(image), shared(flipped)])
    return keras.Model(image, layers.Dense(3)(layers.GlobalMaxPooling2D()(both)))


@pytest.mark.parametrize("build", [transfer_model, sequential, shared_backbone])
def test_the_flat_network_computes_what_the_model_does(build) -> None:
    model = build()
    images = random_images()
    np.testing.assert_allclose(flat_answer(model, images), called(model, images), rtol=1e-5, atol=1e-6)


def test_nested_layers_get_full_names_and_shapes() -> None:
    network = flatten(transfer_model(), SIZE)
    named = {operation.name: network.shapes[operation.outputs[0]] for operation in network.operations}
    assert named["middle/backbone/conv_a"] == (15, 15, 4)
    assert named["middle/backbone/conv_b"] == (13, 13, 5)


def test_a_model_of_free_size_gets_the_shapes_of_the_size_asked_for() -> None:
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(image)
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    network = flatten(model, (48, 80))
    assert network.shapes[find_layer(network, "conv").outputs[0]] == (24, 40, 4)


def test_a_subclassed_model_is_refused_with_what_to_do() -> None:
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ModelError, match=r"keras\.Model\(inputs, outputs\)"):
        flatten(Subclassed(), SIZE)


def squeeze_and_pool(keepdims: bool) -> keras.Model:
    """MobileNetV3's ending: the pooled map goes through 1 × 1 convolutions, which must not be taken for the target."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(6, 3, name="last_map", activation="relu")(image)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply(name="gated")([x, layers.Conv2D(6, 1, activation="sigmoid", name="gate")(gate)])
    x = layers.GlobalAveragePooling2D(keepdims=keepdims)(x)
    logits = layers.Flatten()(layers.Conv2D(3, 1, name="logits_conv")(x)) if keepdims else layers.Dense(3)(x)
    return keras.Model(image, logits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: build_efficientnet_lite("efficientnet-lite0"), "head_relu6"),
        (lambda: squeeze_and_pool(keepdims=True), "gated"),
        (lambda: squeeze_and_pool(keepdims=False), "gated"),
        (transfer_model, "middle/backbone/conv_b"),
        (sequential, "batch_normalization"),
        (shared_backbone, "both"),
    ],
)
def test_the_default_target_is_the_last_map_before_space_is_given_up(model, expected: str) -> None:
    built = model()
    size = tuple(side or 224 for side in built.input_shape[1:3])
    network = flatten(built, size)
    name = default_target(network).name
    # Keras numbers the names of layers that were not given one
    assert name.rstrip("0123456789").rstrip("_") == expected.rstrip("0123456789").rstrip("_")


@pytest.mark.parametrize(
    "pool",
    [
        layers.MaxPooling2D(2),
        lambda x: keras.ops.max_pool(x, 2, 2),
        lambda x: keras.ops.average_pool(x, 2, 2),
        *(
            getattr(layers, name)(2)
            for name in ("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D")
            if hasattr(layers, name)
        ),
    ],
)
def test_a_pool_is_no_default_target_by_whatever_name(pool) -> None:
    image = keras.Input((32, 32, 3))
    x = pool(layers.Conv2D(4, 3, name="last_map")(image))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    assert default_target(flatten(model, (32, 32))).name == "last_map"


def test_a_model_without_maps_says_so() -> None:
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ModelError, match="no spatial layer"):
        default_target(flatten(model, SIZE))


def test_a_layer_is_found_by_its_full_name_and_by_its_own_where_that_is_unique() -> None:
    network = flatten(transfer_model(), SIZE)
    full = find_layer(network, "middle/backbone/conv_a")
    assert find_layer(network, "conv_a") is full


def test_an_unknown_layer_suggests_the_closest() -> None:
    with pytest.raises(UsageError, match=r"did you mean .*conv_a"):
        find_layer(flatten(transfer_model(), SIZE), "conv_aa")


def test_a_layer_that_gives_no_map_is_refused() -> None:
    network = flatten(sequential(), SIZE)
    dense = network.operations[-1].name
    with pytest.raises(UsageError, match="cannot be the target layer"):
        find_layer(network, dense)


def test_a_name_that_several_layers_have_asks_for_the_full_one() -> None:
    image = keras.Input((32, 32, 3))
    one, two = backbone("one")(image), backbone("two")(image)
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Add()([one, two]))))
    with pytest.raises(UsageError, match="one/conv_a, two/conv_a"):
        find_layer(flatten(model, SIZE), "conv_a")


def test_the_head_gets_what_bypasses_the_target_layer() -> None:
    """A cut inside a residual block: the head needs the target's activations and the shortcut around it."""
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, padding="same", name="before")(image)
    branch = layers.Conv2D(4, 3, padding="same", name="inside")(x)
    x = layers.Add()([x, branch])
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    network = flatten(model, SIZE)
    split = split_at(network, find_layer(network, "inside").outputs[0])
    images = random_images()
    values = run(split.trunk, {network.input: images})
    expected = called(model, images)
    np.testing.assert_allclose(run(split.head, values)[network.output], expected, rtol=1e-5, atol=1e-6)
    assert [operation.name for operation in split.trunk] == ["before", "inside"]


def ends_in(*ending: keras.Layer, units: int = 3) -> keras.Model:
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    x = layers.Dense(units, name="scores")(x) if not isinstance(ending[0], layers.Dense) else x
    for layer in ending:
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "activation"),
    [
        ([layers.Dense(3, activation="softmax")], "softmax"),
        ([layers.Activation("softmax")], "softmax"),
        ([layers.Softmax()], "softmax"),
        ([layers.Lambda(lambda x: x), layers.Activation("linear")], "softmax"),
        ([layers.Dense(3, activation="softmax"), layers.Dropout(0.5), layers.Activation("linear")], "softmax"),
        ([layers.Dense(3, activation="sigmoid")], "sigmoid"),
        ([layers.Activation("sigmoid")], "sigmoid"),
        ([keras.ops.softmax], "softmax"),
        ([layers.EinsumDense("ab,bc->ac", 3, activation="softmax")], "softmax"),
    ],
)
def test_the_final_activation_is_left_out_and_the_model_kept(ending, activation: str) -> None:
    model = ends_in(*ending)
    images = random_images() / 255
    probabilities = called(model, images)
    found = without_final_activation(flatten(model, SIZE))
    network = found.network
    logits = run(network.operations, {network.input: images})[network.output]
    assert found.activation == activation
    if not isinstance(ending[0], layers.Lambda):
        back = keras.ops.softmax(logits) if activation == "softmax" else keras.ops.sigmoid(logits)
        np.testing.assert_allclose(back, probabilities, rtol=1e-4, atol=1e-6)
        assert np.abs(np.asarray(logits) - probabilities).max() > 1e-3
    np.testing.assert_array_equal(called(model, images), probabilities)


def test_a_convolution_with_softmax_gives_its_logits() -> None:
    """MobileNet's ending, with the activation inside the convolution."""
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Reshape((3,))(layers.Conv2D(3, 1, activation="softmax")(x)))
    found = without_final_activation(flatten(model, SIZE))
    images = random_images() / 255
    logits = run(found.network.operations, {found.network.input: images})[found.network.output]
    np.testing.assert_allclose(keras.ops.softmax(logits), called(model, images), rtol=1e-4)


def test_one_linear_unit_is_a_value_unless_it_is_said_to_decide() -> None:
    network = flatten(ends_in(layers.Identity(), units=1), SIZE)
    assert without_final_activation(network).activation == "linear"
    assert without_final_activation(network, "classes").activation == "sigmoid"


def test_the_layers_to_step_through_are_those_that_all_of_the_way_passes() -> None:
    x = inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="first")(x)
    x = keras.layers.BatchNormalization(name="first_norm")(x)
    x = keras.layers.ReLU(name="first_relu")(x)
    branch = keras.layers.Conv2D(4, 3, padding="same", name="inside")(x)
    x = keras.layers.Add(name="sum")([x, branch])
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="last")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="classes")(x))
    steps = layers_to_step_through(flatten(model, (16, 16)))
    assert [step.name for step in steps] == ["first_relu", "sum", "last"]


def model_with(head) -> keras.Model:
    image = keras.Input((32, 32, 3))
    return keras.Model(image, head(layers.Conv2D(6, 3, strides=2, padding="same", name="features")(image)))


@pytest.mark.parametrize(
    "moved",
    [layers.Permute((3, 1, 2)), lambda x: keras.ops.transpose(x, (0, 3, 1, 2)), lambda x: keras.ops.moveaxis(x, 3, 1)],
)
def test_a_map_whose_rows_are_channels_is_no_target(moved) -> None:
    model = model_with(lambda x: layers.Dense(3)(layers.Flatten()(moved(x))))
    assert default_target(flatten(model, SIZE)).name == "features"


def attention_pooled(softmaxed, channels: int = 1):
    def head(x):
        weights = softmaxed(layers.Conv2D(channels, 1, name="how_much")(x))
        x = layers.Dot(axes=1)([layers.Reshape((256, channels))(weights), layers.Reshape((256, 6))(x)])
        return layers.Dense(3)(layers.Flatten()(x))

    return head


@pytest.mark.parametrize(
    "head",
    [
        attention_pooled(lambda x: layers.Softmax(axis=1)(layers.Reshape((256, 1))(x))),
        attention_pooled(lambda x: layers.Activation("softmax")(layers.Flatten()(x))),
        attention_pooled(lambda x: keras.ops.softmax(keras.ops.reshape(x, (-1, 256)))),
        attention_pooled(layers.Softmax(axis=(1, 2)), channels=4),
        attention_pooled(lambda x: layers.Softmax()(layers.Permute((2, 1))(layers.Reshape((256, 4))(x))), channels=4),
    ],
)
def test_what_says_how_much_each_place_counts_is_no_target(head) -> None:
    """Its mean gradient is 0 by the softmax, and rounding alone would be shown."""
    network = flatten(model_with(head), SIZE)
    assert [target.name for target in default_targets(network)] == ["features"]


@pytest.mark.parametrize(
    ("head", "target"),
    [
        # a softmax over channels, and classes that are as many as places: neither is about places
        (lambda x: layers.GlobalAveragePooling2D()(layers.Softmax()(layers.Conv2D(4, 3, name="last")(x))), "softmax"),
        (lambda x: layers.Softmax()(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 8, 8, name="last")(x))), "last"),
        (lambda x: layers.Softmax()(layers.Flatten()(layers.Conv2D(1, 8, 8, name="last")(x))), "last"),
    ],
)
def test_other_softmaxes_leave_the_target_alone(head, target: str) -> None:
    assert [one.name.rstrip("_0123456789") for one in default_targets(flatten(model_with(head), SIZE))] == [target]
