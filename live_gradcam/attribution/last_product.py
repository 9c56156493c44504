"""Where the gradient of a class's logit begins: at a column of the last layer's kernel.

The logits are h·K + b, of a dense layer or of a 1 × 1 convolution of the one place that pooling leaves. The gradient of
logit c by h is column c of K, which is read where it stands: differentiated as a sum of one-hot logits, it would be a
product with the whole of K, which costs as much as the logits themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from live_gradcam.attribution.targets import NO_CLASS
from live_gradcam.compiling.once import unknown_one

#: Up to this many columns are cut out one by one, which XLA does in no time; more by one gathering, which is a loop.
_COLUMNS = 16
#: What a layer's own numbers are in a graph: captured, constant, or a variable's.
_NUMBERS = ("Const", "Placeholder", "ReadVariableOp")
#: What only gives them another shape.
_VIEWS = ("Reshape", "Squeeze", "ExpandDims", "StridedSlice", "Identity")


@dataclass(frozen=True)
class LastProduct:
    """Logits (n, classes) = input · kernel + a number for each class.

    Attributes:
        input: float32 (n, d), or (n, 1, 1, d).
        kernel: float32 (d, classes), or (classes, d) where it is transposed.
        is_transposed: whether it is.
    """

    input: tf.Tensor
    kernel: tf.Tensor
    is_transposed: bool

    def gradient(self, classes: tf.Tensor, contrasts: tf.Tensor) -> tf.Tensor:
        """The gradient of each row's logit by the input, less that of what it is contrasted with, of the input's shape.

        Args:
            classes: int32 (n,).
            contrasts: int32 (n,), or `NO_CLASS`.
        """
        has_contrast = (contrasts != NO_CLASS)[:, tf.newaxis]
        gradient = self._columns(classes) - tf.where(has_contrast, self._columns(tf.maximum(contrasts, 0)), 0)
        gradient /= unknown_one()  # else the columns are read anew for each place of the map
        return tf.reshape(gradient, [-1, *self.input.shape[1:]])

    def _columns(self, classes: tf.Tensor) -> tf.Tensor:
        axis = 0 if self.is_transposed else 1
        if classes.shape[0] is not None and classes.shape[0] <= _COLUMNS:
            return tf.stack([tf.gather(self.kernel, one, axis=axis) for one in tf.unstack(classes)])
        columns = tf.gather(self.kernel, classes, axis=axis)
        return columns if self.is_transposed else tf.transpose(columns)


def last_product(logits: tf.Tensor) -> LastProduct | None:
    """What logits (n, classes) are a product of, as they were traced; None where they are no such plain sums."""
    if logits.dtype != tf.float32:  # nor, then, is the product: no cast is looked through
        return None
    while True:
        operation = logits.op
        if operation.type in ("AddV2", "BiasAdd"):
            bias = operation.inputs[1]
            if bias.shape.rank != 1 or not _is_of_layer(bias):
                return None
        elif operation.type in ("Reshape", "Squeeze"):
            given = operation.inputs[0]
            if not (_is_one_place(logits) and _is_one_place(given) and logits.shape[-1] == given.shape[-1]):
                return None
        elif operation.type != "Identity":
            return _product(operation)
        logits = operation.inputs[0]


def _product(operation: tf.Operation) -> LastProduct | None:
    """The product that an operation is, in each of the forms that a dense layer or a 1 × 1 convolution takes."""
    if operation.type == "Conv2D":
        rows, kernel = operation.inputs
        if not (_is_one_place(rows) and _is_one_place(operation.outputs[0]) and _is_of_layer(kernel)):
            return None
        if kernel.shape[:3] != (1, 1, rows.shape[-1]):
            return None
        return LastProduct(rows, tf.reshape(kernel, kernel.shape[2:]), is_transposed=False)
    is_kernel_first = operation.type == "Transpose"  # (Kᵀ hᵀ)ᵀ
    if is_kernel_first:
        order = tf.get_static_value(operation.inputs[1])
        if order is None or order.tolist() != [1, 0]:
            return None
        operation = operation.inputs[0].op
    if operation.type != "MatMul" or operation.get_attr("transpose_a"):
        return None
    rows, kernel = reversed(operation.inputs) if is_kernel_first else operation.inputs
    is_transposed = operation.get_attr("transpose_b")
    if not _is_of_layer(kernel) or (is_kernel_first and not is_transposed):
        return None
    return LastProduct(rows, kernel, is_transposed)


def _is_one_place(tensor: tf.Tensor) -> bool:
    """Whether it is (n, channels), or (n, 1, 1, channels)."""
    shape = tensor.shape
    return shape.rank in (2, 4) and shape[-1] is not None and all(size == 1 for size in shape[1:-1])


def _is_of_layer(numbers: tf.Tensor) -> bool:
    """Whether they are a layer's own, and not made of the frame."""
    operation = numbers.op
    if operation.type in _VIEWS:
        return all(_is_of_layer(given) for given in operation.inputs)
    return operation.type in _NUMBERS
