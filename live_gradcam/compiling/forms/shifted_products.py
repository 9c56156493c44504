"""Depthwise and grouped convolutions as sums of shifted inputs."""

from __future__ import annotations

from itertools import product as pairs

import tensorflow as tf

from live_gradcam.compiling.affine import Affine, Product, is_grouped
from live_gradcam.compiling.forms.form import padded, read_by_tap
from live_gradcam.networks.graph import Shape


def has_narrow_groups(affine: Affine, input_shape: Shape) -> bool:
    """Whether its groups of channels are few numbers each."""
    if affine.kind == "depthwise":
        return True
    return is_grouped(affine, input_shape) and affine.kernel.shape[2] <= _NARROW


#: Up to this many input channels in a group, products of single numbers beat those of matrices.
_NARROW = 16


def shifted_products(affine: Affine) -> Product:
    """Σ over the kernel's taps of (the padded input, shifted) · (the tap's weights): the convolution's definition.

    XLA's CPU back end lowers the operator to scalar loops, and this to one vectorised loop: 11 times faster on
    EfficientNet-Lite0. In a grouped convolution, each of a group's input channels is a tap of its own.
    """
    rows, columns = affine.kernel.shape[:2]
    kernel = affine.kernel
    if affine.kind == "depthwise":  # a group for each channel, with `multiplier` outputs: output c·multiplier + m
        kernel = kernel.reshape(rows, columns, 1, -1)
    depth, outputs = kernel.shape[2:]
    weights = tf.constant(kernel, tf.float32)

    def product(x: tf.Tensor) -> tf.Tensor:
        groups = x.shape[-1] // depth
        x, (height, width) = padded(affine, x)
        shifted = [
            read_by_tap(affine, x, row, column, height, width) for row, column in pairs(range(rows), range(columns))
        ]
        if depth > 1:
            parts = [tf.reshape(tap, [-1, height, width, groups, depth]) for tap in shifted]
            shifted = [part[..., channel] for part in parts for channel in range(depth)]
        taps = tf.unstack(tf.reshape(weights, [-1, outputs]))
        if outputs > groups:
            shifted = [tf.repeat(tap, outputs // groups, axis=-1) for tap in shifted]
        return tf.add_n([tap * weight for tap, weight in zip(shifted, taps, strict=True)])

    return product
