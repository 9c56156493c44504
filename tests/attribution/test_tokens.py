"""Vision transformers with two tokens in front (DeiT), and the layer that one is told to name."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from live_gradcam import Explainer, load_classifier
from live_gradcam.errors import ModelError
from live_gradcam.networks.graph import flatten
from live_gradcam.networks.target_layer import default_target, find_layer

SIZE = (32, 48)


class LeadingTokens(layers.Layer):
    """Puts learned tokens in front of the others."""

    def __init__(self, count: int, **settings) -> None:
        super().__init__(**settings)
        self.count = count

    def build(self, shape) -> None:
        self.tokens = self.add_weight(shape=(1, self.count, shape[-1]), initializer="random_normal")

    def call(self, x):
        return ops.concatenate([ops.broadcast_to(self.tokens, (ops.shape(x)[0], self.count, x.shape[-1])), x], axis=1)


class Block(layers.Layer):
    """A transformer's block in a class of its own, as many programs write it."""

    def build(self, shape) -> None:
        self.norm, self.attention = layers.LayerNormalization(), layers.MultiHeadAttention(2, 6)
        self.norm.build(shape)
        self.attention.build(shape, shape)

    def call(self, x):
        y = self.norm(x)
        return x + self.attention(y, y)


def deit(own_blocks: bool) -> keras.Model:
    """Class and distillation token in front; the answer is the mean of what their two heads say."""
    keras.utils.set_random_seed(4)
    image = keras.Input((*SIZE, 3))
    x = layers.Reshape((24, 12))(layers.Conv2D(12, 8, strides=8, name="patches")(image))
    x = LeadingTokens(2, name="tokens")(x)
    for block in ("block1", "block2"):
        if own_blocks:
            x = Block(name=block)(x)
        else:
            y = layers.LayerNormalization(name=f"{block}_norm")(x)
            x = layers.Add(name=block)([x, layers.MultiHeadAttention(2, 6, name=f"{block}_attention")(y, y)])
    x = layers.LayerNormalization(name="norm")(x)
    heads = [layers.Dense(4, name="classes")(x[:, 0]), layers.Dense(4, name="distilled")(x[:, 1])]
    return keras.Model(image, layers.Average()(heads), name="deit")


@pytest.mark.parametrize(("own_blocks", "layer"), [(False, "block2_norm"), (True, "block1")])
def test_a_transformer_names_a_layer_that_exists_and_has_a_map(own_blocks: bool, layer: str) -> None:
    network = flatten(deit(own_blocks), SIZE)
    with pytest.raises(ModelError, match=rf"--layer, such as {layer}; live-gradcam layers") as caught:
        default_target(network)
    assert find_layer(network, str(caught.value).partition("such as ")[2].partition(";")[0]).name == layer


@pytest.mark.slow
@pytest.mark.parametrize(("own_blocks", "layer"), [(False, "block2_norm"), (True, "block1")])
def test_the_map_is_of_the_patches_alone(own_blocks: bool, layer: str) -> None:
    model = deit(own_blocks)
    frame = np.random.default_rng(2).integers(0, 256, (*SIZE, 3), np.uint8)
    both = keras.Model(model.input, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        tokens, logits = both((frame[None, :, :, ::-1] / 255).astype(np.float32), training=False)
        score = logits[0, 1]
    gradients = tape.gradient(score, tokens)[0, 2:].numpy()
    expected = (tokens[0, 2:].numpy() * gradients.mean(axis=0)).sum(axis=-1).reshape(4, 6)
    classifier = load_classifier(model, preprocessing="unit")
    explanation = Explainer(classifier, maps=1, layer=layer, relu=False, engine="graph", tune="off")(frame, target=1)
    assert np.ptp(expected) > 0
    scaled = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(explanation.heatmaps[0], scaled, atol=1e-4)
