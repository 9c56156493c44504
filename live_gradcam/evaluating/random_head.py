"""The control for maps that do not depend on the network: its head made random."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.errors import ModelError, first_line

if TYPE_CHECKING:
    from live_gradcam.networks.classifier import Classifier


def with_random_head(classifier: Classifier, *, seed: int = 0) -> Classifier:
    """The same classifier with its last kernel, of a dense layer or a convolution, shuffled: the user's is not changed.

    The first step of Adebayo et al.'s cascading randomisation (see `faithfulness.rank_correlation`), with values drawn
    from the kernel's own distribution, without replacement.

    Args:
        classifier: whose model is copied, weights and all.
        seed: of the order.

    Raises:
        ModelError: the model cannot be copied, or has no such layer.
    """
    import keras

    from live_gradcam.networks.graph import flatten

    try:
        model = keras.models.clone_model(classifier.model)
    except Exception as error:  # a layer without a configuration has whatever its constructor says
        reason = f"evaluate it with --no-random-head: {first_line(error)}"
        raise ModelError(f"{classifier.name} cannot be copied, {reason}") from error
    model.set_weights(classifier.model.get_weights())
    operations = flatten(model, classifier.input_size).operations
    kernels = [operation.layer.kernel for operation in operations if hasattr(operation.layer, "kernel")]
    if not kernels:
        raise ModelError(
            f"{classifier.name} has no dense layer or convolution to make random: evaluate it with --no-random-head"
        )
    values = keras.ops.convert_to_numpy(kernels[-1])
    kernels[-1].assign(np.random.default_rng(seed).permutation(values.reshape(-1)).reshape(values.shape))
    return replace(classifier, model=model)
