"""TensorFlow's operators, with the kernel as it is or transposed."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.compiling.affine import Affine, Product
from live_gradcam.networks.graph import Shape

# --- as it is ------------------------------------------------------------------------------------------------------


def tensorflows_product(affine: Affine) -> Product:
    """The operator of TensorFlow that the layer is."""
    kernel = tf.constant(affine.kernel, tf.float32)
    if affine.kind == "dense":
        return lambda x: tf.linalg.matmul(x, kernel)
    padding = affine.padding.upper()
    if affine.kind == "depthwise":
        strides = [1, *affine.strides, 1]
        return lambda x: tf.nn.depthwise_conv2d(x, kernel, strides, padding, None, affine.dilation)
    # As Keras calls it: where it is dilated, TensorFlow has a gradient on the CPU for the windows as a batch alone.
    return lambda x: tf.nn.convolution(x, kernel, affine.strides, padding, dilations=affine.dilation)


# --- by the transposed kernel: dense ------------------------------------------------------------------------------

#: Smaller kernels stay in a processor's cache, where the order in which they are read is no matter.
_LARGE_KERNEL = 1 << 25


def is_large_dense(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a dense layer whose kernel does not fit into the cache."""
    return affine.kind == "dense" and len(input_shape) == 1 and affine.kernel.size >= _LARGE_KERNEL


def product_by_transposed(affine: Affine) -> Product:
    """X K = x (Kᵀ)ᵀ, K kept transposed: for one row each output is a scalar product along consecutive numbers."""
    kernel = tf.transpose(tf.constant(affine.kernel, tf.float32))
    return lambda x: tf.linalg.matmul(x, kernel, transpose_b=True)
