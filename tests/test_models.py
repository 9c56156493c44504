"""Any Keras classifier: vision transformers, half precision, model files of every kind, and whose code is run."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from live_gradcam import Classifier, Explainer
from live_gradcam.cam.graph import flatten
from live_gradcam.cam.methods import METHODS
from live_gradcam.cam.split import candidate_layers, default_target, find_layer, layers_to_step_through, token_grid
from live_gradcam.errors import ModelError
from live_gradcam.networks.preprocessing import PREPROCESSINGS

SIZE = (32, 48)


def classifier_of(model: keras.Model) -> Classifier:
    classes = max(2, model.output_shape[-1])
    labels = tuple(f"class {index}" for index in range(classes))
    return Classifier("toy", model, labels, tuple(model.input_shape[1:3]), PREPROCESSINGS["unit"])


def noise(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def unit_rgb(frame: np.ndarray) -> np.ndarray:
    return (frame[None, :, :, ::-1] / 255).astype(np.float32)


def explained(model: keras.Model, frame: np.ndarray, **settings) -> tuple[np.ndarray, np.ndarray]:
    """What the one pass gives for class 1: the raw map after the ReLU, and the logits."""
    explanation = Explainer(classifier_of(model), maps=1, tune="off", **settings)(frame, target=1)
    return explanation.heatmaps[0] * explanation.evidence[0], explanation.logits


def by_tape(model: keras.Model, layer: str, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The activations and gradients (…, channels) of a layer for class 1, and the logits that the model ends in."""
    both = keras.Model(model.input, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        activations, logits = both(unit_rgb(frame), training=False)
        score = logits[0, 1]
    return activations[0].numpy(), tape.gradient(score, activations)[0].numpy(), logits[0].numpy()


# --- vision transformers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "input_size", "grid"),
    [
        ((196, 768), (224, 224), (14, 14, 0)),
        ((197, 768), (224, 224), (14, 14, 1)),
        ((198, 768), (224, 224), None),
        ((140, 64), (224, 160), (14, 10, 0)),
        ((141, 64), (224, 160), (14, 10, 1)),
        ((140, 64), (224, 224), None),
        ((24, 12), (32, 48), (4, 6, 0)),
        ((7, 5), (32, 48), (2, 3, 1)),
        ((1, 64), (224, 224), None),
        ((2, 64), (224, 224), None),
        ((3, 64), (10, 20), (1, 2, 1)),
        ((None, 64), (224, 224), None),
        ((1000,), (224, 224), None),
        ((7, 7, 512), (224, 224), None),
    ],
)
def test_tokens_make_up_a_grid_of_the_inputs_proportions(shape, input_size, grid) -> None:
    assert token_grid(shape, input_size) == grid


class ClassToken(layers.Layer):
    """Puts a learned token in front of the others."""

    def build(self, shape) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")

    def call(self, x):
        return ops.concatenate([ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1])), x], axis=1)


class Positions(layers.Layer):
    """Adds a learned vector to each token."""

    def build(self, shape) -> None:
        self.positions = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x):
        return x + self.positions


