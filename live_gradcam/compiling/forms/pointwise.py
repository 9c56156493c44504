"""1 × 1 convolutions as matrix products, the pixels or the kernel first."""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.compiling.affine import Affine, Product, is_pointwise
from live_gradcam.compiling.forms.form import FEW_PLACES, matmul, matrix, places
from live_gradcam.networks.graph import Shape

# --- the pixels first ---------------------------------------------------------------------------------------------


def is_strided_pointwise(affine: Affine, input_shape: Shape) -> bool:
    """Without a stride XLA makes a matrix product of it by itself."""
    return is_pointwise(affine, input_shape) and affine.strides != (1, 1)


def matrix_product(affine: Affine) -> Product:
    """A 1 × 1 convolution is a matrix product over the pixels that its stride leaves.

    Written as a convolution all the same: XLA turns one without a stride into a product so late that it is Eigen's,
    which is faster here than YNN's.
    """
    kernel = matrix(affine, affine.kernel[0, 0])

    def product(x: tf.Tensor) -> tf.Tensor:
        x = x[:, :: affine.strides[0], :: affine.strides[1]]
        return matmul(x, kernel) if affine.bf16 else tf.nn.conv2d(x, kernel[tf.newaxis, tf.newaxis], 1, "VALID")

    return product


# --- the kernel first: small maps ---------------------------------------------------------------------------------


def is_small_pointwise(affine: Affine, input_shape: Shape) -> bool:
    """Whether it is a 1 × 1 convolution of few places."""
    if not is_pointwise(affine, input_shape) or None in input_shape:
        return False
    return places(input_shape, affine.strides) <= FEW_PLACES


def product_kernel_first(affine: Affine) -> Product:
    """The pixels' matrix times the kernel, as (Kᵀ xᵀ)ᵀ: Eigen cuts the left matrix into longer strips than the right.

    0.65 to 0.97 of the time on the 7 × 7 maps of ResNet50 and EfficientNet-Lite0. Several of them in a batch have more
    places, and are multiplied as ever.
    """
    kernel = tf.constant(affine.kernel[0, 0].T, tf.float32)
    outputs, inputs = kernel.shape
    ordinary = matrix_product(affine)

    def product(x: tf.Tensor) -> tf.Tensor:
        if (x.shape[0] or 1) > 1:
            return ordinary(x)
        x = x[:, :: affine.strides[0], :: affine.strides[1]]
        transposed = tf.linalg.matmul(kernel, tf.reshape(x, [-1, inputs]), transpose_b=True)
        return tf.reshape(tf.transpose(transposed), [-1, *x.shape[1:3], outputs])

    return product
