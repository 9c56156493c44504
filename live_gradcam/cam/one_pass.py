"""The function that is compiled: pixels in; predictions, logits and class activation maps out, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import tensorflow as tf

from live_gradcam.cam.graph import run
from live_gradcam.cam.logits import Activation
from live_gradcam.cam.mean_gradient import OffsetPath
from live_gradcam.cam.methods import Method
from live_gradcam.cam.plain_gradients import plain_gradients
from live_gradcam.cam.split import SplitNetwork
from live_gradcam.networks.preprocessing import Preprocessing

#: What is differentiated. logit: the class's own score z. margin: z_c − logsumexp of the others, which is
#: log(p/(1−p)): the softmax's map without its saturation. probability: p itself, as the popular recipe does.
Score = Literal["logit", "margin", "probability"]
SCORES: tuple[str, ...] = get_args(Score)

#: As the class to explain: each frame's own best.
TOP_CLASS = -1

_LUMA_OF_BGR = (0.114, 0.587, 0.299)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class OnePass:
    """Trunk → head → the head's gradient → maps, as pure functions of tensors.

    Attributes:
        split: the network, cut at the target layer.
        offset_path: how far the head has to be differentiated for the mean gradient.
        preprocessing: how pixels become its input.
        activation: what turns its logits into probabilities.
        method: activations and gradients to map.
        score: what is differentiated.
        topk: how many predictions.
        maps: how many classes get a map.
        relu: scale maps from 0 to their maximum; False: from minimum to maximum.
    """

    split: SplitNetwork
    offset_path: OffsetPath
    preprocessing: Preprocessing
    activation: Activation
    method: Method
    score: Score
    topk: int
    maps: int
    relu: bool

    def predict(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        """The predictions alone.

        Args:
            pixels: uint8 (batch, height, width, 3), BGR, of the network's input size.

        Returns:
            `indices` int32 and `probabilities` float32 (batch, topk), best first; `logits` and `all_probabilities`
            float32 (batch, classes).
        """
        return self._predictions(self._logits(run(self.split.head, self._trunk(pixels))))

    def explain(self, pixels: tf.Tensor, target_class: tf.Tensor) -> dict[str, tf.Tensor]:
        """The predictions and the maps. To be traced: gradients are those of a graph.

        Args:
            pixels: as for `predict`.
            target_class: int32 (batch,): the class to explain, or `TOP_CLASS`.

        Returns:
            As `predict`, and `targets` int32 and `target_probabilities` (batch, maps): the class asked for, then the
            best others; `heatmaps` (batch, maps, h, w) in 0…1; `evidence` (batch, maps): their maxima before scaling.
        """
        values = self._trunk(pixels)
        activations = values[self.split.target]
        with plain_gradients():
            logits, targets, gradients = self._differentiated_head(values, target_class)
        activations = self.split.as_map(tf.cast(activations, tf.float32))
        raw_maps = tf.stack([self.method.raw_map(activations, gradient) for gradient in gradients], axis=1)
        heatmaps, evidence = _scale(raw_maps, relu=self.relu)
        predictions = self._predictions(logits)
        return {
            **predictions,
            "targets": targets,
            "target_probabilities": _picked(predictions["all_probabilities"], targets),
            "heatmaps": heatmaps,
            "evidence": evidence,
        }

    def _differentiated_head(
        self, values: dict[int, tf.Tensor], target_class: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """The logits, the classes to map, and for each of those the gradient that the method asks for.

        From a vector on, the head is a few products whose cost is that of reading their kernels, so that all classes
        go through it together, a row each. Maps would be costly to repeat: there each class has a pass of its own.
        """
        split, path = self.split, self.offset_path
        # the offset of tokens would be that of the class token too
        by_offset = self.method.of_mean_gradient and split.grid is None
        if not by_offset:
            path = path.from_activations(split)
        values = run(path.before, values)
        point = values[path.point]
        if path.takes_rows and self.maps > 1:
            point = tf.repeat(point, self.maps, axis=0)
            rows = self._logits(run(path.after, {**values, path.point: point}))
            logits = rows[:: self.maps]
            targets = _targets(logits, target_class, self.maps)
            score = self._score(rows, tf.reshape(targets, [-1]))
            gradient = tf.cast(tf.gradients(score, point)[0], tf.float32)
            gradient = tf.reshape(gradient, [-1, self.maps, *gradient.shape[1:]])
            gradients = tf.unstack(gradient, axis=1)
        else:
            logits = self._logits(run(path.after, values))
            targets = _targets(logits, target_class, self.maps)
            scores = [self._score(logits, targets[:, position]) for position in range(self.maps)]
            gradients = [tf.cast(tf.gradients(score, point)[0], tf.float32) for score in scores]
        make_map = path.mean_gradient if by_offset else split.as_map
        return logits, targets, [make_map(gradient) for gradient in gradients]

    def _trunk(self, pixels: tf.Tensor) -> dict[int, tf.Tensor]:
        return run(self.split.trunk, {self.split.input: network_input(pixels, self.preprocessing)})

    def _logits(self, values: dict[int, tf.Tensor]) -> tf.Tensor:
        """float32 (batch, classes). One unit z becomes the two classes that it decides between: -z and z."""
        logits = tf.cast(values[self.split.output], tf.float32)
        return tf.concat([-logits, logits], axis=-1) if logits.shape[-1] == 1 else logits

    def _probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(logits) if self.activation == "softmax" else tf.math.sigmoid(logits)

    def _predictions(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        indices = tf.math.top_k(logits, self.topk).indices
        probabilities = self._probabilities(logits)
        return {
            "indices": indices,
            "probabilities": _picked(probabilities, indices),
            "logits": logits,
            "all_probabilities": probabilities,
        }

    def _score(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The score (batch,) that is differentiated, of the classes (batch,).

        The class is picked by a one-hot product: XLA would compile anew for every class that slices.
        """
        picked = tf.one_hot(classes, logits.shape[-1])
        if self.score == "probability":
            return tf.reduce_sum(self._probabilities(logits) * picked, axis=-1)
        own = tf.reduce_sum(logits * picked, axis=-1)
        if self.score == "logit":
            return own
        return own - tf.reduce_logsumexp(tf.where(picked > 0, logits.dtype.min, logits), axis=-1)


