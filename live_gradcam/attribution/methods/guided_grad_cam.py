"""Guided Grad-CAM: the pixels that raise the score, where Grad-CAM is strong."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.attribution.methods.grad_cam import grad_cam
from live_gradcam.attribution.methods.method import Compile, ExplainedInput, Method, OnProgress, Signature
from live_gradcam.attribution.one_pass import OnePass
from live_gradcam.attribution.plain_gradients import RELUS, is_maximum_with_0, let_no_negative_back, plain_gradients
from live_gradcam.errors import ModelError
from live_gradcam.explanations.fits import enlarged
from live_gradcam.networks.graph import Operation, run
from live_gradcam.networks.network_input import network_input

_log = logging.getLogger(__name__)


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
        guided: set[str] = set()
        operations = [_guided(operation, guided) for operation in (*split.trunk, *split.head)]
        with plain_gradients(guided=True):
            logits = self._one_pass.logits(run(operations, {split.input: x}))
        traced = x.graph.get_operations()
        in_functions = {node.op for function in x.graph.as_graph_def().library.function for node in function.node_def}
        is_some_left = any(is_maximum_with_0(one) and one.name not in guided for one in traced)
        if is_some_left or not in_functions.isdisjoint(RELUS):
            _log.warning(
                "guided-grad-cam does not guide all ReLUs of this network: negative gradients go back through those "
                "inside of a tf.function, and of a layer that computes max(x, 0) itself"
            )
        elif not guided and not any(one.type in RELUS for one in traced):
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


def _guided(operation: Operation, guided: set[str]) -> Operation:
    """An operation, guided where it is a ReLU in another form than TensorFlow's own, or in other words.

    Args:
        operation: of the network.
        guided: where the names of TensorFlow's operations go that were guided here.
    """
    layer = operation.layer

    def call(tensors: list[Any]) -> list[Any]:
        outputs = operation.call(tensors)
        is_relu = isinstance(layer, keras.layers.ReLU) and not np.any(layer.negative_slope)
        if len(outputs) != 1 or not (is_relu or is_maximum_with_0(outputs[0].op)):
            return outputs
        guided.add(outputs[0].op.name)
        return [let_no_negative_back(outputs[0])]

    return replace(operation, call=call)


METHOD = Method(grad_cam, "mean gradient", passes=GuidedGradCam)
