"""The control for maps that do not depend on the network: its head made random."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.errors import ModelError, first_line

if TYPE_CHECKING:
    from live_gradcam.networks.classifier import Classifier
    from live_gradcam.networks.graph import Network


def with_random_head(classifier: Classifier, *, seed: int = 0) -> Classifier:
    """The same classifier with its last kernels, of dense layers or convolutions, shuffled: the user's is not changed.

    There is one, unless several reach the classes by ways with no other kernel on them, as in an ensemble.

    The first step of Adebayo et al.'s cascading randomisation (see `faithfulness.rank_correlation`), with values drawn
    from the kernel's own distribution, without replacement.

    Args:
        classifier: whose model is copied, weights and all.
        seed: of the order.

    Raises:
        ModelError: the model cannot be copied, or has no such layer, or one whose kernel is kept in parts.
    """
    import keras

    from live_gradcam.networks.graph import flatten

    try:
        model = keras.models.clone_model(classifier.model)
    except Exception as error:  # a layer without a configuration has whatever its constructor says
        reason = f"evaluate it with --no-random-head: {first_line(error)}"
        raise ModelError(f"{classifier.name} cannot be copied, {reason}") from error
    model.set_weights(classifier.model.get_weights())
    last = _last_with_kernel(flatten(model, classifier.input_size))
    if not last:
        raise ModelError(
            f"{classifier.name} has no dense layer or convolution to make random: evaluate it with --no-random-head"
        )
    generator = np.random.default_rng(seed)
    for layer in last:
        if not isinstance(layer.kernel, keras.Variable):  # of LoRA, or of four bits
            raise ModelError(
                f"{classifier.name} cannot be made random, as the kernel of {layer.name} is kept in parts: evaluate it "
                "with --no-random-head"
            )
        values = keras.ops.convert_to_numpy(layer.kernel)
        layer.kernel.assign(generator.permutation(values.reshape(-1)).reshape(values.shape))
    return replace(classifier, model=model)


def _last_with_kernel(network: Network) -> list[Any]:
    """The layers with a kernel from which a way leads to the output that has no other one on it, in running order."""
    open_values, found = {network.output}, []
    for operation in reversed(network.operations):
        if not open_values.intersection(operation.outputs):
            continue
        if not hasattr(operation.layer, "kernel"):
            open_values.update(operation.inputs)
        elif operation.layer not in found:
            found.append(operation.layer)
    return found[::-1]
