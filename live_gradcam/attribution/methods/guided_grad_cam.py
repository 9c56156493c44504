"""Guided Grad-CAM: the pixels that raise the score, where Grad-CAM is strong."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Compile, ExplainedInput, Method, OnProgress, Signature
from live_gradcam.attribution.one_pass import OnePass
from live_gradcam.attribution.plain_gradients import RELUS, plain_gradients
from live_gradcam.errors import ModelError
from live_gradcam.explanations.fits import enlarged
from live_gradcam.networks.graph import run
from live_gradcam.networks.network_input import network_input


class GuidedGradCam:
    """Guided Grad-CAM: guided backpropagation to the network's input, times Grad-CAM enlarged to it.

    Selvaraju et al., as for `methods.grad_cam`, section 3.2. Of the three colour channels the strongest
    counts, so that the result is a map of the input's size. It is signed: the score rises with a pixel, or falls.

    Raises:
        ModelError: the network has no ReLU, without which guided backpropagation is just the gradient.
    """

    are_of_input = True
    is_signed = True

    def __init__(self, one_pass: OnePass, compile_: Compile, signature: Signature) -> None:
        self._one_pass = one_pass
        self._gradients = compile_(self._guided_gradients, signature)

    def _guided_gradients(self, pixels: tf.Tensor, classes: tf.Tensor, contrasts: tf.Tensor) -> dict[str, tf.Tensor]:
        split = self._one_pass.split
        x = network_input(pixels, self._one_pass.preprocessing)
        with plain_gradients(guided=True):
            logits = self._one_pass.logits(run((*split.trunk, *split.head), {split.input: x}))
        if not any(operation.type in RELUS for operation in x.graph.get_operations()):
            raise ModelError("guided-grad-cam is for networks with ReLUs, and this one has none: use another method")
        gradients = [
            tf.gradients(self._one_pass.scoring.score_of(logits, classes[:, k], contrasts[:, k]), x)[0]
            for k in range(self._one_pass.maps)
        ]
        return {"gradients": tf.stack([tf.cast(gradient, tf.float32) for gradient in gradients], axis=1)}

    def raw_maps(self, explained: ExplainedInput, on_progress: OnProgress | None) -> np.ndarray:
        """See `Passes`; (h, w) is the network's input size."""
        gradients = self._gradients(*explained.arguments)["gradients"][0]
        maps = [enlarged(heatmap, explained.pixels.shape[:2]) for heatmap in explained.heatmaps]
        strongest = np.abs(gradients).argmax(axis=-1, keepdims=True)
        return np.take_along_axis(gradients, strongest, axis=-1)[..., 0] * np.stack(maps)


METHOD = Method(grad_cam, "mean gradient", passes=GuidedGradCam)
