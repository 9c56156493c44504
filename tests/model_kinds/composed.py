"""Models made of models, with several ways, inputs or outputs."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tests.model_kinds.kind import classes, features, kind, picture, stem


def _base(side: int = 32, name: str = "base") -> keras.Model:
    """A backbone without its classes."""
    image = picture(side)
    return keras.Model(image, features(stem(image)), name=name)


def _mobilenet() -> keras.Model:
    return keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, include_top=False, weights=None, name="mobilenet")


@kind("transfer learning: base(x, training=False)", "composed", size=(64, 64))
def _() -> keras.Model:
    """Keras' guide "Transfer learning & fine-tuning"."""
    base = _mobilenet()
    base.trainable = False
    image = picture(64)
    x = layers.Rescaling(2.0, offset=-1)(image)
    return keras.Model(image, classes(base(x, training=False)))


@kind("twice nested", "composed")
def _() -> keras.Model:
    image, inner = picture(), picture()
    middle = keras.Model(inner, layers.BatchNormalization()(_base()(inner, training=False)), name="middle")
    return keras.Model(image, classes(middle(image, training=False)))


@kind("base in a Sequential, pooling inside", "composed", size=(64, 64))
def _() -> keras.Model:
    base = keras.applications.MobileNetV2((64, 64, 3), 0.35, include_top=False, weights=None, pooling="avg")
    return keras.Sequential(
        [keras.Input((64, 64, 3)), base, layers.Dropout(0.2), layers.Dense(5, activation="softmax")]
    )


@kind("augmentation inside", "composed", preprocessing="raw")
def _() -> keras.Model:
    image = picture()
    augment = keras.Sequential(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.RandomContrast(0.1),
        ],
        name="augment",
    )
    return keras.Model(image, classes(features(stem(layers.Rescaling(1 / 255)(augment(image))))))


_METADATA = np.linspace(-1, 1, 4, dtype=np.float32)


@kind(
    "picture and metadata",
    "composed",
    options={"feed": {"metadata": _METADATA}},
    numbers=lambda model, images: model([images, tf.constant(_METADATA[None])], training=False),
)
def _() -> keras.Model:
    image, metadata = picture(), keras.Input((4,), name="metadata")
    pooled = layers.GlobalAveragePooling2D()(features(stem(image)))
    x = layers.Concatenate()([pooled, layers.Dense(6, activation="relu")(metadata)])
    x = layers.Dense(8, activation="tanh")(x)
    return keras.Model([image, metadata], layers.Dense(5, activation="softmax")(x))


@kind(
    "several outputs",
    "composed",
    options={"head": "species"},
    numbers=lambda model, images: model(images, training=False)["species"],
)
def _() -> keras.Model:
    image = picture()
    x = features(stem(image))
    species = layers.Dense(5, activation="softmax", name="species")(layers.GlobalAveragePooling2D()(x))
    box = layers.Dense(4, name="box")(layers.Flatten()(x))
    return keras.Model(image, {"box": box, "species": species})


def _ensemble(units: int, activation: str) -> keras.Model:
    image = picture()
    members = []
    for name in ("first", "second"):
        own = picture()
        members.append(keras.Model(own, classes(features(stem(own)), units, activation), name=name)(image))
    return keras.Model(image, layers.Average()(members))


@kind("ensemble: the mean of two softmaxes", "composed")
def _() -> keras.Model:
    return _ensemble(5, "softmax")


@kind("ensemble: the mean of two decisions", "composed", ends="sigmoid")
def _() -> keras.Model:
    return _ensemble(1, "sigmoid")


@kind("ensemble: the mean of several labels", "composed", ends="sigmoid")
def _() -> keras.Model:
    return _ensemble(4, "sigmoid")


@kind("ensemble: a weighted mean", "composed")
def _() -> keras.Model:
    image = picture()
    first, second = _base(name="one")(image), _base(name="other")(image)
    return keras.Model(image, 0.7 * classes(first) + 0.3 * classes(second))


@kind("two backbones, concatenated", "composed")
def _() -> keras.Model:
    image = picture()
    pooled = [layers.GlobalAveragePooling2D()(_base(name=name)(image)) for name in ("one", "other")]
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.Concatenate()(pooled)))


@kind("a layer that is called twice", "composed")
def _() -> keras.Model:
    image = picture()
    shared = layers.Conv2D(8, 3, padding="same", activation="relu", name="shared")
    return keras.Model(image, classes(shared(shared(stem(image)))))


@kind("keras.ops between layers", "composed")
def _() -> keras.Model:
    image = picture()
    x = stem(2 * image - 1)
    x = ops.concatenate([x, ops.relu(-x)], axis=-1)
    x = features(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])[:, 1:-1, 1:-1])
    return keras.Model(image, layers.Dense(5, activation="softmax")(ops.mean(ops.square(x), axis=(1, 2))))


@kind("Lambda layer", "composed")
def _() -> keras.Model:
    image = picture()
    x = layers.Lambda(lambda x: x * x / (1 + x))(features(stem(image)))
    return keras.Model(image, classes(x))


@kind("stochastic depth and Identity", "composed")
def _() -> keras.Model:
    image = picture()
    x = stem(image)
    branch = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1))(layers.Conv2D(8, 3, padding="same")(x))
    return keras.Model(image, classes(layers.Identity()(layers.add([x, branch]))))


class OwnFunctional(keras.Model):
    """A class of the user's that is built as a graph, and only trains in its own way."""

    def __init__(self) -> None:
        image = picture()
        super().__init__(image, classes(features(stem(image))))

    def train_step(self, data):
        raise NotImplementedError


@kind("subclass with a graph and its own train_step", "composed")
def _() -> keras.Model:
    return OwnFunctional()


class OwnCall(keras.Model):
    """A subclassed model."""

    def __init__(self) -> None:
        super().__init__()
        self.layers_in_order = [
            layers.Conv2D(8, 3, activation="relu"),
            layers.Conv2D(12, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax"),
        ]

    def call(self, x):
        for layer in self.layers_in_order:
            x = layer(x)
        return x


@kind("subclassed model", "composed")
def _() -> keras.Model:
    return called(OwnCall())


class OfTensorFlow(OwnCall):
    """A subclassed model that calls functions of TensorFlow itself."""

    def call(self, x):
        first, second, pool, classes = self.layers_in_order
        x = tf.nn.max_pool2d(first(tf.concat([x, tf.square(x)], axis=-1)), 2, 2, "VALID")
        return classes(pool(second(tf.constant(0.5) * x)))


@kind("subclassed model with functions of tf", "composed")
def _() -> keras.Model:
    return called(OfTensorFlow())


def called(model: keras.Model) -> keras.Model:
    """A subclassed model that knows by a picture how large one is."""
    model(np.zeros((1, 32, 32, 3), np.float32))
    return model


@kind("subclassed model as keras.Model(x, model.call(x))", "composed")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, OwnCall().call(image))


@kind("subclassed model inside of a graph", "composed")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, OwnCall()(layers.Conv2D(3, 3, padding="same", activation="relu")(image)))
