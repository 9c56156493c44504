"""The blocks of a network, and where it is cut so that the last of them can be trained."""

from __future__ import annotations

import re
from typing import NamedTuple

import keras

from live_gradcam.errors import UsageError
from live_gradcam.fitting.report.words import counted
from live_gradcam.networks.graph import Network, Operation

#: How networks number their blocks: block15_project_conv, conv5_block3_1_conv, block_16_expand, stage_3_block_2_….
_BLOCK = re.compile(r".*?block_?\d+[a-z]?(?=_|$)")


class Cut(NamedTuple):
    """A network cut at a value.

    Attributes:
        value: the number of the value: all that comes later depends on it alone.
        before: the operations that lead to it.
        after: the operations from it to the output.
    """

    value: int
    before: tuple[Operation, ...]
    after: tuple[Operation, ...]


def cut_before(network: Network, blocks: int) -> Cut:
    """Cut a network before the last blocks.

    A block is what its layers' names say (`block15_…`), and in a network without such names each layer with weights.
    What comes after the last block belongs to it.

    Args:
        network: up to its features.
        blocks: how many, from 1 on.

    Raises:
        UsageError: the network has not more than these.
    """
    begins = _begins(network)
    if blocks >= len(begins):
        most = len(begins) - 1
        remedy = f"give a number up to {most}" if most > 0 else "leave the flag out"
        raise UsageError(f"--unfreeze is {blocks}, and the network has {counted(len(begins), 'block')}: {remedy}")
    for place in range(begins[-blocks], 0, -1):
        after = network.operations[place:]
        made = {value for operation in after for value in operation.outputs}
        read = {value for operation in after for value in operation.inputs} - made
        if len(read) == 1 and network.input not in read:
            return Cut(read.pop(), network.operations[:place], after)
    raise UsageError(
        f"--unfreeze is {blocks}: the network cannot be cut before so many blocks, so give a smaller number"
    )


def _begins(network: Network) -> list[int]:
    """The place of each block's first operation, in running order."""
    names = [_BLOCK.match(operation.name) for operation in network.operations]
    begins: dict[str, int] = {}
    for place, match in enumerate(names):
        if match is not None:
            begins.setdefault(match[0], place)
    if len(begins) > 1:
        return sorted(begins.values())
    return [place for place, operation in enumerate(network.operations) if has_filters(operation.layer)]


def has_filters(layer: object) -> bool:
    """Whether a layer has weights that are trained: batch norms stay as they are."""
    frozen = (keras.layers.BatchNormalization, keras.layers.Normalization)
    return bool(getattr(layer, "weights", None)) and not isinstance(layer, frozen)
