"""Explains a model while it is trained: its functions are traced once, and read its weights whenever they run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from live_gradcam.attribution.answers import explanation_of, raw_maps_of
from live_gradcam.attribution.building import plan_in_training
from live_gradcam.attribution.framing import Framed
from live_gradcam.attribution.options import Compiling, Explained, ExplainerOptions
from live_gradcam.attribution.plan import Plan
from live_gradcam.attribution.targets import NO_CLASS, TOP_CLASS
from live_gradcam.choices import Output
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.explanation import Explanation, Region
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import flatten, graph_of
from live_gradcam.networks.labels import labels_for, numbered_labels
from live_gradcam.networks.outputs import last_activation, output_of
from live_gradcam.networks.preprocessing import PREPROCESSINGS
from live_gradcam.networks.single import with_one_output
from live_gradcam.networks.subclassed import graph_of_call
from live_gradcam.training.options import CallbackOptions
from live_gradcam.training.untouched import untouched

_log = logging.getLogger(__name__)

#: How many pictures go through the network at a time at most.
_MOST_AT_A_TIME = 32
#: How many pictures the network is checked on.
_CHECKED = 2
#: Losses of numbers that are each true or not, by their names in Keras.
_OF_EACH = ("binary_crossentropy", "binary_focal_crossentropy")
#: Losses of values.
_OF_VALUES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "log_cosh",
    "huber",
    "poisson",
)


class ModelInTraining:
    """Explains pictures by the weights that a model has at the moment.

    Args:
        model: the model; it is built, and never changed.
        images: the pictures, float32 (n, height, width, channels), as the model takes them.
        labels: names of its classes; empty for numbers.
        options: what is explained.

    Attributes:
        trace_count: how often a function has been traced.

    Raises:
        UsageError: as `Explainer`; no such output, or a method of many passes.
        ModelError: the model is no image classifier that can be explained, or does not take such pictures.
    """

    def __init__(self, model: keras.Model, images: np.ndarray, labels: Sequence[str], options: CallbackOptions) -> None:
        if not isinstance(model, keras.Model):
            kind = f"{type(model).__module__}.{type(model).__qualname__}"
            raise ModelError(
                f"a {kind} is no model of Keras 3 ({keras.__version__}), and only these are explained in training"
            )
        self.trace_count = 0
        self._images = images
        self._model = model
        with untouched(model):
            self._plan = _plan_of(model, images[:_CHECKED], labels, options)
        if self._plan.one_pass.method.passes is not None:
            raise UsageError(
                f"{options.method} takes many passes, which would hold up the training: use another method"
            )
        self._batch = self._plan.written.network.batch or min(len(images), _MOST_AT_A_TIME)

    @property
    def classes(self) -> int:
        """How many classes there are to name; 0 where the numbers are values."""
        return 0 if self._plan.vocabulary.are_values else len(self._plan.vocabulary.names)

    def prepare(self) -> None:
        """Trace the function that explains, so that the first maps take no longer than the others."""
        _ = self._explain

    def explain(self, truths: Sequence[int | None]) -> list[Explanation]:
        """Explain all pictures.

        Args:
            truths: for each picture its class; None where it is not known.

        Returns:
            For each picture its explanation. The first map is that of its class, and the next that of the best other
            class; without a class they are those of the best classes. So one of the two is the prediction's.
        """
        maps = self._plan.one_pass.maps
        targets = np.full((len(truths), maps), TOP_CLASS, np.int32)
        targets[:, 0] = [TOP_CLASS if truth is None else truth for truth in truths]
        contrasts = np.full_like(targets, NO_CLASS)
        answers = self._in_batches(self._explain, self._images, targets, contrasts)
        raw_maps = self._plan.layers.on_input(raw_maps_of(answers), relu=True)
        height, width = self._images.shape[1:3]
        framed = Framed(np.empty(0, np.uint8), Region(0, 0, width, height), None)
        return [
            explanation_of(
                self._plan.outline,
                {name: values[row] for name, values in answers.items()},
                [of_layer[row] for of_layer in raw_maps],
                framed,
                [],
                is_signed=False,
            )
            for row in range(len(truths))
        ]

    def probabilities(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """The probabilities float32 (n, classes) of other pictures (height, width, channels)."""
        rest = iter(images)
        found = []
        while some := list(islice(rest, self._batch)):
            found.append(self._in_batches(self._predict, np.stack(some))["probabilities"])
        return np.concatenate(found)

    def _in_batches(self, function: Callable[..., dict[str, tf.Tensor]], *arrays: np.ndarray) -> dict[str, np.ndarray]:
        """What a function gives for any number of rows: each batch is filled up to its size."""
        size, rows = self._batch, len(arrays[0])
        found: list[dict[str, np.ndarray]] = []
        for begin in range(0, rows, size):
            some = [array[begin : begin + size] for array in arrays]
            left = size - len(some[0])
            filled = [np.concatenate([one, np.repeat(one[-1:], left, axis=0)]) if left else one for one in some]
            answers = function(*map(tf.constant, filled))
            found.append({name: tensor.numpy()[: size - left] for name, tensor in answers.items()})
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    @cached_property
    def _explain(self) -> Any:
        classes = tf.TensorSpec((self._batch, self._plan.one_pass.maps), tf.int32)
        return self._traced(self._plan.one_pass.explain_input, classes, classes)

    @cached_property
    def _predict(self) -> Any:
        return self._traced(self._plan.one_pass.predict_input)

    def _traced(self, function: Callable[..., dict[str, tf.Tensor]], *others: tf.TensorSpec) -> Any:
        """The function, whose weights stay variables."""
        images = tf.TensorSpec((self._batch, *self._images.shape[1:]), tf.float32)

        def counted(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            self.trace_count += 1
            return function(*tensors)

        with untouched(self._model):
            return tf.function(counted, autograph=False).get_concrete_function(images, *others)


# --- from a model to a plan ---------------------------------------------------------------------------------------


def _plan_of(model: keras.Model, images: np.ndarray, labels: Sequence[str], options: CallbackOptions) -> Plan:
    whole = model if graph_of(model) is not None else graph_of_call(model.name, model, images.shape[1:], images)
    view = with_one_output(model.name, whole, None, _log.warning)
    shape = tuple(view.inputs[0].shape[1:])
    if len(view.inputs) != 1:
        raise ModelError(
            f"{model.name} has {len(view.inputs)} inputs: only models of one input are explained in training"
        )
    if any(own not in (None, given) for own, given in zip(shape, images.shape[1:], strict=True)):
        raise UsageError(f"the pictures are {images.shape[1:]}, and {model.name} takes {shape}: give them as in fit")
    shape = tuple(view.outputs[0].shape)
    if len(shape) != 2 or shape[1] is None:
        raise ModelError(f"{model.name} gives an output of shape {shape}, and not class scores: (batch, classes)")
    size = images.shape[1], images.shape[2]
    units = shape[1]
    kind = options.output or _output_of(model, view, size, units)
    names = labels_for(list(labels) or None, units, kind) or numbered_labels(units, kind)
    classifier = Classifier(model.name, view, names, size, PREPROCESSINGS["raw"], output=kind)
    explained = Explained(method=options.method, layer=options.layer, topk=min(2, len(names)), maps=min(2, len(names)))
    compiling = Compiling(engine="graph", lowering=False, tune="off")
    return plan_in_training(classifier, ExplainerOptions(explained, compiling=compiling), images)


def _output_of(model: keras.Model, view: keras.Model, size: tuple[int, int], units: int) -> Output:
    """What the model's numbers are, by its last layer; without an activation there, by its loss."""
    activation = last_activation(flatten(view, size))
    if activation == "linear" and _name_of_loss(model) in _OF_EACH:
        return "classes" if units == 1 else "labels"
    if activation == "linear" and _name_of_loss(model) in _OF_VALUES:
        return "values"
    return output_of(activation, units)


def _name_of_loss(model: keras.Model) -> str | None:
    """The name in Keras of what the model is trained by; None for no loss, several, or one of the user's."""
    loss = getattr(model, "loss", None)
    try:
        known: Any = keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError:
        return None
    function = getattr(known, "fn", known)  # of an object of Keras
    is_of_keras = getattr(function, "__module__", "").startswith("keras.")
    return getattr(function, "__name__", None) if is_of_keras else None