def network_input(pixels: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """uint8 BGR (batch, height, width, 3) as the network's float32 input."""
    x = tf.cast(pixels, tf.float32)
    if preprocessing.channels == "grey":
        x = tf.reduce_sum(x * tf.constant(_LUMA_OF_BGR), axis=-1, keepdims=True)
        return (x - preprocessing.mean[0]) * preprocessing.scale[0]
    if preprocessing.channels == "rgb":
        x = tf.reverse(x, axis=[-1])
    return (x - tf.constant(preprocessing.mean)) * tf.constant(preprocessing.scale)


def _picked(values: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The values (batch, k) of the classes int32 (batch, k), out of all values (batch, classes).

    By a one-hot product, not `tf.gather`: with a batch axis, OpenVINO 2026.4 gathers from outside of the values.
    """
    return tf.reduce_sum(values[:, tf.newaxis] * tf.one_hot(classes, values.shape[-1]), axis=-1)


def _targets(logits: tf.Tensor, target_class: tf.Tensor, maps: int) -> tf.Tensor:
    """The classes to map, int32 (batch, maps): the one asked for (-1: none) first, then the best others.

    Not by `tf.one_hot`: to ONNX, -1 means the last class.
    """
    asked_for = target_class[:, tf.newaxis] == tf.range(logits.shape[-1])
    return tf.math.top_k(tf.where(asked_for, logits.dtype.max, logits), maps).indices


def _scale(raw_maps: tf.Tensor, *, relu: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Raw maps (batch, maps, h, w) to 0…1, and their maxima before (batch, maps)."""
    highest = tf.reduce_max(raw_maps, axis=(2, 3), keepdims=True)
    if relu:
        positive = tf.nn.relu(raw_maps)
        return tf.math.divide_no_nan(positive, tf.nn.relu(highest)), tf.nn.relu(highest)[:, :, 0, 0]
    lowest = tf.reduce_min(raw_maps, axis=(2, 3), keepdims=True)
    return tf.math.divide_no_nan(raw_maps - lowest, highest - lowest), highest[:, :, 0, 0]