def encoder_block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    y = layers.LayerNormalization(name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(2, 6, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_attended")([x, y])
    y = layers.LayerNormalization(name=f"{name}_norm2")(x)
    y = layers.Dense(24, activation="gelu", name=f"{name}_mlp1")(y)
    y = layers.Dropout(0.1)(layers.Dense(12, name=f"{name}_mlp2")(y))
    return layers.Add(name=f"{name}_out")([x, y])


def vision_transformer(pool: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(12, 8, strides=8, name="patches")(image)
    x = layers.Reshape((-1, 12))(x)
    if pool == "class token":
        x = ClassToken(name="class_token")(x)
    x = Positions(name="positions")(x)
    for block in ("block1", "block2"):
        x = encoder_block(x, block)
    x = layers.LayerNormalization(name="norm")(x)
    x = x[:, 0] if pool == "class token" else layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, layers.Dense(4, name="classes")(x), name="vit")


class Patches(layers.Layer):
    """Keras' code example: pixels of patches in rows, without a convolution."""

    def call(self, images):
        patches = ops.image.extract_patches(images, 8)
        return ops.reshape(patches, (ops.shape(images)[0], patches.shape[1] * patches.shape[2], patches.shape[3]))


def code_example() -> keras.Model:
    """As keras.io/examples/vision/image_classification_with_vision_transformer: augmentation, patches, flattening."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, 3))
    augmentation = [layers.Normalization(mean=0.5, variance=0.1), layers.Resizing(64, 96), layers.RandomFlip()]
    x = keras.Sequential(augmentation, name="augmentation")(image)
    x = layers.Dense(12, name="projection")(Patches(name="pixels")(x))
    for block in ("block1", "block2"):
        x = encoder_block(Positions(name="positions")(x) if block == "block1" else x, block)
    x = layers.Flatten()(layers.LayerNormalization(name="norm")(x))
    x = layers.Dense(16, activation="gelu", name="mlp")(layers.Dropout(0.5)(x))
    return keras.Model(image, layers.Dense(4, name="classes")(x), name="vit")


def test_mean_pooled_tokens_give_cam() -> None:
    """Under mean pooling and a dense layer each token's gradient is kernel / n, and the map tokens · kernel / n."""
    model = vision_transformer("mean")
    frame = noise()
    tokens = keras.Model(model.input, model.get_layer("norm").output)(unit_rgb(frame), training=False)[0].numpy()
    kernel, bias = model.get_layer("classes").get_weights()
    expected = (tokens @ kernel[:, 1] / 24).reshape(4, 6)
    raw_map, logits = explained(model, frame, layer="norm", engine="graph")
    np.testing.assert_allclose(raw_map, np.maximum(expected, 0), atol=1e-6)
    np.testing.assert_allclose(logits[1], expected.sum() + bias[1], atol=1e-5)


@pytest.mark.parametrize(
    ("build", "leading", "method", "engine"),
    [
        (lambda: vision_transformer("class token"), 1, "grad-cam", "xla"),
        (lambda: vision_transformer("class token"), 1, "hirescam", "graph"),
        (code_example, 0, "grad-cam", "graph"),
        (code_example, 0, "layercam", "graph"),
    ],
)
def test_the_map_of_tokens_is_the_tapes(build, leading: int, method: str, engine: str) -> None:
    model, frame = build(), noise(1)
    rows, columns = (4, 6) if leading else (8, 12)
    activations, gradients, expected_logits = by_tape(model, "block2_norm1", frame)
    as_map = (1, rows, columns, 12)
    expected = METHODS[method].raw_map(
        tf.reshape(activations[leading:], as_map), tf.reshape(gradients[leading:], as_map)
    )
    raw_map, logits = explained(model, frame, layer="block2_norm1", method=method, engine=engine)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert raw_map.max() > 0
    np.testing.assert_allclose(raw_map, np.maximum(expected[0], 0), atol=1e-5 * np.abs(expected).max() + 1e-9)


@pytest.mark.parametrize("build", [lambda: vision_transformer("class token"), code_example])
def test_a_transformer_asks_for_a_layer_and_names_one(build) -> None:
    network = flatten(build(), SIZE)
    with pytest.raises(ModelError, match=r"vision transformer.* --layer, such as block2_norm1; live-gradcam layers"):
        default_target(network)
    names = [operation.name for operation in candidate_layers(network)]
    assert {"block1_norm1", "block2_attention", "block2_norm2", "norm"} <= set(names)
    steps = [step.name for step in layers_to_step_through(network)]
    assert steps[-4:] == ["block1_attended", "block1_out", "block2_attended", "norm"]


def test_a_convolutional_network_that_ends_in_tokens_keeps_its_last_map() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="last_map")(x)
    x = layers.Reshape((64, 8))(x)
    y = layers.MultiHeadAttention(1, 8)(x, x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.Add()([x, y]))))
    assert default_target(flatten(model, (32, 32))).name == "last_map"


def test_a_map_that_is_only_reshaped_is_looked_at_before() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="last_map")(image)
    x = layers.Reshape((8, 8, 32))(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    assert default_target(flatten(model, (32, 32))).name == "last_map"


def test_a_vector_is_no_target() -> None:
    network = flatten(vision_transformer("mean"), SIZE)
    with pytest.raises(Exception, match="not a map"):
        find_layer(network, "classes")
