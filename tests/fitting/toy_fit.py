"""A fit whose network can be read: it sees the mean of four colours, and its heads look at what a test says.

A picture is a square of one colour, the object, on another colour, its surroundings. The network's features are how
much there is of red, green, blue and yellow.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers

from live_gradcam import Classifier
from live_gradcam.fitting.dataset import Dataset, Example, LeftOut
from live_gradcam.fitting.features import Backbone
from live_gradcam.fitting.fitted import Fitted
from live_gradcam.fitting.head import Head
from live_gradcam.fitting.scores import Scores, scores_of
from live_gradcam.networks.card import Card
from live_gradcam.networks.preprocessing import PREPROCESSINGS

SIDE = 32
#: Where the object is.
OBJECT = slice(8, 24), slice(8, 24)
RED, GREEN, BLUE, YELLOW = (0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255)
#: By the features red, green, blue and yellow: heads for two classes.
AT_OBJECT = np.array([[9, -9], [-9, 9], [0, 0], [0, 0]], np.float32)
AT_SURROUNDINGS = np.array([[0, 0], [0, 0], [9, -9], [-9, 9]], np.float32)


def toy_network() -> Classifier:
    """Colours in the channels of the target layer, their means as features."""
    image = keras.Input((SIDE, SIDE, 3))
    colours = layers.Conv2D(4, 1, activation="relu", name="colours")
    x = layers.GlobalAveragePooling2D()(colours(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    # Of RGB in 0…1: red − green − blue, green − red − blue, blue − red − green, red + green − 2 blue − 1.
    kernel = np.array([[1, -1, -1, 1], [-1, 1, -1, 1], [-1, -1, 1, -2]], np.float32)
    colours.set_weights([kernel[None, None], np.array([0, 0, 0, -1], np.float32)])
    return Classifier("toy", model, ("a", "b", "c"), (SIDE, SIDE), PREPROCESSINGS["unit"])


@lru_cache(maxsize=1)
def _backbone() -> Backbone:
    return Backbone(toy_network())


def painted(surroundings: tuple[int, int, int], thing: tuple[int, int, int]) -> np.ndarray:
    """A picture: uint8 (32, 32, 3), BGR."""
    image = np.full((SIDE, SIDE, 3), surroundings, np.uint8)
    image[OBJECT] = thing
    return image


def write_pictures(folder: Path, classes: tuple[str, str] = ("reds", "greens"), *, of_each: int = 4) -> list[Example]:
    """Red things on blue and green things on yellow, with masks in a folder; every two are of one fold."""
    examples = []
    for index, (name, (behind, thing)) in enumerate(zip(classes, ((BLUE, RED), (YELLOW, GREEN)), strict=True)):
        for number in range(of_each):
            path = folder / f"class {index}" / f"{number}.png"
            mask = folder / "masks" / f"class {index}" / f"{number}.png"
            for file, image in ((path, painted(behind, thing)), (mask, painted((0, 0, 0), (255, 255, 255)))):
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), image)
            examples.append(Example(path, (index,), f"{name}/{number}"))
    return examples


def toy_fit(
    examples: list[Example],
    weights: list[np.ndarray],
    *,
    classes: tuple[str, ...] = ("reds", "greens"),
    held_out: np.ndarray | None = None,
    task: str = "classes",
) -> Fitted:
    """A fit of pictures of `write_pictures`.

    Args:
        examples: of which number n is in fold n modulo the number of heads.
        weights: of the head of each fold, (4, k); the first one is that of the whole fit too.
        classes: their names.
        held_out: what was said of the examples; None for what the heads say.
        task: what is predicted.
    """
    backbone = _backbone()
    heads = tuple(Head(one, np.zeros(one.shape[1], np.float32), task) for one in weights)
    dataset = Dataset(task, classes, tuple(examples), (LeftOut(Path("<i>.jpg"), "empty"),))
    folds = np.arange(len(examples)) % len(heads)
    frames = [cv2.imread(str(example.path)) for example in examples]
    features = means_of(frames)
    if held_out is None:
        held_out = np.stack(
            [heads[fold].probabilities(row[None])[0] for fold, row in zip(folds, features, strict=True)]
        )
    scores: dict[str, Scores] = {"cross-validation": scores_of(held_out, dataset.targets, task=task, classes=classes)}
    card = Card(classes, task, "stretch", backbone="toy", created="2026-11-26T09:00:00+00:00")
    groups = np.unique([example.group for example in examples], return_inverse=True)[1]
    fitted = Fitted(heads[0], heads[0], dataset, features, folds, heads, held_out, scores, card, backbone, groups)
    object.__setattr__(fitted, "classifier", fitted.classifier_of(heads[0]))
    return fitted


def means_of(frames: list[np.ndarray]) -> np.ndarray:
    """The features, worked out by hand: float32 (n, 4)."""
    red, green, blue = (np.stack(frames)[..., channel].astype(np.float32) / 255 for channel in (2, 1, 0))
    colours = [red - green - blue, green - red - blue, blue - red - green, red + green - 2 * blue - 1]
    return np.stack([np.maximum(colour, 0).mean(axis=(1, 2)) for colour in colours], axis=1)
