"""Watch what a small network looks at while it learns to tell faces from other things.

python examples/make_faces.py FOLDER
python examples/watch_training.py FOLDER OUTPUT

OUTPUT/maps has a folder for each of eight pictures, with a PNG for each epoch. `tensorboard --logdir OUTPUT/logs` shows
the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
from keras import layers

from live_gradcam import CallbackOptions, GradCAMCallback

_SIDE = 96


def main(pictures: str, output: str, epochs: int = 6) -> None:
    """Train on three quarters of the pictures, and make maps of eight others."""
    train, validation = keras.utils.image_dataset_from_directory(
        pictures, image_size=(_SIDE, _SIDE), batch_size=16, validation_split=0.25, subset="both", seed=1, verbose=False
    )
    callback = GradCAMCallback(
        validation,
        tensorboard=Path(output) / "logs",
        folder=Path(output) / "maps",
        labels=train.class_names,
        options=CallbackOptions(count=8),
    )
    model = network(len(train.class_names))
    model.fit(train, validation_data=validation, epochs=epochs, verbose=2, callbacks=[callback])


def network(classes: int) -> keras.Model:
    """A small network of convolutions, with augmentation and dropout, which the maps leave out."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((_SIDE, _SIDE, 3))
    x = layers.RandomFlip("horizontal")(layers.Rescaling(1 / 255)(x))
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x)))
    x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Dense(classes, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
