"""Small models of the kinds that Keras 2 leaves behind, in both of its file formats, with its own predictions.

`tests/fixtures/keras2_2.12.zip` is by the first Keras 2 that wrote `.keras` files, and `keras2_2.15.zip` by the last;
they lay the weights out in different ways. Each gets an environment of its own, with Python 3.11 or older:

    python3 -m venv /tmp/keras212 && /tmp/keras212/bin/pip install tensorflow-cpu==2.12.0
    /tmp/keras212/bin/python benchmarks/reference/keras2_models.py
    python3 -m venv /tmp/keras215 && /tmp/keras215/bin/pip install tensorflow-cpu==2.15.0
    /tmp/keras215/bin/python benchmarks/reference/keras2_models.py

For each function below there are, under its name:

    NAME.h5, NAME.keras   the model, with random weights; no `.keras` where Keras could not write it
    NAME.npz              images float32 (2, height, width, 3), of 0…255; expected float32 (2, classes); made_by str ()
"""

from __future__ import annotations

import io
import os
import platform
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow import keras

layers = keras.layers
FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
SHAPE = (16, 16, 3)
MODELS: dict[str, Callable[[], keras.Model]] = {}


def example(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    """Register a model under its function's name."""
    MODELS[build.__name__] = build
    return build


def classes(x: tf.Tensor) -> tf.Tensor:
    """Three classes."""
    return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def backbone(name: str, **convolution: object) -> keras.Model:
    """A functional model to be put into others."""
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", **convolution)(image)
    return keras.Model(image, layers.BatchNormalization()(x), name=name)


@example
def nested() -> keras.Model:
    """A model in a model in a model, one called twice, and one as the output."""
    inner = backbone("inner")
    image = keras.Input(SHAPE)
    middle = keras.Model(image, layers.Add()([inner(image), inner(layers.Rescaling(0.5)(image))]), name="middle")
    features = keras.Input((16, 16, 4))
    head = keras.Model(features, classes(features), name="head")
    image = keras.Input(SHAPE)
    return keras.Model(image, head(middle(image)))


@example
def nested_outputs() -> keras.Model:
    """A model inside with two outputs, taken in the other order."""
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, activation="relu")(image)
    inner = keras.Model(image, [x, layers.Conv2D(4, 1)(x)], name="inner")
    image = keras.Input(SHAPE)
    first, second = inner(image)
    return keras.Model(image, classes(layers.Concatenate()([second, first])))


@example
def sequential() -> keras.Model:
    """Sequential models in a functional one: with an input of its own, and without; names with slashes."""
    with_input = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3, name="conv1/conv")], name="with_input")
    without = keras.Sequential([layers.Conv2D(4, 3), layers.LeakyReLU(alpha=0.3)], name="without")
    image = keras.Input(SHAPE, name="image/input")
    return keras.Model(image, classes(without(with_input(image))))


@example
def augmentation() -> keras.Model:
    """Layers that do something in training alone, and those that prepare the picture."""
    augmentation = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomContrast(0.1),
        layers.RandomBrightness(0.1),
        layers.GaussianNoise(0.1),
    ]
    image = keras.Input((20, 24, 3))
    x = keras.Sequential(augmentation, name="augmentation")(image)
    x = layers.Resizing(19, 19)(layers.RandomHeight(0.1)(layers.RandomWidth(0.1)(x)))
    x = layers.RandomCrop(16, 17)(layers.CenterCrop(18, 19)(x))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    return keras.Model(image, classes(layers.Conv2D(4, 3)(x)))


@example
def initializers() -> keras.Model:
    """What a layer was trained with: initializers with a precision, regularizers, constraints."""
    model = keras.Sequential([keras.Input(SHAPE)])
    for initializer in (
        keras.initializers.HeNormal(seed=3),
        keras.initializers.TruncatedNormal(),
        keras.initializers.VarianceScaling(2.0, mode="fan_out"),
        keras.initializers.Orthogonal(),
    ):
        model.add(
            layers.Conv2D(
                4,
                3,
                kernel_initializer=initializer,
                kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-3),
                kernel_constraint=keras.constraints.MaxNorm(2.0),
            )
        )
    model.add(layers.GlobalMaxPooling2D())
    model.add(layers.Dense(1, activation="sigmoid"))
    return model


@example
def preprocessing() -> keras.Model:
    """The three ways of `keras.applications` to prepare a picture, between layers."""
    image = keras.Input(SHAPE)
    ways = [keras.applications.vgg16, keras.applications.densenet, keras.applications.mobilenet_v2]
    prepared = [backbone(way.__name__.rpartition(".")[2])(way.preprocess_input(image)) for way in ways]
    return keras.Model(image, classes(layers.Average()(prepared)))


