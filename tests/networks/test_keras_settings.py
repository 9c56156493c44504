"""Keras' global settings: what they are before Keras is imported, and networks by name that do not follow them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest

from live_gradcam import load_classifier
from live_gradcam.attribution.kept.keys import network_key
from live_gradcam.networks.keras_settings import keras_settings
from live_gradcam.networks.model_source import ModelOptions

USUAL = {"floatx": "float32", "image_data_format": "channels_last", "dtype_policy": "float32"}


@pytest.fixture
def bfloat16_channels_first() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_image_data_format("channels_first")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")


@pytest.mark.slow
@pytest.mark.usefixtures("bfloat16_channels_first")
@pytest.mark.parametrize("name", ["efficientnet-lite0", "MobileNetV3Small"])
def test_a_network_by_name_is_of_float32_with_the_channels_last(name: str) -> None:
    model = load_classifier(name, weights=None).model
    assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {"float32"}
    assert model.inputs[0].shape[-1] == 3
    now = {**USUAL, "image_data_format": "channels_first", "dtype_policy": "mixed_bfloat16"}
    assert keras_settings() == now, "the program's own settings are not left as they were"


def test_programs_are_kept_for_the_settings_that_they_were_built_under(
    bfloat16_channels_first: None,
) -> None:
    key = network_key("efficientnet-lite0", ModelOptions(), "xla", None)
    assert key is not None
    assert key["keras"] == {**USUAL, "image_data_format": "channels_first", "dtype_policy": "mixed_bfloat16"}


@pytest.mark.parametrize(
    ("file", "found"),
    [
        (None, {}),
        ({"floatx": "float16", "epsilon": 1e-7}, {"floatx": "float16", "dtype_policy": "float16"}),
        ({"image_data_format": "channels_first"}, {"image_data_format": "channels_first"}),
        ([], {}),
    ],
)
def test_before_keras_is_imported_they_are_those_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: object, found: dict[str, str]
) -> None:
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if file is not None:
        (tmp_path / "keras.json").write_text(json.dumps(file))
    assert keras_settings() == {**USUAL, **found}
    assert "keras" not in sys.modules
