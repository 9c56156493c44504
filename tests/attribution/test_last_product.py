"""A logit's gradient is read from the last layer's kernel: the same numbers, without the product."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from live_gradcam import Explainer
from live_gradcam.attribution.last_product import last_product
from live_gradcam.attribution.scoring import Scoring
from live_gradcam.attribution.targets import NO_CLASS
from live_gradcam.choices import Score
from tests.toy_networks import FRAME, classifier_of, pooled_network, two_dense_layers

KERNEL = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
BIAS = np.float32([1, -1, 2, 0])


def gradient_of(logits_of: str, classes: list[int], contrasts: list[int]) -> np.ndarray | None:
    """The gradient by the kernel of logits that are made in this way; None where it is not read from there."""
    kernel = tf.constant(KERNEL.T if logits_of == "transposed" else KERNEL)
    bias, variable = tf.constant(BIAS), tf.Variable(KERNEL)
    transposed, pointwise = tf.constant(KERNEL.T), tf.constant(KERNEL[np.newaxis, np.newaxis])
    makers = {
        "sums": lambda x: tf.identity(x @ kernel + bias),
        "bias added": lambda x: tf.nn.bias_add(x @ kernel, bias),
        "transposed": lambda x: tf.linalg.matmul(x, kernel, transpose_b=True),
        "variable": lambda x: x @ variable,
        "kernel first": lambda x: tf.transpose(tf.linalg.matmul(transposed, x, transpose_b=True)) + bias,
        "convolution": lambda x: tf.reshape(tf.nn.conv2d(x[:, None, None], pointwise, 1, "SAME") + bias, [-1, 4]),
        "activated": lambda x: tf.nn.relu(x @ kernel),
        "another product beside it": lambda x: x @ kernel + x @ kernel,
        "a kernel of the frame's": lambda x: x @ (kernel * tf.reduce_sum(x)),
        "a bias of the frame's": lambda x: x @ kernel + tf.reduce_sum(x) * bias,
        "two columns of one unit": lambda x: tf.concat([-(x @ kernel), x @ kernel], axis=-1),
        "two places": lambda x: tf.reshape(
            tf.nn.conv2d(tf.reshape(x, [1, 1, 2, 3]), pointwise[:, :, :3], 1, "SAME"), [1, 8]
        ),
        "other rows": lambda x: tf.reshape(x @ kernel, [2, 2]),
        "a kernel of three taps": lambda x: tf.reshape(
            tf.nn.conv2d(x[:, None, None], tf.repeat(pointwise, 3, axis=0), 1, "SAME"), [-1, 4]
        ),
    }
    found = []

    @tf.function(autograph=False)
    def gradient(x: tf.Tensor) -> tf.Tensor:
        last = last_product(makers[logits_of](x))
        found.append(last)
        return x if last is None else last.gradient(tf.constant(classes), tf.constant(contrasts))

    result = gradient(tf.ones((len(classes), 6)))
    return None if found[0] is None else result.numpy().reshape(-1, 6)


@pytest.mark.parametrize("logits_of", ["sums", "bias added", "transposed", "variable", "kernel first", "convolution"])
def test_it_is_the_classs_column_less_the_contrasts(logits_of: str) -> None:
    gradient = gradient_of(logits_of, [2, 0, 3], [NO_CLASS, 1, 0])

    expected = np.stack([KERNEL[:, 2], KERNEL[:, 0] - KERNEL[:, 1], KERNEL[:, 3] - KERNEL[:, 0]])
    np.testing.assert_array_equal(gradient, expected)


def test_many_rows_are_read_together() -> None:
    gradient = gradient_of("sums", [index % 4 for index in range(40)], [NO_CLASS] * 40)

    np.testing.assert_array_equal(gradient, np.tile(KERNEL.T, (10, 1)))


@pytest.mark.parametrize(
    "logits_of",
    [
        "activated",
        "another product beside it",
        "a kernel of the frame's",
        "a bias of the frame's",
        "two columns of one unit",
        "two places",
        "other rows",
        "a kernel of three taps",
    ],
)
def test_what_is_no_plain_sum_is_differentiated(logits_of: str) -> None:
    assert gradient_of(logits_of, [2], [NO_CLASS]) is None


def flattened() -> keras.Model:
    """One dense layer reads all places: what is differentiated by are its own sums."""
    keras.utils.set_random_seed(5)
    image = keras.Input((12, 14, 3))
    x = layers.Flatten()(layers.Conv2D(6, 3, activation="relu", name="maps")(image))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def convolution_at_the_end() -> keras.Model:
    """As MobileNet: the classes are 1 × 1 convolutions of the one place that is left."""
    keras.utils.set_random_seed(5)
    image = keras.Input((12, 14, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="maps")(image)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Flatten()(layers.Conv2D(5, 1)(x))
    return keras.Model(image, layers.Softmax()(x))


NETWORKS = {
    "convolution": convolution_at_the_end,
    "pooled": lambda: pooled_network("maps"),
    "two dense": two_dense_layers,
    "flattened": flattened,
}


@pytest.mark.slow
@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize("method", ["grad-cam", "hirescam"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_maps_are_those_of_a_tape(network: str, method: str, maps: int) -> None:
    model = NETWORKS[network]()
    explanation = Explainer(classifier_of(model), layer="maps", method=method, maps=maps)(FRAME)

    to_maps = keras.Model(model.input, [model.get_layer("maps").output, model.output])
    (last,) = (index for index, layer in enumerate(model.layers) if layer.output.shape[-1] == 5 and layer.weights)
    kernel, bias = (np.asarray(weight) for weight in model.layers[last].weights)
    with tf.GradientTape(persistent=True) as tape:
        activations, _ = to_maps(FRAME[np.newaxis, ..., ::-1].astype(np.float32) / 255, training=False)
        tape.watch(activations)
        values = activations
        for layer in model.layers[model.layers.index(model.get_layer("maps")) + 1 : last]:
            values = layer(values)
        logits = tf.reshape(values, [1, -1]) @ kernel.reshape(-1, 5) + bias
        scores = [logits[0, target.index] for target in explanation.targets]
    assert len(scores) == maps
    for score, heatmap, evidence in zip(scores, explanation.heatmaps, explanation.evidence, strict=True):
        gradient = tape.gradient(score, activations)
        if method == "grad-cam":
            gradient = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        expected = np.maximum(tf.reduce_sum(activations * gradient, axis=-1)[0], 0)
        np.testing.assert_allclose(heatmap * evidence, expected, atol=1e-5 * max(expected.max(), 1e-3))


@pytest.mark.slow
@pytest.mark.parametrize("lowering", [True, False])
@pytest.mark.parametrize("network", ["convolution", "pooled", "two dense"])
@pytest.mark.parametrize(("score", "count"), [("logit", 0), ("margin", 1)])
def test_only_other_scores_are_differentiated_as_sums(
    score: Score, count: int, network: str, lowering: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    differentiated = []
    score_of = Scoring.score_of
    monkeypatch.setattr(Scoring, "score_of", lambda *given: differentiated.append(1) or score_of(*given))

    classifier = classifier_of(NETWORKS[network]())
    Explainer(classifier, layer="maps", engine="graph", lowering=lowering, score=score)(FRAME)

    assert len(differentiated) == count
