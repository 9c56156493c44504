"""Score-CAM: feature maps, weighted by the score of the picture under each of them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.methods.channel_by_channel import ChannelByChannel
from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Method
from live_gradcam.networks.graph import run
from live_gradcam.networks.network_input import network_input


class ScoreCam(ChannelByChannel):
    """Score-CAM: Σₖ softmaxₖ(Sₖ) Aₖ, Sₖ the score of the input times channel k, enlarged and scaled to 0…1.

    Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR 2020 workshop,
    algorithm 1 (https://arxiv.org/abs/1910.01279). The score of the baseline, which the paper takes off each, makes no
    difference to the softmax. Channels are enlarged with the pixels' corners aligned to the map's outer edges, as the
    paper's authors do it; pytorch-grad-cam aligns the outer pixels' centres, and its maps differ by that.
    """

    def changed_logits(self, pixels: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """See `ChannelByChannel`."""
        one_pass = self.one_pass
        x = network_input(pixels, one_pass.preprocessing)
        activations = one_pass.activations(pixels)
        chosen = tf.one_hot(channels, activations.shape[-1])
        maps = tf.einsum("hwc,nc->nhw", activations[0], chosen)
        masks = _scaled(one_pass.on_input(maps))[..., tf.newaxis]
        split = one_pass.split
        return one_pass.logits(run((*split.trunk, *split.head), {split.input: x * masks}))

    def weights(self, scores: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
        """See `ChannelByChannel`."""
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


def _scaled(maps: tf.Tensor) -> tf.Tensor:
    """Maps (n, h, w), each from its minimum to its maximum as 0…1; one that is the same everywhere is 0."""
    lowest = tf.reduce_min(maps, axis=(1, 2), keepdims=True)
    return tf.math.divide_no_nan(maps - lowest, tf.reduce_max(maps, axis=(1, 2), keepdims=True) - lowest)


METHOD = Method(grad_cam, "mean gradient", passes=ScoreCam)
