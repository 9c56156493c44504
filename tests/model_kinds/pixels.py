"""What models do with the picture before their first weights, and which pictures they take."""

from __future__ import annotations

import keras
from keras import layers, ops

from tests.model_kinds.kind import classes, features, kind, picture, stem


@kind("Cropping2D in front", "pixels", extent=(4, 28, 8, 32))
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(layers.Cropping2D(((4, 4), (8, 0)))(image)))))


@kind("CenterCrop in front", "pixels", size=(40, 40), extent=(4, 36, 4, 36))
def _() -> keras.Model:
    image = picture(40)
    return keras.Model(image, classes(features(stem(layers.CenterCrop(32, 32)(image)))))


@kind("ZeroPadding2D in front", "pixels", extent=(-8, 40, -8, 40))
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(layers.ZeroPadding2D(8)(image)))))


@kind("Resizing and Rescaling in front", "pixels", size=(48, 48), preprocessing="raw")
def _() -> keras.Model:
    image = picture(48)
    return keras.Model(image, classes(features(stem(layers.Rescaling(1 / 255)(layers.Resizing(32, 32)(image))))))


@kind("Normalization in front", "pixels", preprocessing="raw")
def _() -> keras.Model:
    image = picture()
    x = layers.Normalization(mean=[120.0, 115.0, 100.0], variance=[3600.0, 3500.0, 3800.0])(image)
    return keras.Model(image, classes(features(stem(x))))


@kind("learnable resizer", "pixels", size=(48, 48))
def _() -> keras.Model:
    """Keras' example "Learning to resize in computer vision"."""
    image = picture(48)
    naive = layers.Resizing(32, 32, interpolation="bilinear")(image)
    x = layers.BatchNormalization()(
        layers.Conv2D(8, 1)(layers.LeakyReLU(0.2)(layers.Conv2D(8, 7, padding="same")(image)))
    )
    bottleneck = layers.Resizing(32, 32, interpolation="bilinear")(x)
    x = layers.Conv2D(8, 3, padding="same")(bottleneck)
    x = layers.Add()([bottleneck, layers.BatchNormalization()(x)])
    x = layers.Add()([naive, layers.Conv2D(3, 7, padding="same")(x)])
    return keras.Model(image, classes(features(stem(x))))


@kind("grey", "pixels")
def _() -> keras.Model:
    image = picture(channels=1)
    return keras.Model(image, classes(features(stem(image))))


@kind("grey made three channels", "pixels")
def _() -> keras.Model:
    image = picture(channels=1)
    return keras.Model(image, classes(features(stem(layers.Concatenate()([image, image, image])))))


@kind("batches of one", "pixels")
def _() -> keras.Model:
    image = keras.Input(batch_shape=(1, 32, 32, 3))
    return keras.Model(image, classes(features(stem(image))))


@kind("free size", "pixels", size=(224, 224))
def _() -> keras.Model:
    image = keras.Input((None, None, 3))
    return keras.Model(image, classes(features(stem(stem(stem(image))))))


@kind("a wide input", "pixels", size=(24, 48))
def _() -> keras.Model:
    image = keras.Input((24, 48, 3))
    return keras.Model(image, classes(features(stem(image))))


@kind("uint8 pixels", "pixels", preprocessing="raw")
def _() -> keras.Model:
    image = keras.Input((32, 32, 3), dtype="uint8")
    return keras.Model(image, classes(features(stem(layers.Rescaling(1 / 255)(image)))))


@kind("patches by space to depth", "pixels")
def _() -> keras.Model:
    image = picture()
    x = ops.reshape(ops.transpose(ops.reshape(image, (-1, 8, 4, 8, 4, 3)), (0, 1, 3, 2, 4, 5)), (-1, 8, 8, 48))
    return keras.Model(image, classes(features(x)))