@example
def functions() -> keras.Model:
    """TensorFlow's functions and operators between layers."""
    image = keras.Input(SHAPE)
    x = tf.image.resize(tf.cast(image, tf.float32), (12, 12))[..., ::-1]
    x = 1.0 - tf.nn.bias_add(x, [-1.0, 2.0, 0.5])
    x = layers.Conv2D(4, 3, padding="same")(-x[:, 1:-1, 2:] / [100.0, 200.0, 300.0])
    y = tf.nn.relu(x) + tf.nn.relu6(x) * tf.sigmoid(x)
    y = tf.stack([tf.concat([x, y], -1)] * 2, 1)[:, 0]
    y = tf.transpose(tf.pad(tf.maximum(y, 0.0), [[0, 0], [1, 1], [1, 1], [0, 0]]), [0, 2, 1, 3])
    y = tf.sqrt(tf.clip_by_value(y, 0.0, 6.0) ** 2.0 + 1e-3)
    y = y - tf.reduce_mean(y, axis=[1, 2], keepdims=True)
    z = tf.reduce_max(tf.reshape(y, [-1, 144, 8]), axis=1)
    return keras.Model(image, tf.nn.softmax(layers.Dense(3)(tf.squeeze(tf.expand_dims(z, 1), 1))))


def operation(name: str, op: str, constants: dict[int, object], inputs: int, **attributes: str) -> layers.Layer:
    """An operator as TensorFlow 2.0 to 2.3 kept it; Keras has the layer still, to read such files."""
    from keras.src.engine.base_layer import TensorFlowOpLayer

    types = {key: {"type": value} for key, value in attributes.items()}
    node = {"name": name, "op": op, "input": [f"i{place}" for place in range(inputs)], "attr": types}
    return TensorFlowOpLayer(node, name, constants)


def operations() -> keras.Model:
    """The same, as nodes of a graph: preprocessing, and MobileNetV3's activation."""
    image = keras.Input(SHAPE)
    x = operation("truediv", "RealDiv", {1: 127.5}, 2, T="DT_FLOAT")(image)
    x = operation("sub", "Sub", {0: 1.0}, 2, T="DT_FLOAT")(x)
    x = operation("BiasAdd", "BiasAdd", {1: [-0.1, 0.2, 0.3]}, 2, T="DT_FLOAT")(x)
    x = operation("Reverse", "ReverseV2", {1: [3]}, 2, T="DT_FLOAT", Tidx="DT_INT32")(x)
    x = layers.Conv2D(4, 3)(x)
    y = layers.ReLU(6.0)(operation("add", "AddV2", {1: 3.0}, 2, T="DT_FLOAT")(x))
    y = operation("mul", "Mul", {}, 2, T="DT_FLOAT")([x, y])
    pooled = operation("Mean", "Mean", {1: [1, 2]}, 2, T="DT_FLOAT", Tidx="DT_INT32")(y)
    return keras.Model(image, layers.Dense(3, activation="softmax")(pooled))


if tf.__version__.startswith("2.15"):
    example(operations)


@example
def frozen() -> keras.Model:
    """Weights of equal shapes, in the order that freezing gives them: all of one model, some of another."""
    image = keras.Input(SHAPE)
    x = image
    for name in ("all", "some"):
        inner = keras.Sequential([keras.Input(x.shape[1:]), layers.Conv2D(4, 1, use_bias=False)], name=name)
        for _ in range(2):
            inner.add(layers.BatchNormalization())
            inner.add(layers.DepthwiseConv2D(1))
        inner.layers[1].trainable = inner.layers[2].trainable = False
        inner.trainable = name == "some" and inner.trainable
        x = inner(x, training=False)
    return keras.Model(image, classes(x))


