"""Networks that work on patches as tokens."""

from __future__ import annotations

import keras
from keras import layers, ops

from tests.model_kinds.kind import kind, picture, stem


class Positions(layers.Layer):
    """Adds a vector of its own to each token, perhaps after a class token in front."""

    def __init__(self, class_token: bool = False, **options) -> None:
        super().__init__(**options)
        self.class_token = class_token

    def build(self, shape) -> None:
        _, tokens, width = shape
        if self.class_token:
            self.token = self.add_weight(shape=(1, 1, width), initializer="random_normal", name="token")
        tokens += self.class_token
        self.position = self.add_weight(shape=(1, tokens, width), initializer="random_normal", name="position")

    def call(self, x):
        if self.class_token:
            x = ops.concatenate([ops.repeat(self.token, ops.shape(x)[0], axis=0), x], axis=1)
        return x + self.position


def _blocks(x: keras.KerasTensor, count: int, width: int = 16) -> keras.KerasTensor:
    for number in range(count):
        normed = layers.LayerNormalization(epsilon=1e-6, name=f"norm_{number}")(x)
        x = layers.Add()([layers.MultiHeadAttention(2, width // 2, dropout=0.1)(normed, normed), x])
        normed = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([layers.Dense(width)(layers.Dense(2 * width, activation="gelu")(normed)), x])
    return layers.LayerNormalization(epsilon=1e-6)(x)


def _patches(image: keras.KerasTensor, width: int = 16) -> keras.KerasTensor:
    x = layers.Conv2D(width, 8, strides=8, name="patches")(image)
    return layers.Reshape((16, width))(x)


@kind("ViT, no layer named", "tokens", refused="name the layer to look at with --layer, such as norm_2")
def vit() -> keras.Model:
    image = picture()
    x = layers.Flatten()(_blocks(Positions()(_patches(image)), 3))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


kind("ViT, all tokens read", "tokens", layer="norm_2")(vit)


@kind("ViT with a class token", "tokens", layer="norm_2")
def _() -> keras.Model:
    image = picture()
    x = _blocks(Positions(class_token=True)(_patches(image)), 3)[:, 0]
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("ViT of Keras' example (patches by keras.ops)", "tokens", layer="norm_2")
def _() -> keras.Model:
    image = picture()
    patches = ops.reshape(ops.image.extract_patches(image, 8), (-1, 16, 8 * 8 * 3))
    x = _blocks(Positions()(layers.Dense(16)(patches)), 3)
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


@kind("compact convolutional transformer", "tokens", layer="norm_1")
def _() -> keras.Model:
    """Keras' example: a convolutional tokenizer, and a sequence that is pooled by attention."""
    image = picture()
    x = layers.MaxPooling2D(3, 2, padding="same")(layers.Conv2D(16, 3, padding="same", activation="relu")(image))
    x = layers.MaxPooling2D(3, 2, padding="same")(layers.Conv2D(16, 3, padding="same", activation="relu")(x))
    x = _blocks(Positions()(layers.Reshape((64, 16))(x)), 2)
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    x = layers.Flatten()(ops.matmul(ops.transpose(weights, (0, 2, 1)), x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("MLP-Mixer", "tokens", layer="mixed")
def _() -> keras.Model:
    image = picture()
    x = _patches(image)
    for number in range(2):
        tokens = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        tokens = layers.Dense(16)(layers.Dense(24, activation="gelu")(tokens))
        x = layers.Add()([x, layers.Permute((2, 1))(tokens)])
        channels = layers.Dense(16)(layers.Dense(24, activation="gelu")(layers.LayerNormalization()(x)))
        x = layers.Add(name="mixed" if number else None)([x, channels])
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


@kind("attention after convolutions", "tokens")
def _() -> keras.Model:
    image = picture()
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(stem(stem(image)))
    x = layers.Reshape((64, 16))(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)])
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(x)))
