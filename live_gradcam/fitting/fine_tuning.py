"""The last blocks of a network, trained together with the head on what the blocks before them make of the pictures.

Those activations are computed once. Batch norms stay as they are, as of few pictures their statistics would be noise.
The learning rate falls along a cosine, and what is looked at is a running mean of the weights: with few pictures the
latest steps alone throw the balance of the classes about. Training stops when the loss of pictures that are held out
has stopped falling, and the best weights until then are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.choices import Output
from live_gradcam.fitting.blocks import Cut, has_filters
from live_gradcam.fitting.cross_validation import loss_of
from live_gradcam.fitting.fitted import Epoch
from live_gradcam.fitting.head import Head, balanced, said
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.networks.graph import Network, run

_BATCH = 32
_RATE = 1e-4
#: How much of the running mean of the weights each step leaves: it is over about one epoch of 1600 pictures.
_MEMORY = 0.98
#: After so many epochs that are no better than the best one training stops.
_PATIENCE = 3


@dataclass(frozen=True, eq=False)
class Material:
    """What is trained on.

    Attributes:
        views: for each variant of the pictures their activations at the cut, (n, …); the first is of them as they are.
        targets: as `Dataset.targets`.
        train: int (m,): the rows that are trained on.
        held_out: int (l,): the rows by which training stops.
        task: what is predicted.
    """

    views: tuple[np.ndarray, ...]
    targets: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    task: Output


@dataclass(frozen=True, eq=False)
class Tuned:
    """What training gave.

    Attributes:
        head: the trained one, centred.
        curve: its steps; the first one, of number 0, is of the network as it was.
        best: the number of the step whose weights are kept; 0 where training made nothing better.
        is_stopped: whether Ctrl-C ended it.
        answers: for each step what was said of what is held out, float32 (l, k).
    """

    head: Head
    curve: tuple[Epoch, ...]
    best: int
    is_stopped: bool
    answers: tuple[np.ndarray, ...]


class Tail:
    """The last blocks of a network with a head, to be trained in place.

    Args:
        network: up to its features. Its layers are changed.
        cut: where it is cut.
        head: where training begins.
    """

    def __init__(self, network: Network, cut: Cut, head: Head) -> None:
        self._network, self._cut, self._task = network, cut, head.task
        self._dense = keras.layers.Dense(head.weights.shape[1], name="tuned_head")
        self._dense.build((None, head.weights.shape[0]))
        self._dense.set_weights([head.weights, head.bias])
        layers = {id(operation.layer): operation.layer for operation in cut.after if has_filters(operation.layer)}
        self.variables: list[Any] = [
            variable for layer in (*layers.values(), self._dense) for variable in layer.trainable_variables
        ]
        self._fresh = self.weights()

    def begin_again(self, head: Head) -> None:
        """Have the blocks as they were at first, under another head."""
        self.restore(self._fresh)
        self._dense.set_weights([head.weights, head.bias])

    @property
    def head(self) -> Head:
        """The head as it is, its weights of classes centred."""
        weights, bias = self._dense.get_weights()
        if self._task == "classes":
            weights, bias = weights - weights.mean(axis=1, keepdims=True), bias - bias.mean()
        return Head(weights, bias, self._task)

    def features(self, activations: tf.Tensor) -> tf.Tensor:
        """float32 (n, d) of activations at the cut."""
        values = run(self._cut.after, {self._cut.value: activations})
        return tf.cast(values[self._network.output], tf.float32)

    def logits(self, activations: tf.Tensor) -> tf.Tensor:
        """float32 (n, k) of activations at the cut."""
        return self._dense(self.features(activations))

    def features_of(self, activations: np.ndarray) -> np.ndarray:
        """float32 (n, d) of any number of activations at the cut."""
        batches = (activations[begin : begin + _BATCH] for begin in range(0, len(activations), _BATCH))
        return np.concatenate([self._traced(tf.constant(some, tf.float32)).numpy() for some in batches])

    @cached_property
    def _traced(self) -> Any:
        return tf.function(self.features, autograph=False, reduce_retracing=True)

    def weights(self) -> list[np.ndarray]:
        """A copy of what is trained."""
        return [np.array(variable.numpy()) for variable in self.variables]

    def restore(self, weights: list[np.ndarray]) -> None:
        """Put weights back that `weights` gave."""
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)


def fine_tune(tail: Tail, material: Material, *, epochs: int, seed: int, on_batch: Callable[[int, int], None]) -> Tuned:
    """Train the last blocks and the head. Ctrl-C ends it; the best weights until then are kept.

    Args:
        tail: is trained in place.
        material: what it is trained on.
        epochs: how often the pictures are gone through at most.
        seed: of the order of the pictures and their variants.
        on_batch: called after each batch: (batches, batches in all at most).
    """
    batches = math.ceil(len(material.train) / _BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, epochs * batches))
    optimizer.build(tail.variables)
    weights = _weights_of(material)
    step, mean = _step_of(tail, material, optimizer)
    random = np.random.default_rng(seed)
    steps = [_epoch(tail, material, 0, None)]
    best, kept = 0, tail.weights()
    with StopRequest() as stop:
        for epoch in range(1, epochs + 1):
            losses = []
            for number, rows in enumerate(_shuffled(material.train, random), 1):
                views = random.integers(len(material.views), size=len(rows))
                activations = np.stack([material.views[view][row] for view, row in zip(views, rows, strict=True)])
                losses.append(float(step(activations, material.targets[rows], weights[rows])))
                on_batch((epoch - 1) * batches + number, epochs * batches)
                if stop.requested:
                    break
            latest, of_mean = tail.weights(), [variable.numpy() for variable in mean]
            tail.restore(of_mean)
            steps.append(_epoch(tail, material, epoch, float(np.mean(losses))))
            if steps[-1][0].val_loss < steps[best][0].val_loss:
                best, kept = epoch, of_mean
            tail.restore(latest)
            if stop.requested or epoch - best >= _PATIENCE:
                break
    tail.restore(kept)
    on_batch(epochs * batches, epochs * batches)
    curve, answers = zip(*steps, strict=True)
    return Tuned(tail.head, curve, best, stop.requested, answers)


def _shuffled(rows: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    mixed = random.permutation(rows)
    return (mixed[begin : begin + _BATCH] for begin in range(0, len(mixed), _BATCH))


def _weights_of(material: Material) -> np.ndarray:
    """How much each example counts, float32 (n, 1), or (n, k) of labels: classes count the same, as in the head."""
    targets, train = material.targets, material.train
    weights = np.ones((len(targets), targets.shape[1] if material.task == "labels" else 1), np.float32)
    columns = targets.T if material.task == "labels" else targets[None]
    if material.task != "values":
        for column, of_column in zip(columns, weights.T, strict=True):
            of_column[train] = balanced(np.unique(column[train], return_inverse=True)[1], len(np.unique(column[train])))
    return weights


def _step_of(
    tail: Tail, material: Material, optimizer: keras.optimizers.Optimizer
) -> tuple[Callable[..., tf.Tensor], list[tf.Variable]]:
    """The function that trains on a batch and gives its loss, and the running mean of the weights that it keeps."""
    mean = [tf.Variable(weights, trainable=False) for weights in tail.weights()]
    # Numbers in any unit are trained on in steps of one size, and their loss is said in that unit.
    unit = (float(np.var(material.targets[material.train])) or 1.0) if material.task == "values" else 1.0

    def losses(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        if material.task == "labels":
            return tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets, tf.float32), logits)
        if material.task == "values":
            return tf.square(logits - tf.cast(targets, tf.float32)[:, None]) / unit
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)[:, None]

    def train(activations: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in tail.variables])
            loss = tf.reduce_mean(losses(tail.logits(tf.cast(activations, tf.float32)), targets) * weights)
        gradients = tape.gradient(loss, [variable.value for variable in tail.variables])
        optimizer.apply_gradients(zip(gradients, tail.variables, strict=True))
        for of_mean, variable in zip(mean, tail.variables, strict=True):
            of_mean.assign(_MEMORY * of_mean + (1 - _MEMORY) * variable.value)
        return loss * unit

    traced = tf.function(train, autograph=False, reduce_retracing=True)

    def step(activations: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tf.Tensor:
        return traced(tf.constant(activations), tf.constant(targets), tf.constant(weights))

    return step, mean


def _epoch(tail: Tail, material: Material, number: int, loss: float | None) -> tuple[Epoch, np.ndarray]:
    """How good the network is on what is held out, and what it says of it."""
    rows = material.held_out
    features = tail.features_of(material.views[0][rows])
    answers = said(tail.head.logits(features), material.task)
    targets = material.targets[rows]
    accuracy = None
    if material.task == "classes":
        accuracy = float(np.mean(answers.argmax(axis=1) == targets))
    elif material.task == "labels":
        accuracy = float(np.mean((answers > 0.5) == targets))
    return Epoch(number, loss, loss_of(answers.astype(float), targets, material.task), accuracy), answers
