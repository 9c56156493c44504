"""Small networks with random weights, and a frame for them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from live_gradcam import Classifier
from live_gradcam.networks.preprocessing import PREPROCESSINGS

FRAME = np.random.default_rng(3).integers(0, 256, (12, 14, 3), np.uint8)


def classifier_of(model: keras.Model) -> Classifier:
    labels = tuple(f"class {index}" for index in range(model.output_shape[-1]))
    return Classifier("toy", model, labels, tuple(model.input_shape[1:3]), PREPROCESSINGS["unit"])


def called(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What a model gives, as it is called. Keras' `predict` would first compile all of it, for seconds."""
    return np.asarray(model(images, training=False))


def two_dense_layers() -> keras.Model:
    keras.utils.set_random_seed(5)
    image = keras.Input((12, 14, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="maps")(image)
    x = layers.Dense(9, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x)))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x))


def pooled_network(*convolutions: str) -> keras.Model:
    """A network that can be taught: convolutions of these names in front of a global pooling."""
    keras.utils.set_random_seed(3)
    image = keras.Input((12, 14, 3))
    x = layers.Rescaling(1 / 255)(image)
    for name in convolutions:
        x = layers.Conv2D(8, 3, activation="relu", name=name)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def unpooled_network() -> keras.Model:
    """A network that cannot be taught: it has no pooled features."""
    image = keras.Input((12, 14, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))