@example
def many_layers() -> keras.Model:
    """Layers of many kinds, with merges of several inputs and a layer that is shared."""
    image = keras.Input(SHAPE)
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).normal(100, 40, (8, *SHAPE)).astype(np.float32))
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 4.0, 2.0])(adapted(image))
    x = layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, activation="swish")(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x))
    x = layers.LayerNormalization()(layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x))
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(1)(layers.ELU(0.7)(x)))
    x = layers.UpSampling2D(interpolation="bilinear")(layers.MaxPooling2D(padding="same")(layers.AveragePooling2D()(x)))
    x = layers.UnitNormalization()(layers.GroupNormalization(2)(layers.SpatialDropout2D(0.1)(x)))
    x = layers.Conv2D(8, 3, groups=2, dilation_rate=2, padding="same", activation=tf.nn.relu6)(x)
    x = layers.Activation("hard_sigmoid")(layers.Activation(tf.nn.silu)(x))
    x = layers.ReLU(max_value=6.0, negative_slope=0.1, threshold=0.01)(x)
    shared = layers.Conv2D(8, 1, activation=layers.LeakyReLU(alpha=0.2))
    y, z = shared(x), shared(shared(x))
    x = layers.Multiply()([x, layers.Maximum()([y, z]), layers.Subtract()([y, layers.Minimum()([x, z])])])
    tokens = layers.Reshape((256, 8))(x)
    attended = layers.MultiHeadAttention(2, 4)(tokens, tokens)
    tokens = layers.TimeDistributed(layers.Dense(6, activation="gelu"))(layers.Concatenate()([tokens, attended]))
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)))


@example
def half_precision() -> keras.Model:
    """Mixed precision."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    image = keras.Input(SHAPE)
    x = layers.GlobalAveragePooling2D()(backbone("inner")(image / 127.5 - 1.0))
    model = keras.Model(image, layers.Activation("softmax", dtype="float32")(layers.Dense(3)(x)))
    keras.mixed_precision.set_global_policy("float32")
    return model


class Plain(layers.Layer):
    """A class that the file only names."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Three times the input."""
        return x * 3.0


@keras.utils.register_keras_serializable("mine")
class Registered(layers.Layer):
    """A class with a weight, a layer and a setting of its own."""

    def __init__(self, factor: float = 2.0, **settings: object) -> None:
        super().__init__(**settings)
        self.factor = factor

    def build(self, shape: tuple) -> None:
        """Make the weights."""
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")
        self.inner = layers.Dense(4)
        self.inner.build(shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Scale, and mix channels."""
        return self.inner(x * self.scale * self.factor)

    def get_config(self) -> dict:
        """The setting."""
        return {**super().get_config(), "factor": self.factor}


class OwnModel(keras.Model):
    """A functional model of a class of the user's."""


@example
def custom() -> keras.Model:
    """Classes of the user's."""
    image = keras.Input(SHAPE)
    inner = OwnModel(image, layers.Conv2D(4, 3)(Plain()(image)), name="inner")
    image = keras.Input(SHAPE)
    return OwnModel(image, classes(Registered(3.0)(inner(image))))


@example
def code() -> keras.Model:
    """Marshalled code, deep inside."""
    inner = keras.Sequential([keras.Input(SHAPE), layers.TimeDistributed(layers.Lambda(lambda x: 2 * x))], name="inner")
    image = keras.Input(SHAPE)
    return keras.Model(image, classes(layers.Conv2D(4, 3)(inner(image))))


def randomize(model: keras.Model, generator: np.random.Generator) -> None:
    """No two weights are equal, and statistics are as of a trained network."""
    for weight in model.weights:
        if weight.dtype.is_floating:
            low, high = (0.5, 1.5) if "variance" in weight.name or "gamma" in weight.name else (-0.4, 0.4)
            weight.assign(generator.uniform(low, high, weight.shape))
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()


def main() -> None:
    """Build the models, save them, and predict."""
    version = ".".join(tf.__version__.split(".")[:2])
    made_by = (
        f"benchmarks/reference/keras2_models.py with Python {platform.python_version()}, TensorFlow {tf.__version__}"
    )
    archive_format = "keras_v3" if version == "2.12" else "keras"  # what 2.12 calls "keras" is HDF5
    generator = np.random.default_rng(0)
    path = FIXTURES / f"keras2_{version}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, tempfile.TemporaryDirectory() as folder:
        for name, build in MODELS.items():
            keras.backend.clear_session()
            keras.utils.set_random_seed(5)
            model = build()
            randomize(model, generator)
            images = generator.uniform(0, 255, (2, *model.input_shape[1:])).astype(np.float32)
            for ending in (".h5", ".keras"):
                file = Path(folder) / f"{name}{ending}"
                try:
                    model.save(file, save_format="h5" if ending == ".h5" else archive_format)
                    archive.write(file, file.name)
                except TypeError as error:
                    print(f"{file.name} cannot be written: {error}")
            numbers = io.BytesIO()
            expected = model.predict(images, verbose=0).astype(np.float32)
            np.savez_compressed(numbers, images=images, expected=expected, made_by=np.array(made_by))
            archive.writestr(f"{name}.npz", numbers.getvalue())
    print(f"wrote {path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
