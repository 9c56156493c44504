"""A method that a notebook registers is one like all others, in this process."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from toy_networks import FRAME, classifier_of, two_dense_layers

from live_gradcam import Explainer, Session, UsageError, compare, register_method
from live_gradcam.attribution.methods.method import quick_methods
from live_gradcam.choices import METHODS


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_registered", {})


def first_channel(activations: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return activations[..., 0]


def largest_channel(activations: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(activations, axis=-1)


def test_its_map_is_what_its_function_says() -> None:
    known = len(METHODS)
    register_method("one-channel", first_channel, asks_for="nothing", line="the first channel alone")
    assert (len(METHODS), METHODS.helps["one-channel"]) == (known + 1, "the first channel alone")
    assert "one-channel" in quick_methods()
    model = two_dense_layers()
    inner = tf.keras.Model(model.input, model.get_layer("maps").output)
    pixels = FRAME[..., ::-1][None].astype(np.float32) / 255
    activations = inner(pixels).numpy()[0]
    quick = {"engine": "graph", "lowering": False, "tune": "off"}
    session = Session(Explainer(classifier_of(model), maps=1, **quick), (), {})  # type: ignore[arg-type]
    (explained,) = compare(FRAME, methods=["one-channel"], session=session, channels="bgr").pictures
    expected = np.maximum(activations[..., 0], 0)
    np.testing.assert_allclose(explained.explanation.heatmaps[0], expected / expected.max(), atol=1e-5)
    register_method("one-channel", largest_channel, asks_for="nothing")  # the cell runs again
    (explained,) = compare(FRAME, methods=["one-channel"], session=session, channels="bgr").pictures
    expected = activations.max(axis=-1)
    np.testing.assert_allclose(explained.explanation.heatmaps[0], expected / expected.max(), atol=1e-5)


def test_names_that_are_taken_and_what_cannot_be_asked_for_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^there is a method 'cam' already: give yours another name$"):
        register_method("cam", first_channel)
    with pytest.raises(UsageError, match="there is no thing to ask for 'mean'; did you mean mean gradient"):
        register_method("mine", first_channel, asks_for="mean")  # type: ignore[arg-type]
    assert "mine" not in METHODS
