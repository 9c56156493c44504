"""A network cut at the target layer into a trunk and a head.

Only the head is differentiated, so an explained frame costs one trunk, one head and one pass back through the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from live_gradcam.networks.graph import Network, Operation, Shape

#: How many tokens can be in front of those of the patches.
_LEADING = (0, 1, 2)


@dataclass(frozen=True)
class SplitNetwork:
    """A network cut at the target layer, or at several.

    Attributes:
        trunk: what does not depend on the target layers' activations, up to and including the first of them.
        head: what follows from the activations to the output; of several target layers the later ones are in it.
        input: the number of the image batch.
        targets: the numbers of the activations, (height, width, channels) or (tokens, channels), in running order.
        output: the number of the network's answer.
        input_size: (height, width) of the image batch.
        grids: for each target what its tokens make up: see `token_grid`; None for an ordinary map.
    """

    trunk: tuple[Operation, ...]
    head: tuple[Operation, ...]
    input: int
    targets: tuple[int, ...]
    output: int
    input_size: tuple[int, int]
    grids: tuple[tuple[int, int, int] | None, ...]

    @property
    def target(self) -> int:
        """The last target layer's activations."""
        return self.targets[-1]

    def as_map(self, target: int, values: Any) -> Any:
        """A target's activations or their gradients, (batch, tokens, channels), as a map.

        Returns:
            (batch, rows, columns, channels) without the tokens in front; an ordinary map as it is.
        """
        grid = self.grids[self.targets.index(target)]
        if grid is None:
            return values
        rows, columns, leading = grid
        return keras.ops.reshape(values[:, leading:], (-1, rows, columns, values.shape[-1]))


def token_grid(shape: Shape, input_size: tuple[int, int]) -> tuple[int, int, int] | None:
    """The grid that a vision transformer's tokens make up: patches in rows of the input, perhaps after other tokens.

    Args:
        shape: of a value, without the batch: (tokens, channels).
        input_size: (height, width) of the network's input; the grid has its proportions.

    Returns:
        (rows, columns, leading): leading is 1 for a class token in front, 2 for DeiT's class and distillation tokens,
        else 0. None for another shape, or where no such number of tokens less make up such a grid, larger than 1 × 1.
    """
    if len(shape) != 2 or shape[0] is None:
        return None
    divisor = math.gcd(*input_size)
    height, width = (side // divisor for side in input_size)
    for leading in _LEADING:
        patches = shape[0] - leading
        scale = math.isqrt(patches // (height * width)) if patches > 1 else 0
        if scale and patches == scale * height * scale * width:
            return scale * height, scale * width, leading
    return None


def split_at(network: Network, *targets: int) -> SplitNetwork:
    """Cut a network at a value, or at several. Operations that do not lead to the output are dropped."""
    needed = ancestors_of_output(network)
    downstream = set(targets)
    trunk: list[Operation] = []
    head: list[Operation] = []
    for operation in network.operations:
        if not needed.intersection(operation.outputs):
            continue
        if downstream.intersection(operation.inputs):
            downstream.update(operation.outputs)
            head.append(operation)
        else:
            trunk.append(operation)
    order = {value: place for place, operation in enumerate(network.operations) for value in operation.outputs}
    in_order = tuple(sorted(targets, key=order.__getitem__))
    grids = tuple(grid_of(network, target) for target in in_order)
    height, width = network.shapes[network.input][:2]
    size = height or 1, width or 1
    return SplitNetwork(tuple(trunk), tuple(head), network.input, in_order, network.output, size, grids)


def ancestors_of_output(network: Network) -> set[int]:
    """The values that the output depends on, itself included."""
    found = {network.output}
    for operation in reversed(network.operations):
        if found.intersection(operation.outputs):
            found.update(operation.inputs)
    return found


def is_map(network: Network, value: int) -> bool:
    """Whether a value is a map larger than 1 × 1."""
    shape = network.shapes[value]
    return len(shape) == 3 and (shape[0] or 0) * (shape[1] or 0) > 1


def grid_of(network: Network, value: int) -> tuple[int, int, int] | None:
    """The grid that a value's tokens make up: that of the map that they were, else as `token_grid` has it."""
    shape = network.shapes.get(value, ())
    height, width = network.shapes[network.input][:2]
    by_proportions = token_grid(shape, (height or 1, width or 1))
    if len(shape) != 2 or shape[0] is None:
        return by_proportions
    needed = {value}
    for operation in reversed(network.operations):
        if not needed.intersection(operation.outputs):
            continue
        needed.update(operation.inputs)
        if is_map(network, operation.outputs[0]):
            rows, columns = network.shapes[operation.outputs[0]][:2]
            leading = shape[0] - (rows or 0) * (columns or 0)
            if leading in _LEADING:
                return rows or 1, columns or 1, leading
    return by_proportions
