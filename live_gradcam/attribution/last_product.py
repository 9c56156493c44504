"""Where the gradient of a class's logit begins: at a column of the last dense layer's kernel.

The logits are h·K + b. The gradient of logit c by h is column c of K, which is read where it stands: differentiated as
a sum of one-hot logits, it would be a product with the whole of K, which costs as much as the logits themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from live_gradcam.attribution.targets import NO_CLASS

#: Up to this many columns are cut out one by one, which XLA does in no time; more by one gathering, which is a loop.
_COLUMNS = 16
#: What a layer's own numbers are in a graph: captured, constant, or a variable's.
_NUMBERS = ("Const", "Placeholder", "ReadVariableOp")


@dataclass(frozen=True)
class LastProduct:
    """Logits (n, classes) = input · kernel + a number for each class.

    Attributes:
        input: float32 (n, d).
        kernel: float32 (d, classes), or (classes, d) where it is transposed.
        is_transposed: whether it is.
    """

    input: tf.Tensor
    kernel: tf.Tensor
    is_transposed: bool

    def gradient(self, classes: tf.Tensor, contrasts: tf.Tensor) -> tf.Tensor:
        """The gradient of each row's logit by the input, less that of what it is contrasted with, float32 (n, d).

        Args:
            classes: int32 (n,).
            contrasts: int32 (n,), or `NO_CLASS`.
        """
        has_contrast = (contrasts != NO_CLASS)[:, tf.newaxis]
        gradient = self._columns(classes) - tf.where(has_contrast, self._columns(tf.maximum(contrasts, 0)), 0)
        with tf.init_scope():
            one = tf.constant(1.0)  # captured, so that the compiler does not know it
        return gradient / one

    def _columns(self, classes: tf.Tensor) -> tf.Tensor:
        axis = 0 if self.is_transposed else 1
        if classes.shape[0] is not None and classes.shape[0] <= _COLUMNS:
            return tf.stack([tf.gather(self.kernel, one, axis=axis) for one in tf.unstack(classes)])
        columns = tf.gather(self.kernel, classes, axis=axis)
        return columns if self.is_transposed else tf.transpose(columns)


def last_product(logits: tf.Tensor) -> LastProduct | None:
    """What logits are a product of, as they were traced; None where they are not the plain sums of a dense layer."""
    while (operation := logits.op).type in ("AddV2", "BiasAdd", "Identity"):
        if len(operation.inputs) == 2 and operation.inputs[1].shape.rank != 1:
            return None
        logits = operation.inputs[0]
    if operation.type != "MatMul" or operation.get_attr("transpose_a"):
        return None
    rows, kernel = operation.inputs
    if kernel.op.type not in _NUMBERS or kernel.dtype != tf.float32:
        return None
    return LastProduct(rows, kernel, operation.get_attr("transpose_b"))
