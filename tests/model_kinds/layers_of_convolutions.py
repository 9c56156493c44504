"""Convolutional networks: from scratch, with other convolutions, other normalizations, other activations."""

from __future__ import annotations

import keras
from keras import layers, ops

from tests.model_kinds.kind import classes, features, kind, picture, stem


@kind("Sequential from scratch", "convolutions", preprocessing="raw")
def _() -> keras.Model:
    """The TensorFlow tutorial "Image classification"."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(5, activation="softmax"),
        ]
    )


@kind("mini-Xception with residuals", "convolutions", size=(48, 48), preprocessing="raw")
def _() -> keras.Model:
    """Keras' example "Image classification from scratch"."""
    image = picture(48)
    x = stem(layers.Rescaling(1 / 255)(image))
    before = x
    for filters in (12, 16):
        for _ in range(2):
            x = layers.SeparableConv2D(filters, 3, padding="same")(layers.Activation("relu")(x))
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.add([x, layers.Conv2D(filters, 1, strides=2, padding="same")(before)])
        before = x
    x = layers.SeparableConv2D(20, 3, padding="same")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.Dropout(0.25)(_pooled(x))))


def _pooled(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.GlobalAveragePooling2D()(x)


@kind("pneumonia X-ray (SeparableConv blocks)", "convolutions", size=(48, 48), ends="sigmoid", preprocessing="raw")
def _() -> keras.Model:
    """Keras' example "Pneumonia classification on TPU"."""
    image = picture(48)
    x = layers.Rescaling(1 / 255)(image)
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu", padding="same")(x))
    for filters in (12, 16):
        x = layers.SeparableConv2D(filters, 3, activation="relu", padding="same")(x)
        x = layers.SeparableConv2D(filters, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.Dropout(0.2)(x))
    for units in (24, 12):
        x = layers.Dropout(0.3)(layers.BatchNormalization()(layers.Dense(units, activation="relu")(x)))
    return keras.Model(image, layers.Dense(1, activation="sigmoid")(x))


@kind("ConvMixer", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = layers.Conv2D(16, 2, strides=2)(image)
    x = layers.BatchNormalization()(layers.Activation("gelu")(x))
    for _ in range(2):
        before = x
        x = layers.Activation("gelu")(layers.DepthwiseConv2D(5, padding="same")(x))
        x = layers.Add()([layers.BatchNormalization()(x), before])
        x = layers.BatchNormalization()(layers.Activation("gelu")(layers.Conv2D(16, 1)(x)))
    return keras.Model(image, classes(x))


class Involution(layers.Layer):
    """Keras' example "Involutional neural networks": a kernel of its own for each place."""

    def __init__(self, channel: int, **options) -> None:
        super().__init__(**options)
        self.reduce = keras.Sequential([layers.Conv2D(channel, 1), layers.BatchNormalization(), layers.ReLU()])
        self.span = layers.Conv2D(9, 1)

    def build(self, shape) -> None:
        self.reduce.build(shape)
        self.span.build((*shape[:-1], self.reduce.layers[0].filters))
        self.built = True

    def call(self, x):
        _, height, width, channels = x.shape
        kernel = ops.reshape(self.span(self.reduce(x)), (-1, height, width, 9, 1))
        patches = ops.reshape(
            ops.image.extract_patches(x, 3, strides=1, padding="same"), (-1, height, width, 9, channels)
        )
        return ops.sum(kernel * patches, axis=3)

    def compute_output_shape(self, shape):
        return shape


@kind("involution", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = stem(image)
    for _ in range(2):
        x = layers.ReLU()(Involution(6)(x))
    return keras.Model(image, classes(features(x)))


@kind("squeeze and excitation", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = features(stem(image), 16)
    weights = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, layers.Dense(16, activation="sigmoid")(weights)])
    return keras.Model(image, classes(x))


@kind("Conv2DTranspose", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = layers.Conv2DTranspose(10, 3, strides=2, padding="same", activation="relu")(features(stem(stem(image))))
    return keras.Model(image, classes(x))


@kind("UpSampling2D and Concatenate (U-Net)", "convolutions")
def _() -> keras.Model:
    image = picture()
    fine = stem(image)
    x = layers.UpSampling2D(interpolation="bilinear")(features(stem(fine)))
    return keras.Model(image, classes(features(layers.Concatenate()([fine, x]))))


@kind("dilated and grouped", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = layers.Conv2D(16, 3, dilation_rate=2, padding="same", activation="relu")(stem(image))
    x = layers.Conv2D(16, 3, groups=4, padding="same", activation="relu")(x)
    return keras.Model(image, classes(x))


@kind("GroupNormalization", "normalizations")
def _() -> keras.Model:
    image = picture()
    x = layers.GroupNormalization(4)(layers.Conv2D(12, 3, padding="same")(stem(image)))
    return keras.Model(image, classes(layers.ReLU()(x)))


@kind("LayerNormalization and RMSNormalization", "normalizations")
def _() -> keras.Model:
    image = picture()
    x = layers.LayerNormalization()(layers.Conv2D(12, 3, padding="same")(stem(image)))
    x = layers.RMSNormalization()(layers.Conv2D(12, 3, padding="same", activation="gelu")(x))
    return keras.Model(image, classes(x))


@kind("UnitNormalization before the classes", "normalizations")
def _() -> keras.Model:
    image = picture()
    x = layers.UnitNormalization()(layers.GlobalAveragePooling2D()(features(stem(image))))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("batch norm after the activation and before the classes", "normalizations")
def _() -> keras.Model:
    image = picture()
    x = layers.BatchNormalization()(features(stem(image)))
    x = layers.BatchNormalization(scale=False)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("PReLU, LeakyReLU, ELU, SELU", "activations")
def _() -> keras.Model:
    image = picture()
    x = stem(image)
    for activation in (
        layers.PReLU(shared_axes=[1, 2]),
        layers.LeakyReLU(negative_slope=0.2),
        layers.ELU(),
        layers.Activation("selu"),
    ):
        x = activation(layers.Conv2D(8, 3, padding="same")(x))
    return keras.Model(image, classes(x))


@kind("GELU, swish, hard swish, mish, ReLU6", "activations")
def _() -> keras.Model:
    image = picture()
    x = stem(image)
    for activation in ("gelu", "swish", "hard_swish", "mish", "relu6"):
        x = layers.Conv2D(8, 3, padding="same", activation=activation)(x)
    return keras.Model(image, classes(x))


class StandardizedConv(layers.Conv2D):
    """Weight standardization: the kernel that is multiplied is not the one that is kept."""

    def call(self, x):
        mean = ops.mean(self.kernel, axis=(0, 1, 2), keepdims=True)
        deviation = ops.std(self.kernel, axis=(0, 1, 2), keepdims=True)
        return ops.conv(x, 0.2 * (self.kernel - mean) / (deviation + 1e-5), padding="same") + self.bias


@kind("weight standardization", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = StandardizedConv(12, 3, padding="same")(stem(image))
    return keras.Model(image, classes(layers.ReLU()(layers.BatchNormalization()(x))))


@kind("SpectralNormalization", "convolutions")
def _() -> keras.Model:
    image = picture()
    x = layers.SpectralNormalization(layers.Conv2D(12, 3, padding="same", activation="relu"))(stem(image))
    return keras.Model(image, classes(x))
