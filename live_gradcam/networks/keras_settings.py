"""Keras' settings for a whole program: what numbers new layers compute with, and where their channels are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_USUAL = {"floatx": "float32", "image_data_format": "channels_last"}


def keras_settings() -> dict[str, str]:
    """The settings that a layer is built under which does not say them itself.

    Where Keras is not imported yet, they are those that it will read from its file.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        settings = _USUAL | _in_file()
        return {**settings, "dtype_policy": settings["floatx"]}
    config = keras.config
    found = {"floatx": config.floatx(), "image_data_format": config.image_data_format()}
    return {**found, "dtype_policy": config.dtype_policy().name}


def keras_home() -> Path:
    """Keras' own folder, with its settings and the weights that it has downloaded."""
    home = os.path.expanduser("~")
    usual = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")  # as Keras has it
    return Path(os.path.expanduser(os.environ.get("KERAS_HOME", usual)))  # a user may have no home


def _in_file() -> dict[str, str]:
    """What Keras' own file sets of them (`keras.json`)."""
    with suppress(OSError, ValueError, TypeError):
        found = json.loads((keras_home() / "keras.json").read_text())
        return {name: str(found[name]) for name in _USUAL if name in found}
    return {}


@contextmanager
def usual_settings() -> Iterator[None]:
    """Build networks of float32 with the channels last, whatever a program has set for its own."""
    import keras

    config = keras.config
    policy, floatx, data_format = config.dtype_policy(), config.floatx(), config.image_data_format()
    try:
        config.set_floatx(_USUAL["floatx"])
        config.set_image_data_format(_USUAL["image_data_format"])
        config.set_dtype_policy("float32")
        yield
    finally:
        config.set_floatx(floatx)
        config.set_image_data_format(data_format)
        config.set_dtype_policy(policy)
