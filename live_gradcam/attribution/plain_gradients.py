"""Gradients made of plain operations, for engines that have no gradient operators.

TensorFlow differentiates a ReLU into `ReluGrad` and a max pool into `MaxPoolGrad`, which neither OpenVINO nor ONNX has.
Within `plain_gradients()` such operations are differentiated by the formulas below instead, which say the same in
comparisons, products, slices and padding. Whatever is not listed is differentiated by TensorFlow as ever: products,
sums and reshapes become operations that every engine has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import product

import tensorflow as tf

#: Takes the operation (its `inputs` and `outputs`) and ∂score/∂output, gives ∂score/∂input for each input.
_Gradient = Callable[[tf.Operation, tf.Tensor], tf.Tensor | Sequence[tf.Tensor | None]]


def plain_gradients(*, guided: bool = False) -> AbstractContextManager:
    """Operations that are traced in this context get plain gradients from `tf.gradients` (a tape does not heed it).

    Args:
        guided: let no negative gradient back through a ReLU, so that what comes out is guided backpropagation:
            Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR 2015 workshop
            (https://arxiv.org/abs/1412.6806).
    """
    names = {kind: _registered_name(kind) for kind in _GRADIENTS}
    if guided:
        names |= {kind: _registered_name(f"Guided{kind}") for kind in RELUS}
    return tf.compat.v1.get_default_graph().gradient_override_map(names)


def let_no_negative_back(value: tf.Tensor) -> tf.Tensor:
    """The same value, through which no negative gradient gets back: what guides a ReLU of any other form."""
    with tf.compat.v1.get_default_graph().gradient_override_map({"Identity": _registered_name("GuidedIdentity")}):
        return tf.identity(value)


def is_maximum_with_0(operation: tf.Operation) -> bool:
    """Whether an operation is a ReLU in other words, max(x, 0)."""
    if operation.type != "Maximum":
        return False
    known = [tf.get_static_value(value) for value in operation.inputs]
    return any(value is not None and not value.any() for value in known)


def _registered_name(kind: str) -> str:
    return f"LiveGradcamPlain{kind}"


# --- element by element -------------------------------------------------------------------------------------------


def _relu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return tf.where(operation.outputs[0] > 0, gradient, 0)


def _relu6(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    output = operation.outputs[0]
    return tf.where((output > 0) & (output < 6), gradient, 0)


def _leaky_relu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return tf.where(operation.inputs[0] > 0, gradient, operation.get_attr("alpha") * gradient)


def _elu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    output = operation.outputs[0]
    return tf.where(output < 0, gradient * (output + 1), gradient)


def _selu(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    """For y = λ·x where x > 0, else λα·(eˣ − 1) = λα·eˣ − λα (Klambauer et al., https://arxiv.org/abs/1706.02515)."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    output = operation.outputs[0]
    return gradient * tf.where(output < 0, output + scale * alpha, scale)


def _softplus(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return gradient * tf.sigmoid(operation.inputs[0])


def _sigmoid(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    output = operation.outputs[0]
    return gradient * output * (1 - output)


def _tanh(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    output = operation.outputs[0]
    return gradient * (1 - output * output)


def _sqrt(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    return 0.5 * gradient / operation.outputs[0]


def _rsqrt(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    output = operation.outputs[0]
    return -0.5 * gradient * output * output * output


def _concat(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor | None]:
    axis = int(tf.get_static_value(operation.inputs[-1]))
    sizes = [part.shape[axis] for part in operation.inputs[:-1]]
    return [*tf.split(gradient, sizes, axis), None]


def _convolution(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor | None]:
    """TensorFlow's own but for the shapes, which it asks for by an operation that ONNX does not have."""
    image, kernel = operation.inputs
    strides, dilations = operation.get_attr("strides"), operation.get_attr("dilations")
    padding = operation.get_attr("padding").decode()
    return [tf.nn.conv2d_transpose(gradient, kernel, tf.shape(image), strides, padding, dilations=dilations), None]


# --- windows: pooling and depthwise convolution -------------------------------------------------------------------


def _max_pool(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    """Each window's gradient goes to its first maximum in reading order, as TensorFlow has it.

    Equal maxima are no rarity: after a ReLU whole windows are 0.
    """
    image, highest = operation.inputs[0], operation.outputs[0]
    windows = _Windows(operation)
    image = tf.pad(image, windows.padding, constant_values=image.dtype.min)
    taken = tf.zeros_like(highest, tf.bool)
    shares = []
    for place in windows.places:
        here = (windows.values(image, place) == highest) & ~taken
        taken |= here
        shares.append(tf.where(here, gradient, 0))
    return windows.put_back(shares)


def _average_pool(operation: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    """A window's gradient goes in equal shares to the places of it that lie inside the image."""
    windows = _Windows(operation)
    inside = tf.pad(tf.ones_like(operation.inputs[0]), windows.padding)
    share = gradient / tf.add_n([windows.values(inside, place) for place in windows.places])
    return windows.put_back([share for _ in windows.places])


def _depthwise_convolution(operation: tf.Operation, gradient: tf.Tensor) -> list[tf.Tensor | None]:
    """Each tap's share: the gradient times the tap's weights, summed over a channel's outputs."""
    kernel = operation.inputs[1]
    rows, columns, channels, multiplier = kernel.shape
    windows = _Windows(operation, size=(rows, columns))
    gradient = tf.reshape(gradient, [-1, *gradient.shape[1:3], channels, multiplier])
    shares = [tf.reduce_sum(gradient * kernel[row, column], axis=-1) for row, column in windows.places]
    return [windows.put_back(shares), None]


class _Windows:
    """The windows of a pooling or convolution over an image (batch, height, width, channels).

    Args:
        operation: with the attributes `strides` and `padding`, and `ksize` where `size` is not given.
        size: (height, width) of the window.
    """

    def __init__(self, operation: tf.Operation, size: tuple[int, int] | None = None) -> None:
        _, self._height, self._width, _ = operation.inputs[0].shape
        _, self._rows, self._columns, _ = operation.outputs[0].shape
        _, self._stride_y, self._stride_x, _ = operation.get_attr("strides")
        size_y, size_x = size or tuple(operation.get_attr("ksize")[1:3])
        #: Where in a window a value can be, (row, column) in reading order.
        self.places = tuple(product(range(size_y), range(size_x)))
        reach_y, reach_x = (self._rows - 1) * self._stride_y + size_y, (self._columns - 1) * self._stride_x + size_x
        over_y, over_x = max(0, reach_y - self._height), max(0, reach_x - self._width)
        self._before = (over_y // 2, over_x // 2)
        #: How `tf.pad` makes the windows fit.
        self.padding = ((0, 0), (over_y // 2, over_y - over_y // 2), (over_x // 2, over_x - over_x // 2), (0, 0))

    def values(self, padded: tf.Tensor, place: tuple[int, int]) -> tf.Tensor:
        """The value at a place of every window, (batch, rows, columns, channels)."""
        row, column = place
        bottom = row + (self._rows - 1) * self._stride_y + 1
        right = column + (self._columns - 1) * self._stride_x + 1
        return padded[:, row : bottom : self._stride_y, column : right : self._stride_x]

    def put_back(self, shares: Sequence[tf.Tensor]) -> tf.Tensor:
        """The image's gradient: for each pixel the sum of its shares in the windows that it belongs to.

        Args:
            shares: for each of `places`, what that place of every window receives, (batch, rows, columns, channels).

        Returns:
            (batch, height, width, channels).

        Places less than a stride apart interleave without touching; those further apart overlap, and are added.
        """
        share_of = dict(zip(self.places, shares, strict=True))
        (last_row, last_column), nothing = self.places[-1], tf.zeros_like(shares[0])
        blocks_y, blocks_x = last_row // self._stride_y + 1, last_column // self._stride_x + 1
        block_height, block_width = self._rows * self._stride_y, self._columns * self._stride_x
        (top, left), channels = self._before, shares[0].shape[-1]
        height = max(block_height + (blocks_y - 1) * self._stride_y, top + self._height)
        width = max(block_width + (blocks_x - 1) * self._stride_x, left + self._width)
        blocks = []
        for y, x in product(
            range(0, blocks_y * self._stride_y, self._stride_y), range(0, blocks_x * self._stride_x, self._stride_x)
        ):
            lines = [
                tf.stack([share_of.get((y + row, x + column), nothing) for column in range(self._stride_x)], axis=3)
                for row in range(self._stride_y)
            ]
            block = tf.reshape(tf.stack(lines, axis=2), [-1, block_height, block_width, channels])
            blocks.append(tf.pad(block, [(0, 0), (y, height - y - block_height), (x, width - x - block_width), (0, 0)]))
        return tf.add_n(blocks)[:, top : top + self._height, left : left + self._width]


_GRADIENTS: dict[str, _Gradient] = {
    "AvgPool": _average_pool,
    "ConcatV2": _concat,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Elu": _elu,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Relu": _relu,
    "Relu6": _relu6,
    "Rsqrt": _rsqrt,
    "Selu": _selu,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Sqrt": _sqrt,
    "Tanh": _tanh,
}
#: The operations that guided backpropagation is defined for.
RELUS = ("Relu", "Relu6")


def _guided(plain: _Gradient) -> _Gradient:
    return lambda operation, gradient: plain(operation, tf.nn.relu(gradient))


for _kind, _gradient in _GRADIENTS.items():
    tf.RegisterGradient(_registered_name(_kind))(_gradient)
for _kind in RELUS:
    tf.RegisterGradient(_registered_name(f"Guided{_kind}"))(_guided(_GRADIENTS[_kind]))
tf.RegisterGradient(_registered_name("GuidedIdentity"))(lambda operation, gradient: tf.nn.relu(gradient))
