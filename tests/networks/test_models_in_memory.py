"""A Keras model that a Python program has, as a classifier: no file in between."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import Explainer, load_classifier
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing


def flowers(outputs: int = 3) -> keras.Model:
    keras.utils.set_random_seed(2)
    image = keras.Input((24, 32, 3))
    x = layers.Resizing(16, 16, crop_to_aspect_ratio=True)(image)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu", name="map")(x))
    return keras.Model(image, layers.Dense(outputs, activation="softmax", name="classes")(x), name="flowers")


def test_a_model_is_used_as_it_is() -> None:
    model = flowers()
    before = model.get_weights()
    classifier = load_classifier(model, labels=["rose", "tulip", "daisy"], preprocessing="raw")
    assert classifier.model is model
    assert (classifier.name, classifier.labels) == ("flowers", ("rose", "tulip", "daisy"))
    assert (classifier.input_size, classifier.fit) == ((24, 32), "crop")
    assert classifier.preprocessing == PREPROCESSINGS["raw"]
    frame = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    explanation = Explainer(classifier, maps=1, engine="graph", tune="off")(frame)
    probabilities = model.predict(frame[None, :, :, ::-1].astype(np.float32), verbose=0)[0]
    best = explanation.predictions[0]
    assert best.label == classifier.labels[int(np.argmax(probabilities))]
    np.testing.assert_allclose(best.probability, probabilities.max(), rtol=1e-5)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_preprocessing_and_labels_are_as_for_a_file() -> None:
    own = Preprocessing(mean=(1.0, 2.0, 3.0), channels="bgr")
    assert load_classifier(flowers(), preprocessing=own).preprocessing == own
    assert load_classifier(flowers(), preprocessing="torch").preprocessing == PREPROCESSINGS["torch"]
    assert load_classifier(flowers()).labels == ("class 0", "class 1", "class 2")
    with pytest.raises(ModelError, match="2 labels for 3 classes"):
        load_classifier(flowers(), labels=["rose", "tulip"])


def test_what_is_no_model_of_keras_3() -> None:
    with pytest.raises(UsageError, match=r"a types\.SimpleNamespace is no model of Keras 3"):
        load_classifier(SimpleNamespace(name="torch"))
    with pytest.raises(UsageError, match="flowers has weights of its own"):
        load_classifier(flowers(), weights="other.weights.h5")


def with_converter(side: int | None, **settings) -> keras.Model:
    """A model of KerasHub's sort, whose `predict` converts pictures by itself."""
    image = keras.Input((side, side, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu", name="map")(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    settings = {"scale": None, "offset": None, "crop_to_aspect_ratio": True, "image_size": None, **settings}
    model.preprocessor = SimpleNamespace(image_converter=SimpleNamespace(**settings))
    return model


@pytest.mark.parametrize(
    ("side", "image_size", "expected"),
    [(None, (40, 48), (40, 48)), (None, None, (224, 224)), (32, (40, 48), (32, 32)), (32, None, (32, 32))],
)
def test_a_free_size_is_that_of_the_models_own_preprocessor(side, image_size, expected) -> None:
    assert load_classifier(with_converter(side, image_size=image_size)).input_size == expected


@pytest.mark.parametrize("crop", [True, False])
def test_pixels_are_converted_as_by_the_models_own_preprocessor(crop: bool) -> None:
    scale, offset = [1 / 50, 1 / 60, 1 / 70], [-2.0, -1.5, -1.0]
    classifier = load_classifier(with_converter(32, scale=scale, offset=offset, crop_to_aspect_ratio=crop))
    assert classifier.fit == ("crop" if crop else "stretch")
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    explanation = Explainer(classifier, engine="graph", tune="off")(frame)
    expected = classifier.model((frame[None, :, :, ::-1] * scale + offset).astype(np.float32)).numpy()[0]
    np.testing.assert_allclose(explanation.probabilities, expected, atol=1e-5)


def test_a_converter_without_a_preprocessor_around_it_counts_too() -> None:
    model = with_converter(None, image_size=(40, 48), scale=1 / 255)
    model.preprocessor = model.preprocessor.image_converter
    classifier = load_classifier(model)
    assert (classifier.input_size, classifier.preprocessing) == ((40, 48), PREPROCESSINGS["unit"])
