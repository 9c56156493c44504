"""Where to look: which layers can be the target, which are by default, and which are worth looking at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import keras

from live_gradcam.errors import ModelError, UsageError
from live_gradcam.networks.graph import Network, Operation
from live_gradcam.networks.layer_names import no_such_layer, own_name
from live_gradcam.networks.outputs import activation_of, only_moves_numbers
from live_gradcam.networks.single import HeldStill
from live_gradcam.networks.split import ancestors_of_output, grid_of, is_map

#: Layers between the target layer and the classifier that only thin out, hide or pad the map.
_NOT_A_TARGET = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Identity,
    keras.layers.Reshape,
)
#: The names of more pools: layers that older versions of Keras have not, and operations of `keras.ops`.
_POOLS = (
    "AdaptiveAveragePooling2D",
    "AdaptiveMaxPooling2D",
    "AdaptiveAveragePool",
    "AdaptiveMaxPool",
    "AveragePool",
    "MaxPool",
)
#: The names of what changes the order of axes: a layer, and operations of `keras.ops`, which exports none of them.
_MOVE_AXES = ("Permute", "Moveaxis", "Swapaxes", "Transpose")

#: What only finishes the feature maps that it is given.
_GOES_ON = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)

#: What mixes tokens: after the last of these, those that the prediction does not read do not matter.
_ATTENTION = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)


#: What works on each token by itself.
_OF_A_TOKEN = (*_GOES_ON, keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Identity, keras.layers.Reshape)


def candidate_layers(network: Network) -> list[Operation]:
    """The operations that may be the target layer.

    Their output is a map larger than 1 × 1, or tokens that make one up (`token_grid`), on the way from the picture to
    the output. Maps whose channels come first are none: what is read here as rows would be channels.
    """
    on_the_way = _on_the_way(network) - _with_channels_first(network)
    return [
        operation
        for operation in network.operations
        if len(operation.outputs) == 1
        and operation.outputs[0] in on_the_way
        and (is_map(network, operation.outputs[0]) or grid_of(network, operation.outputs[0]))
    ]


def _on_the_way(network: Network) -> set[int]:
    """The values that depend on the picture, and the output on them. What is made of a held input is none."""
    of_picture = {network.input}
    for operation in network.operations:
        if of_picture.intersection(operation.inputs) and not isinstance(operation.layer, HeldStill):
            of_picture.update(operation.outputs)
    return of_picture & ancestors_of_output(network)


def _with_channels_first(network: Network) -> set[int]:
    """What convolutions of `channels_first` read and give, and all around it up to where the order of axes changes."""
    found: set[int] = set()
    for operation in network.operations:
        if getattr(operation.layer, "data_format", None) == "channels_first" and hasattr(operation.layer, "kernel"):
            found.update(operation.inputs, operation.outputs)
    keeping_axes = [operation for operation in network.operations if not _moves_axes(operation)]
    for operation in reversed(keeping_axes):
        if found.intersection(operation.outputs):
            found.update(operation.inputs)
    for operation in keeping_axes:
        if found.intersection(operation.inputs):
            found.update(operation.outputs)
    return found


def layers_to_step_through(network: Network) -> list[Operation]:
    """The layers worth looking at one after the other, from the first feature maps to the last.

    Those that all of the network's way passes through (VGG16's convolutions, a residual network's sums, but no inside
    of a branch), each after its batch norm, activation, padding and dropout. The default target is one of them, where
    there is one.
    """
    default = None
    with suppress(ModelError):  # the user named a layer
        default = default_target(network)
    last_reader = {value: position for position, read in enumerate(network.operations) for value in read.inputs}
    last_reader[network.output] = len(network.operations)
    on_the_way = _on_the_way(network)
    steps = []
    open_values = {network.input}
    for position, operation in enumerate(network.operations):
        open_values.update(on_the_way.intersection(operation.outputs))
        open_values = {value for value in open_values if last_reader.get(value, -1) > position}
        if operation is default or (open_values == set(operation.outputs) and _ends_a_step(network, operation)):
            steps.append(operation)
    candidates = candidate_layers(network)
    return [operation for operation in steps if operation in candidates]


def _ends_a_step(network: Network, operation: Operation) -> bool:
    if _is_no_target(operation):
        return False
    readers = [reader for reader in network.operations if set(reader.inputs).intersection(operation.outputs)]
    return not all(isinstance(reader.layer, _GOES_ON) for reader in readers)


def default_target(network: Network) -> Operation:
    """The layer that Grad-CAM looks at by default: the last feature maps before space is given up.

    From the last value that is still a map (its pooling or flattening is what ends space), back over pooling, padding
    and dropout to the activation under them: `block5_conv3` for VGG16, not `block5_pool`.

    Raises:
        ModelError: the network has no map larger than 1 × 1 with its channels last; or it is a vision transformer,
            whose only map is far from the prediction, as most of its layers work on tokens.
    """
    candidates = candidate_layers(network)
    if _is_transformer(network, candidates):
        raise ModelError(
            "the model is a vision transformer, which has no feature maps but tokens. Name the layer to look at with "
            f"--layer, {_advice(network, candidates)}; live-gradcam layers lists them"
        )
    maps = [operation for operation in candidates if is_map(network, operation.outputs[0])]
    if not maps and _with_channels_first(network):
        raise ModelError(
            "the model has the channels first, and a map is read where they are last. Build it with channels_last"
        )
    if not maps:
        raise ModelError(
            "the model has no spatial layer: a heatmap needs feature maps larger than 1 × 1, as convolutions give them"
        )
    of_features = [operation for operation in maps if _is_of_features(network, operation)]
    return _under_pooling(network, (of_features or maps)[-1])


def _under_pooling(network: Network, last: Operation) -> Operation:
    """From a map back over what thins it out, hides or pads it."""
    target, candidates = last, candidate_layers(network)
    while _is_no_target(target):
        producer = network.producer(target.inputs[0])
        if producer is None or not is_map(network, producer.outputs[0]) or producer not in candidates:
            return last
        target = producer
    return target


def default_targets(network: Network) -> list[Operation]:
    """The layers that Grad-CAM looks at by default, in running order: one, unless several maps reach the prediction.

    So it is where two backbones are joined after their pooling: each has its last feature maps (`default_target`).

    Raises:
        ModelError: as `default_target`.
    """
    last = default_target(network)
    found = {_under_pooling(network, operation) for operation in _where_space_ends(network)}
    found = {operation for operation in found if _is_of_features(network, operation)}
    return sorted({last, *found}, key=network.operations.index)


def are_side_by_side(network: Network, targets: Sequence[int]) -> bool:
    """Whether no target layer reads what another one makes: their maps then add up to the score."""
    for target in targets:
        reached = {target}
        for operation in network.operations:
            if reached.intersection(operation.inputs):
                reached.update(operation.outputs)
        if reached.intersection(targets) != {target}:
            return False
    return True


def _where_space_ends(network: Network) -> list[Operation]:
    """The operations whose maps reach the output by a way that has no other map on it."""
    candidates = {operation.outputs[0]: operation for operation in candidate_layers(network)}
    found: dict[int, Operation] = {}
    open_values = {network.output}
    for operation in reversed(network.operations):
        if not open_values.intersection(operation.outputs):
            continue
        for value in operation.inputs:
            if value in candidates and is_map(network, value):
                found[value] = candidates[value]
            elif value != network.input:
                open_values.add(value)
    return list(found.values())


def _is_no_target(operation: Operation) -> bool:
    layer = operation.layer
    return isinstance(layer, _NOT_A_TARGET) or type(layer).__name__ in _POOLS or _moves_axes(operation)


def _moves_axes(operation: Operation) -> bool:
    """Whether the order of axes is another one afterwards, so that what were rows may be channels."""
    return type(operation.layer).__name__ in _MOVE_AXES


def _is_of_features(network: Network, operation: Operation) -> bool:
    """Whether a map is one of features: not of pixels, and not of what only says how much each place counts."""
    return _has_weights_before(network, operation) and not _only_weighs_places(network, operation)


def _only_weighs_places(network: Network, operation: Operation) -> bool:
    """Whether a map is a softmax over its places, or is read by one alone, as attention pooling does.

    More at all places changes nothing then: the mean gradient, and so Grad-CAM, is 0 but for rounding.
    """
    *grid, channels = network.shapes[operation.outputs[0]]
    places = math.prod(side or 0 for side in grid)
    if channels == places:  # their number does not say which of the two a softmax is over
        return False
    if _softmaxed(network, operation) == places:
        return True
    values = [operation.outputs[0]]
    for value in values:
        readers = network.consumers(value)
        moving = [reader for reader in readers if only_moves_numbers(reader.layer) or _moves_axes(reader)]
        values.extend(output for reader in moving for output in reader.outputs)
        others = [reader for reader in readers if reader not in moving]
        if not readers or any(
            network.output in reader.outputs or _softmaxed(network, reader) != places for reader in others
        ):
            return False
    return True


def _softmaxed(network: Network, operation: Operation) -> int:
    """Over how many numbers an operation takes the softmax; 0 for one that is none."""
    layer: Any = operation.layer
    if getattr(layer, "weights", None) or activation_of(layer) != "softmax":
        return 0
    axes = getattr(layer, "axis", -1)
    sizes = (None, *network.shapes[operation.inputs[0]])
    return math.prod(sizes[axis] or 0 for axis in (axes if isinstance(axes, (tuple, list)) else [axes]))


def makes_features(layer: Any) -> bool:
    """Whether what a layer makes of pixels are pixels no more: it has weights, other than for their scale."""
    return bool(getattr(layer, "weights", None)) and not isinstance(layer, keras.layers.Normalization)


def _has_weights_before(network: Network, operation: Operation) -> bool:
    """Whether a map is one of features, and not of pixels."""
    needed = set(operation.outputs)
    for other in reversed(network.operations):
        if needed.intersection(other.outputs):
            if makes_features(other.layer):
                return True
            needed.update(other.inputs)
    return False


def _is_transformer(network: Network, candidates: list[Operation]) -> bool:
    """Whether more layers with weights make tokens after the last map than there are until that map.

    So a convolutional network that flattens its last map to tokens, or ends in a block of attention, is none.
    """
    ancestors = ancestors_of_output(network)
    maps = [operation for operation in candidates if is_map(network, operation.outputs[0])]
    last = network.operations.index(maps[-1]) if maps else -1
    weighted = [
        (position, operation)
        for position, operation in enumerate(network.operations)
        if getattr(operation.layer, "weights", None) and ancestors.intersection(operation.outputs)
    ]
    of_tokens = [
        operation for position, operation in weighted if position > last and grid_of(network, operation.outputs[0])
    ]
    return len(of_tokens) > sum(position <= last for position, _ in weighted)


def _advice(network: Network, candidates: list[Operation]) -> str:
    """Which layer to name: the tokens that the last attention reads, or the last block of a class of its own."""
    tokens = {operation.outputs[0]: operation for operation in candidates if grid_of(network, operation.outputs[0])}
    readers = [reader for reader in network.operations if reader.inputs and reader.inputs[0] in tokens]
    attentions = [reader for reader in readers if isinstance(reader.layer, _ATTENTION)]
    blocks = [reader for reader in readers if reader.outputs[0] in tokens and not isinstance(reader.layer, _OF_A_TOKEN)]
    last = (attentions or blocks or readers)[-1]
    return f"such as {tokens[last.inputs[0]].name}"


def find_layer(network: Network, name: str) -> Operation:
    """The layer that the user means: its full name (`backbone/block5_conv3`), or its own name where that is unique.

    A shared layer stands for its last call.

    Raises:
        UsageError: no such layer (the closest are suggested), several of that name, or one that gives neither a
            map nor tokens that make one up.
    """
    return find_calls(network, name, 1)[0]


def find_calls(network: Network, name: str, count: int) -> list[Operation]:
    """The last `count` calls of a layer that the network shares, of all that it has: as `find_layer`, in running order.

    Raises:
        UsageError: as `find_layer`.
    """
    named = [operation for operation in network.operations if operation.name == name]
    if not named:
        named = [operation for operation in network.operations if own_name(operation.name) == name]
    full_names = list(dict.fromkeys(operation.name for operation in named))
    candidates = candidate_layers(network)
    if not named:
        raise no_such_layer(name, [operation.name for operation in candidates])
    if len(full_names) > 1:
        raise UsageError(f"several layers are called {name!r}: give the full name, one of {', '.join(full_names)}")
    calls = [operation for operation in named if operation in candidates]
    if not calls:
        shape = tuple(network.shapes[named[-1].outputs[0]])
        raise UsageError(
            f"the layer {name!r} cannot be the target layer: its output {shape} is no map of features that leads to "
            "the prediction. See live-gradcam layers"
        )
    return calls[-count:]
