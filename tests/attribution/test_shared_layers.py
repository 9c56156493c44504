"""A layer that the network calls more than once, as a target layer: all of its calls stay target layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from live_gradcam import Classifier, Explainer
from live_gradcam.networks.preprocessing import PREPROCESSINGS

FRAME = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """One backbone that sees a picture and a quarter of it, which the head reads side by side."""
    keras.utils.set_random_seed(0)
    inside = keras.Input((None, None, 3))
    backbone = keras.Model(inside, layers.Conv2D(6, 3, padding="same", activation="relu", name="c")(inside), name="b")
    image = keras.Input((None, None, 3))
    pooled = [
        layers.GlobalAveragePooling2D()(backbone(image)),
        layers.GlobalAveragePooling2D()(backbone(layers.AveragePooling2D(4)(image))),
    ]
    model = keras.Model(image, layers.Dense(4, activation="softmax")(layers.Concatenate()(pooled)))
    return Classifier("scales", model, tuple("abcd"), (32, 64), PREPROCESSINGS["unit"])


@pytest.mark.slow
def test_its_name_as_often_as_it_is_called_means_all_of_its_calls(classifier: Classifier) -> None:
    by_default = Explainer(classifier, engine="graph", tune="off", maps=1, fit="stretch")
    assert by_default.layer == "b/c,b/c"
    expected = by_default(FRAME)
    others = {
        "named": Explainer(classifier, engine="graph", tune="off", maps=1, fit="stretch", layer=by_default.layer),
        "variant": by_default.variant(method="grad-cam", layer=by_default.layer),
        "native": Explainer(classifier, engine="graph", tune="off", maps=1, fit="native"),
        "of another classifier": by_default.of_classifier(classifier),
    }
    for name, other in others.items():
        found = other(FRAME)
        np.testing.assert_allclose(found.evidence, expected.evidence, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-5, err_msg=name)


def test_its_name_alone_means_its_last_call(classifier: Classifier) -> None:
    explainer = Explainer(classifier, engine="graph", tune="off", maps=1, fit="stretch", layer="b/c")
    assert (
        explainer.plan.one_pass.split.targets
        == tuple(
            operation.outputs[0] for operation in explainer.plan.written.before.operations if operation.name == "b/c"
        )[-1:]
    )
