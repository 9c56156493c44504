"""What comes after the last feature maps, and what the numbers are."""

from __future__ import annotations

import keras
from keras import layers, ops

from tests.model_kinds.kind import classes, features, kind, picture, stem


@kind("convolution, global pooling, softmax (NiN)", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1)(features(stem(image))))
    return keras.Model(image, layers.Activation("softmax")(x))


@kind("softmax of each place, then the mean", "heads", layer="conv2d_1")
def _() -> keras.Model:
    """The map is not of the probabilities of places: by these 1 − p and the sum of the others have other gradients."""
    image = picture()
    return keras.Model(
        image, layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1, activation="softmax")(features(stem(image))))
    )


@kind("sigmoids of each place, then the largest", "heads", ends="sigmoid")
def _() -> keras.Model:
    """Weakly supervised localization, as of chest X-rays."""
    image = picture()
    return keras.Model(
        image, layers.GlobalMaxPooling2D()(layers.Conv2D(4, 1, activation="sigmoid")(features(stem(image))))
    )


@kind("features of two depths, pooled and concatenated", "heads")
def _() -> keras.Model:
    image = picture()
    fine = features(stem(image))
    coarse = features(stem(fine))
    pooled = [layers.GlobalAveragePooling2D()(x) for x in (fine, coarse)]
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.Concatenate()(pooled)))


@kind("spatial attention (CBAM)", "heads")
def _() -> keras.Model:
    image = picture()
    x = features(stem(image))
    both = layers.Concatenate()([ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)])
    return keras.Model(image, classes(x * layers.Conv2D(1, 7, padding="same", activation="sigmoid")(both)))


@kind("feature pyramid", "heads")
def _() -> keras.Model:
    image = picture()
    fine = features(stem(image))
    coarse = features(stem(fine))
    x = layers.Add()([fine, layers.UpSampling2D()(coarse)])
    x = layers.Concatenate()([classes(x, 8, "relu"), classes(coarse, 8, "relu")])
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("rows and columns exchanged, read by a GRU (CRNN)", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Permute((2, 1, 3))(features(stem(image)))
    x = layers.Bidirectional(layers.GRU(6))(layers.TimeDistributed(layers.Flatten())(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("channels first and back, as converters write it", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Permute((3, 1, 2))(features(stem(image)))
    x = layers.Permute((2, 3, 1))(layers.BatchNormalization(axis=1)(x))
    return keras.Model(image, classes(layers.ReLU()(x)))


@kind("Gaussian noise, activity regularization, spatial dropout", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.SpatialDropout2D(0.2)(features(layers.GaussianNoise(0.1)(stem(image))))
    x = layers.ActivityRegularization(1e-4)(layers.AlphaDropout(0.1)(layers.GlobalAveragePooling2D()(x)))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("GlobalMaxPooling", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.GlobalMaxPooling2D()(features(stem(image)))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("mean and maximum pooled, concatenated", "heads")
def _() -> keras.Model:
    image = picture()
    x = features(stem(image))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("Flatten, Dense, Dense", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Dense(16, activation="relu")(layers.Flatten()(features(stem(image))))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("AveragePooling, Flatten, Dense", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Flatten()(layers.AveragePooling2D(4)(features(stem(image))))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


@kind("Permute and Reshape", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Reshape((12, 256))(layers.Permute((3, 1, 2))(features(stem(image))))
    return keras.Model(
        image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(layers.Permute((2, 1))(x)))
    )


@kind("Dense on maps", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Dense(10, activation="relu")(features(stem(image)))
    return keras.Model(image, classes(x))


@kind("attention pooling", "heads")
def _() -> keras.Model:
    image = picture()
    x = features(stem(image))
    weights = layers.Softmax(axis=1)(layers.Reshape((256, 1))(layers.Conv2D(1, 1)(x)))
    x = layers.Dot(axes=1)([weights, layers.Reshape((256, 12))(x)])
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))


@kind("rows read by an LSTM", "heads")
def _() -> keras.Model:
    image = picture()
    x = layers.Reshape((16, 16 * 12))(features(stem(image)))
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.LSTM(8)(x)))


class Antirectifier(layers.Layer):
    """Keras' example "Simple custom layer example"."""

    def build(self, shape) -> None:
        self.kernel = self.add_weight(shape=(2 * shape[-1], shape[-1]), initializer="he_normal", name="kernel")

    def call(self, x):
        x = x - ops.mean(x, axis=-1, keepdims=True)
        both = ops.concatenate([ops.relu(x), ops.relu(-x)], axis=-1)
        return ops.matmul(both / ops.sqrt(ops.sum(both**2, axis=-1, keepdims=True) + 1e-6), self.kernel)


@kind("subclassed layer (Antirectifier)", "heads", ends="logits")
def _() -> keras.Model:
    image = picture()
    x = Antirectifier()(layers.Dense(12)(layers.Flatten()(features(stem(image)))))
    return keras.Model(image, layers.Dense(5)(x))


@kind("logits", "numbers", ends="logits")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image)), activation=None))


@kind("one sigmoid", "numbers", ends="sigmoid")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image)), 1, "sigmoid"))


@kind("two classes by softmax", "numbers")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image)), 2))


@kind("several labels (sigmoids)", "numbers", ends="sigmoid")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image)), 4, "sigmoid"))


@kind("regression", "numbers", ends="values")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image)), 1, None))


@kind("log of the softmax", "numbers", ends="logits")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, classes(features(stem(image)), activation="log_softmax"))


@kind("several values, scaled", "numbers", ends="values", options={"output": "values"})
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, 3 * classes(features(stem(image)), 2, "tanh"))


@kind("softmax by keras.ops", "numbers")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, ops.softmax(classes(features(stem(image)), activation=None)))


@kind("temperature before the softmax", "numbers")
def _() -> keras.Model:
    image = picture()
    return keras.Model(image, layers.Softmax()(classes(features(stem(image)), activation=None) / 1.7))
