"""Ablation-CAM: feature maps, weighted by how much the score falls without each of them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.methods.channel_by_channel import BATCH, ChannelByChannel
from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Method


class AblationCam(ChannelByChannel):
    """Ablation-CAM: Σₖ wₖ Aₖ with wₖ = (y − yₖ) / |y|, yₖ the score with channel k set to 0.

    Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free
    Localization", WACV 2020, equation 3. The paper divides by y, which would turn the map of a class with a negative
    score into what speaks against it.
    """

    def changed_logits(self, pixels: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        """See `ChannelByChannel`."""
        values = self.one_pass.trunk_values(pixels)
        activations = values[self.one_pass.split.target]
        kept = tf.cast(channels[:, tf.newaxis] != tf.range(activations.shape[-1]), activations.dtype)
        kept = tf.reshape(kept, [BATCH, *(1 for _ in activations.shape[1:-1]), -1])
        return self.one_pass.logits_of(activations * kept, values, BATCH)

    def weights(self, scores: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
        """See `ChannelByChannel`."""
        return (unchanged - scores) / np.maximum(np.abs(unchanged), np.finfo(np.float32).tiny)


METHOD = Method(grad_cam, "mean gradient", passes=AblationCam)
