"""A classifier as Keras 2 saved it, with Keras 2's own predictions: the `.h5` file that transfer learning left behind.

It is built as Teachable Machine builds: Sequential([Sequential([a functional backbone, pooling]), Sequential([Dense,
Dense])]). The backbone has a DepthwiseConv2D, whose configuration in Keras 2 holds `groups`, which Keras 3 refuses, and
a SeparableConv2D and a BatchNormalization, and scales its input by operators, which Keras 2 keeps as TFOpLambda layers.
Keras 2 gets an environment of its own:

    python3 -m venv /tmp/kerasenv
    /tmp/kerasenv/bin/pip install 'tensorflow==2.19.*' 'tf-keras==2.19.*'
    /tmp/kerasenv/bin/python benchmarks/reference/keras2_h5.py

It writes `tests/fixtures/keras2.h5` and `tests/fixtures/keras2.npz`:

    images    float32 (4, 24, 24, 3): of 0…1
    expected  float32 (4, 3): the probabilities
    made_by   str ()
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"


def main() -> None:
    """Build the model, save it, and predict."""
    keras.utils.set_random_seed(5)
    model = build()
    randomize_normalization(model)
    images = np.random.default_rng(0).uniform(0, 1, (4, 24, 24, 3)).astype(np.float32)
    model.save(FIXTURES / "keras2.h5", include_optimizer=False)
    versions = f"Python {platform.python_version()}, TensorFlow {tf.__version__}, tf-keras {keras.__version__}"
    np.savez_compressed(
        FIXTURES / "keras2.npz",
        images=images,
        expected=model.predict(images, verbose=0),
        made_by=np.array(f"benchmarks/reference/keras2_h5.py with {versions}"),
    )
    for name in ("keras2.h5", "keras2.npz"):
        print(f"wrote {FIXTURES / name}: {(FIXTURES / name).stat().st_size} bytes")


def build() -> keras.Model:
    """The classifier, with random weights."""
    image = keras.Input((24, 24, 3))
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="stem")(image / 0.5 - 1)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="sum")([x, y])
    x = layers.SeparableConv2D(8, 3, activation="relu", name="separable")(x)
    backbone = keras.Model(image, x, name="backbone")
    features = keras.Sequential([backbone, layers.GlobalAveragePooling2D()], name="features")
    head = keras.Sequential(
        [
            layers.Dense(10, activation="relu", input_shape=(8,)),
            layers.Dense(3, activation="softmax", use_bias=False),
        ],
        name="head",
    )
    return keras.Sequential([features, head], name="teachable")


def randomize_normalization(model: keras.Model) -> None:
    """Statistics as of a trained network."""
    generator = np.random.default_rng(1)
    norm = model.get_layer("features").get_layer("backbone").get_layer("stem_norm")
    norm.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in norm.get_weights()])


if __name__ == "__main__":
    main()
