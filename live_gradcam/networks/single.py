"""A model with one image input and one output, made of a user's with several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from live_gradcam.errors import ModelError, UsageError, did_you_mean, first_line
from live_gradcam.networks.outputs import activation_of, only_moves_numbers

#: From the likeliest on, the activations that classes and labels come from.
_LIKE_CLASSES = ("softmax", "sigmoid", "linear")
#: What an input is held at: a number for all of it, an array of its shape without the batch, or a `.npy` file of one.
Held = float | np.ndarray | str | Path


def with_one_output(name: str, model: keras.Model, head: str | None, say: Callable[[str], None]) -> keras.Model:
    """The model with one of its outputs alone.

    Args:
        name: of the model, for messages.
        model: a functional model.
        head: the output's name; None for the one that looks like classes.
        say: called with a line that says which one was chosen.

    Raises:
        UsageError: no output of that name.
        ModelError: none of several outputs looks like classes.
    """
    if not getattr(model, "outputs", None):
        return model
    names = _output_names(model)
    if head is not None and head not in names:
        hint = did_you_mean(head, names) or f": it has {', '.join(names)}"
        raise UsageError(f"{name} has no output {head!r}{hint}")
    if len(names) == 1:
        return model
    chosen = head
    if chosen is None:
        chosen = _most_like_classes(name, model, names)
        others = ", ".join(other for other in names if other != chosen)
        say(f"{name} has {len(names)} outputs: {chosen} is explained. Choose another with --head ({others})")
    return keras.Model(model.inputs, model.outputs[names.index(chosen)], name=model.name)


def _output_names(model: keras.Model) -> list[str]:
    """The names of a model's outputs: the keys of a dictionary, else the layers' names, made unique."""
    struct = getattr(model, "_outputs_struct", None)
    if isinstance(struct, dict):
        names = [str(path[0]) for path, _ in keras.tree.flatten_with_path(struct)]
    else:
        names = [tensor._keras_history.operation.name for tensor in model.outputs]
    return [name if names.count(name) == 1 else f"{name}:{position}" for position, name in enumerate(names)]


def _most_like_classes(name: str, model: keras.Model, names: list[str]) -> str:
    """Of several outputs, the first of a softmax; else of a sigmoid; else of logits; else of values."""
    ranks = {
        output_name: (_unlikeness(tensor), position)
        for position, (output_name, tensor) in enumerate(zip(names, model.outputs, strict=True))
        if len(tensor.shape) == 2 and tensor.shape[1] is not None
    }
    if not ranks:
        raise ModelError(f"{name} has {len(names)} outputs ({', '.join(names)}), and none is of shape (batch, classes)")
    return min(ranks, key=ranks.__getitem__)


def _unlikeness(tensor: keras.KerasTensor) -> int:
    """How unlike classes the numbers of an output look, by the activation of the layer that makes them."""
    units = tensor.shape[1]
    while True:
        operation, node, index = tensor._keras_history
        inputs = operation._inbound_nodes[node].input_tensors
        if isinstance(operation, keras.Model):
            tensor = operation.outputs[index]
        elif only_moves_numbers(operation) and inputs:
            tensor = inputs[0]
        else:
            break
    activation = activation_of(operation)
    if activation not in _LIKE_CLASSES or (activation == "linear" and units == 1):
        return len(_LIKE_CLASSES)
    return _LIKE_CLASSES.index(activation)


def with_one_input(name: str, model: keras.Model, feed: Mapping[str, Held]) -> keras.Model:
    """The model with its image input alone; the others are held still.

    Args:
        name: of the model, for messages.
        model: a functional model.
        feed: what each of the other inputs is held at, by its name.

    Raises:
        UsageError: an input of that name does not exist, or is the image.
        ModelError: an input is not held, or the value does not go with its shape; there is no image, or several.
    """
    inputs = {tensor.name: tensor for tensor in getattr(model, "inputs", None) or []}
    for held in feed:
        if held not in inputs:
            hint = did_you_mean(held, inputs) or f": it has {', '.join(inputs)}"
            raise UsageError(f"{name} has no input {held!r}{hint}")
    if len(inputs) < 2 and not feed:
        return model
    images = [other for other, tensor in inputs.items() if other not in feed and _is_of_image(tensor.shape)]
    missing = [other for other in inputs if other not in feed and other not in images[:1]]
    if not images:
        raise ModelError(f"{name} has no input for the picture that --feed does not set: {_listed(inputs)}")
    if missing:
        flags = " ".join(f"--feed {other}=VALUE" for other in missing)
        raise ModelError(
            f"{name} has {len(inputs)} inputs ({_listed(inputs)}): set all but the picture, with {flags} or "
            "--feed NAME=FILE.npy"
        )
    image = keras.Input(batch_shape=inputs[images[0]].shape, dtype=inputs[images[0]].dtype, name=images[0])
    tensors = [
        image if other == images[0] else HeldStill(_value(name, tensor, feed[other]), dtype=tensor.dtype)(image)
        for other, tensor in inputs.items()
    ]
    packed = keras.tree.pack_sequence_as(model._inputs_struct, tensors)
    same = keras.Model(model._inputs_struct, model.outputs[0], name=model.name)  # so that the user's is not called
    return keras.Model(image, same(packed), name=model.name)


def check_takes_pictures(name: str, shape: Any) -> None:
    """Make sure that an input is for pictures.

    Args:
        name: of the model, for messages.
        shape: of its input; of several inputs what Keras says of them.

    Raises:
        ModelError: it is not (batch, height, width, 1 or 3).
    """
    if not (isinstance(shape, (list, tuple)) and _is_of_image(shape)):
        raise ModelError(f"{name} takes an input of shape {shape}, and not images: (batch, height, width, 1 or 3)")


def _is_of_image(shape: Sequence[int | None]) -> bool:
    return len(shape) == 4 and shape[3] in (1, 3)


def _listed(inputs: Mapping[str, keras.KerasTensor]) -> str:
    return ", ".join(f"{name} {tuple(tensor.shape[1:])}" for name, tensor in inputs.items())


def _value(name: str, tensor: keras.KerasTensor, held: Held) -> np.ndarray:
    """What an input is held at, of its shape without the batch."""
    if isinstance(held, (str, Path)):
        try:
            held = np.load(held, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ModelError(f"{held} cannot be read as a NumPy array (.npy): {first_line(error)}") from error
    shape = tuple(side or 1 for side in tensor.shape[1:])
    value = np.asarray(held)
    if value.shape == (1, *shape):
        value = value[0]
    if value.size != 1 and value.shape != shape:
        raise ModelError(f"{name}'s input {tensor.name} has the shape {shape}, and its value the shape {value.shape}")
    return np.broadcast_to(value.astype(tensor.dtype), shape)


class HeldStill(keras.layers.Layer):  # type: ignore[misc]
    """The same numbers for each picture of a batch.

    Args:
        value: the numbers for one picture.
        settings: as for every layer.
    """

    def __init__(self, value: np.ndarray, **settings: Any) -> None:
        super().__init__(autocast=False, **settings)
        self._value = value

    def call(self, images: Any) -> Any:
        """The numbers (batch, …) for images (batch, …)."""
        value = keras.ops.convert_to_tensor(self._value)
        return keras.ops.broadcast_to(value, (keras.ops.shape(images)[0], *self._value.shape))

    def compute_output_spec(self, images: Any) -> keras.KerasTensor:
        """The shape and dtype of what `call` gives."""
        return keras.KerasTensor((images.shape[0], *self._value.shape), dtype=self._value.dtype.name)
