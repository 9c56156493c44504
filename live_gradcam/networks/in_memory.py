"""A Keras model that a Python program has."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import UsageError
from live_gradcam.networks.model_source import LoadedModel, ModelOptions, ModelSource

if TYPE_CHECKING:
    import keras


class _InMemory(ModelSource):
    def matches(self, model: str | Path | keras.Model) -> bool:
        """Whatever is no name and no path."""
        return not isinstance(model, (str, Path))

    def load(self, model: str | Path | keras.Model, options: ModelOptions) -> LoadedModel:
        """The model as it is.

        Raises:
            UsageError: it is no Keras 3 model, or weights are given, which would change it.
        """
        import keras

        if not isinstance(model, keras.Model):
            kind = f"{type(model).__module__}.{type(model).__qualname__}"
            raise UsageError(
                f"a {kind} is no model of Keras 3 ({keras.__version__}): give a Keras 3 model, a name, or a model file"
            )
        if options.weights_file is not None:
            raise UsageError(
                f"{model.name} has weights of its own: leave the weights out, or call its load_weights first"
            )
        return LoadedModel(model.name, model)

    def identity(self, model: str | Path | keras.Model, options: ModelOptions) -> str:
        """A hash of the weights: nothing else tells one model of a name from another."""
        assert not isinstance(model, (str, Path))  # it matches
        digest = hashlib.sha256()
        for weight in model.get_weights():
            digest.update(f"{weight.dtype} {weight.shape}".encode())
            digest.update(weight.tobytes())
        return digest.hexdigest()


SOURCE = _InMemory()
