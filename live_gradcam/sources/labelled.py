"""Pictures with labels, as Keras is trained on them: arrays, and datasets of TensorFlow. Never imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from live_gradcam.errors import SourceError, UsageError


class Labelled(NamedTuple):
    """A picture with its label.

    Attributes:
        image: (height, width, channels), as it is.
        label: a number, or (classes,), as it is; None where there is none.
    """

    image: np.ndarray
    label: np.ndarray | None


def is_dataset(source: object) -> bool:
    """Whether something is a `tf.data.Dataset`."""
    return hasattr(source, "element_spec") and hasattr(source, "__iter__")


def read_labelled(source: Any, most: int | None = None) -> Iterator[Labelled]:
    """The pictures one after the other.

    Args:
        source: an array of pictures (n, height, width, channels), a tuple (pictures, labels), or a `tf.data.Dataset`
            of such, in batches or not.
        most: how many at most; None for all.

    Raises:
        SourceError: there are none.
        UsageError: these are no pictures, or not as many labels.
    """
    count = 0
    for one in islice(_each(source), most):
        yield one
        count += 1
    if count == 0:
        raise SourceError("there are no pictures in the data")


def _each(source: Any) -> Iterator[Labelled]:
    if is_dataset(source):
        for element in source:
            yield from _of_element(element)
    else:
        yield from _of_element(source)


def _of_element(element: Any) -> Iterator[Labelled]:
    """Of a batch, or of a single picture."""
    images, labels = element if isinstance(element, (tuple, list)) and len(element) == 2 else (element, None)
    if isinstance(element, tuple) and len(element) == 3:  # the third are weights
        images, labels, _ = element
    if isinstance(images, (dict, tuple, list)) or isinstance(labels, (dict, tuple)):
        raise UsageError(
            "give one array of pictures and one of labels: a model of several inputs is not explained here"
        )
    images = np.asarray(images)
    labels = None if labels is None else np.asarray(labels)
    if images.ndim == 3:
        images, labels = images[None], None if labels is None else labels[None]
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.number):
        raise UsageError(
            f"the pictures are {images.dtype} {images.shape}: give numbers of the shape (n, height, width, channels)"
        )
    if labels is not None and len(labels) != len(images):
        raise UsageError(f"there are {len(labels)} labels for {len(images)} pictures: give one label for each")
    for position, image in enumerate(images):
        yield Labelled(image, None if labels is None else labels[position])


def class_of(label: np.ndarray | None, classes: int) -> int | None:
    """The class that a label names.

    Args:
        label: a number; or one number for each class, whose largest counts; None.
        classes: how many there are.

    Returns:
        Its index; None where there is no label, or one that names no class, or several.

    Raises:
        UsageError: it cannot be a label of so many classes.
    """
    if label is None:
        return None
    numbers = np.asarray(label).reshape(-1)
    if len(numbers) == 1:
        index = int(numbers[0])
        if index != numbers[0] or not 0 <= index < classes:
            raise UsageError(f"the label {numbers[0]:g} is no class: the classes are 0 to {classes - 1}")
        return index
    if len(numbers) != classes:
        raise UsageError(
            f"a label has {len(numbers)} numbers for {classes} classes: give a class, or one number for each"
        )
    largest = np.flatnonzero(numbers == numbers.max())
    return int(largest[0]) if len(largest) == 1 and numbers.any() else None
