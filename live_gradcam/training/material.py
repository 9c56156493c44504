"""What is explained during a training: some pictures, as the model takes them, and as a person looks at them."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from live_gradcam.errors import UsageError
from live_gradcam.networks.preprocessing import find_preprocessing
from live_gradcam.networks.value_range import ValueRange
from live_gradcam.sources.labelled import read_labelled
from live_gradcam.training.options import CallbackOptions

_log = logging.getLogger(__name__)


class Material(NamedTuple):
    """What is explained.

    Attributes:
        images: float32 (n, height, width, channels), as the model takes them.
        labels: one for each, as they are.
        shown: uint8 (n, height, width, 3), BGR: the same to look at.
    """

    images: np.ndarray
    labels: list[np.ndarray | None]
    shown: np.ndarray

    @classmethod
    def read(cls, pictures: Any, options: CallbackOptions) -> Material:
        """Read the first pictures.

        Raises:
            UsageError: these are no pictures of one size, or it cannot be known how to show them.
            SourceError: there are none.
        """
        read = list(read_labelled(pictures, options.count))
        if len({one.image.shape for one in read}) > 1:
            raise UsageError("the pictures are of several sizes: give them as the model takes them, of one size")
        images = np.stack([one.image for one in read])
        shown = _shown(images, options)
        return cls(images.astype(np.float32), [one.label for one in read], shown)


def _shown(images: np.ndarray, options: CallbackOptions) -> np.ndarray:
    """The pictures to look at, uint8 (n, height, width, 3), BGR."""
    count, height, width, channels = images.shape
    if callable(options.show):
        pixels = np.asarray(options.show(images))
        if pixels.dtype != np.uint8 or pixels.shape != (count, height, width, 3):
            raise UsageError(
                f"show gives {pixels.dtype} {pixels.shape}: give RGB pixels, uint8 {(count, height, width, 3)}"
            )
        return np.ascontiguousarray(pixels[..., ::-1])
    if channels not in (1, 3):
        raise UsageError(
            f"pictures of {channels} channels are not shown as they are: give show=, a function that makes RGB"
        )
    recipe = find_preprocessing(options.show)
    if recipe is None:
        found = ValueRange.of(images)
        recipe = found.recipe
        if not found.is_usual:
            _log.warning(
                "%s to %s are the numbers of the pictures, shown from black to white: colours can be off. Say with "
                "show= how they were made",
                f"{found.black:.4g}",
                f"{found.white:.4g}",
            )
    return recipe.pixels(images)
