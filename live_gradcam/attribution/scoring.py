"""What a network's logits are, and what of them is differentiated, as pure functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.logits import ACTIVATIONS
from live_gradcam.choices import Output, Score
from live_gradcam.networks.outputs import Activation

#: What is below it is 0 to a sum of exponentials whose largest is 1.
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Scoring:
    """From logits to probabilities, to the best classes, and to the score that a map explains.

    Attributes:
        activation: what turns logits into probabilities or values.
        output: what these are.
        score: what is differentiated.
        own_score: what the method differentiates in its place, of logits and one-hot classes; None for that.
        members: float32 (groups, classes), 1 where a class belongs to a group (`explanations.vocabulary`). Where there
            are any, groups are listed instead of classes, and a group's index is the number of classes plus its own.
    """

    activation: Activation
    output: Output
    score: Score
    own_score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None
    members: np.ndarray

    def logits(self, numbers: tf.Tensor) -> tf.Tensor:
        """The logits float32 (batch, classes) of what the network gives, (batch, units).

        One unit z of a sigmoid becomes the two classes that it decides between: -z and z.
        """
        logits = tf.cast(numbers, tf.float32)
        decides = self.output == "classes" and logits.shape[-1] == 1
        return tf.concat([-logits, logits], axis=-1) if decides else logits

    def whole(self, logits: tf.Tensor, tiles: int) -> tf.Tensor:
        """The logits (batch, classes) of frames, from those of their tiles (batch · tiles, classes).

        Their softmax, or sigmoid, is the mean of the tiles' probabilities. With softmax a number may be added to
        all: it is the mean over tiles of logsumexp, so that a single tile's logits are its own. Of values it is the
        mean of the tiles' scores.
        """
        if tiles == 1:
            return logits
        logits = tf.reshape(logits, [-1, tiles, logits.shape[-1]])
        if self.output == "values":
            return tf.reduce_mean(logits, axis=1)
        if self.activation == "softmax":
            total = tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
            mean = tf.reduce_logsumexp(logits - total, axis=1) - math.log(tiles)
            return mean + tf.reduce_mean(total, axis=1)
        log_odds = [tf.reduce_logsumexp(tf.math.log_sigmoid(sign * logits), axis=1) for sign in (1, -1)]
        return log_odds[0] - log_odds[1]

    def numbers(self, logits: tf.Tensor) -> tf.Tensor:
        """The probabilities, or the values, of logits."""
        return ACTIVATIONS[self.activation](logits)

    def predictions(self, logits: tf.Tensor, topk: int) -> dict[str, tf.Tensor]:
        """The best classes of frames, int32 (batch, topk), best first, with all logits and probabilities.

        Args:
            logits: float32 (batch, classes), of whole frames.
            topk: how many.

        Returns:
            `indices`, `logits`, and `probabilities` float32 (batch, classes + groups).
        """
        indices = tf.math.top_k(self.ranked(logits), topk).indices
        probabilities = self.numbers(logits)
        if self._has_groups:
            probabilities = tf.concat([probabilities, self._sums_of_groups(probabilities)], axis=-1)
        return {
            "indices": indices,
            "logits": logits,
            "probabilities": probabilities,
        }

    @property
    def _has_groups(self) -> bool:
        return len(self.members) > 0

    def _sums_of_groups(self, values: tf.Tensor) -> tf.Tensor:
        """Values (n, classes) added up over each group's classes, (n, groups)."""
        return tf.linalg.matmul(values, tf.constant(self.members), transpose_b=True)

    def ranked(self, logits: tf.Tensor) -> tf.Tensor:
        """What the best are the best by, (n, classes + groups); where there are groups, they are before all classes.

        Values come in their own order.
        """
        if self.output == "values":
            return tf.zeros_like(logits) - tf.range(logits.shape[-1], dtype=tf.float32)
        if not self._has_groups:
            return logits
        return tf.concat([tf.fill(tf.shape(logits), -1.0), self._sums_of_groups(self.numbers(logits))], axis=-1)

    def score_of(self, logits: tf.Tensor, classes: tf.Tensor, contrasts: tf.Tensor) -> tf.Tensor:
        """The score (n,) that is differentiated, of the classes (n,), less that of what they are contrasted with.

        A group's logit is log Σ exp(z) over its classes, as if it were one class: exp of it is in the same proportion
        to the probability as exp(z) of a class, and the logit of a group of one class is that class's.
        """
        picked, against = self._one_hot(classes), self._one_hot(contrasts)
        if self.own_score is not None:
            own = self._finer_score(logits, picked)
            return tf.where(contrasts < 0, own, self._logit_of(logits, picked) - self._logit_of(logits, against))
        return self._score_of_one(logits, picked) - self._score_of_one(logits, against)

    @property
    def is_of_logits(self) -> bool:
        """Whether a score is a class's logit, less that of the class that it is contrasted with, and no more."""
        return self._is_logit and self.own_score is None and not self._has_groups

    @property
    def _is_logit(self) -> bool:
        """Whether the score of one class is its logit. A sigmoid's logit is the margin over not being that class."""
        return self.score == "logit" or (self.score == "margin" and self.activation == "sigmoid")

    def _one_hot(self, classes: tf.Tensor) -> tf.Tensor:
        """float32 (n, classes + groups): 1 for the class; no class is the row of zeros.

        By comparing: with slices XLA would compile again for every class, and to ONNX's one-hot -1 is the last class.
        """
        groups, count = self.members.shape
        return tf.cast(classes[:, tf.newaxis] == tf.range(count + groups), tf.float32)

    def _score_of_one(self, logits: tf.Tensor, picked: tf.Tensor) -> tf.Tensor:
        """The score (n,) of what is picked (n, classes + groups); 0 where nothing is."""
        if self._is_logit:
            return self._logit_of(logits, picked)
        classes = self._classes_of(picked)
        if self.score == "probability":
            return tf.reduce_sum(self.numbers(logits) * classes, axis=-1)
        others = tf.reduce_logsumexp(tf.where(classes > 0, logits.dtype.min, logits), axis=-1)
        return self._logit_of(logits, picked) - tf.reduce_max(classes, axis=-1) * others

    def _logit_of(self, logits: tf.Tensor, picked: tf.Tensor) -> tf.Tensor:
        if not self._has_groups:
            return tf.reduce_sum(logits * picked, axis=-1)
        classes = self._classes_of(picked)
        total = tf.reduce_logsumexp(tf.where(classes > 0, logits, logits.dtype.min), axis=-1)
        return tf.where(tf.reduce_max(classes, axis=-1) > 0, total, 0)

    def _classes_of(self, picked: tf.Tensor) -> tf.Tensor:
        """float32 (n, classes): 1 for each class that is picked, by itself or in its group."""
        if not self._has_groups:
            return picked
        count = self.members.shape[1]
        return picked[:, :count] + tf.linalg.matmul(picked[:, count:], tf.constant(self.members))

    def _finer_score(self, logits: tf.Tensor, picked: tf.Tensor) -> tf.Tensor:
        """The method's own score: of a class among the classes, of a group among the groups."""
        assert self.own_score is not None
        if not self._has_groups:
            return self.own_score(logits, picked)
        count = self.members.shape[1]
        highest = tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True))
        total = self._sums_of_groups(tf.exp(logits - highest))
        of_groups = self.own_score(tf.math.log(tf.maximum(total, _TINY)) + highest, picked[:, count:])
        is_group = tf.reduce_max(picked[:, count:], axis=-1) > 0
        return tf.where(is_group, of_groups, self.own_score(logits, picked[:, :count]))


def chosen_classes(ranks: tf.Tensor, target_classes: tf.Tensor) -> tf.Tensor:
    """The classes to map, int32 (batch, maps): those asked for, then (-1) the best others, best first."""
    maps = target_classes.shape[1]
    is_open = target_classes < 0
    is_asked_for = tf.reduce_any(target_classes[..., tf.newaxis] == tf.range(ranks.shape[-1]), axis=1)
    others = tf.math.top_k(tf.where(is_asked_for, ranks.dtype.min, ranks), maps).indices
    places = tf.cumsum(tf.cast(is_open, tf.int32), axis=1) - 1  # of the open ones among the others
    filled = tf.reduce_sum(
        tf.where(places[..., tf.newaxis] == tf.range(maps), others[:, tf.newaxis], 0),
        axis=-1,
    )
    return tf.where(is_open, filled, target_classes)
