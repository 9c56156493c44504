"""Explain a Keras model that you have in memory: no file in between.

python examples/own_model.py cup.png
"""

from __future__ import annotations

import sys

import cv2
import keras
from keras import layers

from live_gradcam import Explainer, Overlay, SourceError, Target, load_classifier


def flowers() -> keras.Model:
    """Your own model. This one has random weights: put your trained model here."""
    image = keras.Input((96, 96, 3))
    x = layers.Rescaling(1 / 255)(image)
    for channels in (16, 32):
        x = layers.MaxPooling2D()(layers.Conv2D(channels, 3, activation="relu")(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name="flowers")


def main(picture: str) -> None:
    """Explain a picture, and write a map for the best class and one for a contrast."""
    image = cv2.imread(picture)
    if image is None:
        raise SourceError(f"{picture} is no picture")
    classifier = load_classifier(flowers(), labels=["daisy", "rose", "tulip"])
    explainer = Explainer(classifier, maps=1)
    explanation = explainer(image)
    print(f"{classifier.name}: {explanation.predictions[0].label}, a map of {explanation.heatmaps[0].shape}")
    overlay = Overlay()
    cv2.imwrite("best.png", overlay.blend(image, explanation))
    # Why a rose and not a tulip. Another class compiles nothing again.
    cv2.imwrite("rose-not-tulip.png", overlay.blend(image, explainer(image, target=Target(1, against=2))))


if __name__ == "__main__":
    main(sys.argv[1])
