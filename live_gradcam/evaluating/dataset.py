"""A `tf.data.Dataset` as what maps are evaluated on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from live_gradcam.errors import SourceError, UsageError, first_line
from live_gradcam.evaluating.pictures import Picture
from live_gradcam.networks.preprocessing import Preprocessing
from live_gradcam.networks.value_range import ValueRange
from live_gradcam.sources.labelled import Labelled, class_of, read_labelled

#: What `tf.data.Dataset.cardinality` says of one that goes on for ever.
_NEVER_ENDS = -1


def recipe_of(dataset: Any, *, is_of_pictures: bool) -> Preprocessing:
    """What makes the numbers of a dataset of pixels; it is read once for that, unless it has bytes.

    Args:
        dataset: batches of pictures, or pictures one by one, with or without labels.
        is_of_pictures: whether the numbers have to be those of RGB pixels, of 0…255 or 0…1.

    Raises:
        SourceError: there are no pictures, or they cannot be read.
        UsageError: the dataset never ends, has no pictures of 1 or 3 channels, or other numbers than it should have.
    """
    if int(dataset.cardinality()) == _NEVER_ENDS:
        raise UsageError("the dataset never ends: take some of it, such as dataset.take(10)")
    lowest, highest = np.inf, -np.inf
    for one in _read(dataset):
        if one.image.shape[-1] not in (1, 3):
            raise UsageError(f"pictures of {one.image.shape[-1]} channels cannot be evaluated: they must have 1 or 3")
        if one.image.dtype == np.uint8:
            return ValueRange.between(0, 255, is_of_bytes=True).recipe
        lowest, highest = min(lowest, float(one.image.min())), max(highest, float(one.image.max()))
    found = ValueRange.between(lowest, highest)
    if is_of_pictures and not (found.is_usual and found.black == 0):
        raise UsageError(
            f"the dataset's numbers reach from {lowest:.4g} to {highest:.4g}, which are no pixels of 0…255 or 0…1: "
            "give the Keras model that takes them as model="
        )
    return found.recipe


def read_dataset(dataset: Any, recipe: Preprocessing, classes: int) -> Iterator[Picture]:
    """The pictures of a dataset, with their classes where it has labels.

    Args:
        dataset: as for `recipe_of`.
        recipe: what makes its numbers of pixels.
        classes: how many there are.

    Raises:
        SourceError: it cannot be read.
        UsageError: a label that is no class.
    """
    for index, one in enumerate(_read(dataset)):
        yield Picture(f"dataset#{index}", recipe.pixels(one.image[None])[0], class_of(one.label, classes))


def _read(dataset: Any) -> Iterator[Labelled]:
    from tensorflow.errors import OpError

    try:
        yield from read_labelled(dataset)
    except OpError as error:  # of a file that is damaged, say, or of the user's own functions
        raise SourceError(f"the dataset cannot be read: {first_line(error)}") from error
