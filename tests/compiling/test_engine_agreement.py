"""Each engine explains small networks as TensorFlow's plain tape does on the Keras model itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from toy_networks import classifier_of, two_dense_layers

from live_gradcam import Explainer
from live_gradcam.choices import ENGINES
from live_gradcam.networks.pixel_scale import photographs

SIZE = (32, 40)


def separable() -> keras.Model:
    """MobileNet in small: depthwise, batch norms that are folded, a residual connection, squeeze and excite."""
    keras.utils.set_random_seed(7)
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(_shifted(layers.BatchNormalization())(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    y = layers.Activation("silu")(_shifted(layers.BatchNormalization())(y))
    squeezed = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    x = layers.Add(name="maps")([x, layers.Multiply()([y, squeezed])])
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def normed_by_layer() -> keras.Model:
    """ConvNeXt in small: patches, layer norm and GELU; a dilated convolution; labels, of the maps' maxima."""
    keras.utils.set_random_seed(8)
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(8, 4, strides=4)(image)
    x = layers.LayerNormalization()(x)
    x = layers.Conv2D(8, 1, activation="gelu")(x)
    x = layers.Conv2D(12, 3, padding="same", dilation_rate=2, activation="relu", name="maps")(x)
    return keras.Model(image, layers.Dense(4, activation="sigmoid")(layers.GlobalMaxPooling2D()(x)))


def _shifted(norm: layers.BatchNormalization) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """A norm whose statistics are not those of the start."""

    def normed(x: keras.KerasTensor) -> keras.KerasTensor:
        y = norm(x)
        generator = np.random.default_rng(x.shape[-1])
        norm.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in norm.get_weights()])
        return y

    return normed


def by_tape(model: keras.Model, pixels: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The model's own numbers, and the Grad-CAM of a class's logit, float64 (h, w), before it is scaled."""
    *_, head = model.layers
    with tf.GradientTape() as tape:
        both = keras.Model(model.inputs, [model.get_layer("maps").output, model.output])
        images = tf.constant(pixels[None, ..., ::-1] / 255, tf.float32)
        maps, numbers = both(images, training=False)
        tape.watch(maps)
        rest = keras.Model(model.get_layer("maps").output, head.input)
        logit = (rest(maps, training=False) @ head.kernel + head.bias)[0, target]
    weights = tf.reduce_mean(tape.gradient(logit, maps), (1, 2), keepdims=True)
    return np.asarray(numbers)[0], np.maximum(np.sum(maps * weights, -1, dtype=np.float64)[0], 0)


@pytest.mark.slow
@pytest.mark.parametrize("network", [separable, normed_by_layer, two_dense_layers])
@pytest.mark.parametrize("engine", ENGINES.of_this_package)
def test_an_engine_explains_as_the_plain_model_does(engine: str, network: Callable[[], keras.Model]) -> None:
    model = network()
    explainer = Explainer(classifier_of(model), maps=1, engine=engine, tune="off")
    for picture in photographs()[:3]:
        pixels, _ = explainer.as_seen(picture)
        explanation = explainer(picture)
        numbers, raw_map = by_tape(model, pixels, explanation.target)
        np.testing.assert_allclose(explanation.probabilities, numbers, atol=1e-4)
        assert raw_map.max() > 0
        np.testing.assert_allclose(
            explanation.heatmaps[0] * explanation.evidence[0], raw_map, atol=1e-3 * raw_map.max()
        )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["xla", "openvino"])
def test_threads_may_explain_at_the_same_time(engine: str) -> None:
    explainer = Explainer(classifier_of(separable()), maps=1, engine=engine, tune="off")
    pictures = list(photographs()) * 20
    expected = [explainer(picture).logits for picture in pictures[:5]] * 20
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(explainer, pictures))
    for explanation, logits in zip(found, expected, strict=True):
        np.testing.assert_allclose(explanation.logits, logits, atol=1e-5)
