"""All forms in which a convolution or dense layer can be computed, and a layer as what runs it.

A form is a function of the layer's numbers. Each file of `forms` says when a form computes the layer, what it does, and
why that is exact. Which one is used is `compiling.lowering`'s choice.
"""

from __future__ import annotations

import tensorflow as tf

from live_gradcam.compiling.affine import Affine, AffineCall
from live_gradcam.compiling.forms.form import Form
from live_gradcam.compiling.forms.pointwise import (
    is_small_pointwise,
    is_strided_pointwise,
    matrix_product,
    product_kernel_first,
)
from live_gradcam.compiling.forms.shifted_products import has_narrow_groups, shifted_products
from live_gradcam.compiling.forms.stem import is_stem, is_strided_stem, product_in_depth, product_of_patches
from live_gradcam.compiling.forms.tensorflows import is_large_dense, product_by_transposed, tensorflows_product
from live_gradcam.compiling.forms.winograd import F2, F4, has_few_tiles, is_for_winograd, winograd_product
from live_gradcam.networks.graph import Operation

#: Every form, by the name that is shown. To add one is a file or a function in `forms`, a line here and a test.
FORMS: dict[str, Form] = {
    "as it is": Form(lambda affine, input_shape: True, tensorflows_product),
    "transposed product": Form(is_large_dense, product_by_transposed),
    "shifted products": Form(has_narrow_groups, shifted_products),
    "matrix product": Form(is_strided_pointwise, matrix_product),
    "kernel first": Form(is_small_pointwise, product_kernel_first),
    "patches": Form(is_stem, product_of_patches),
    "space to depth": Form(is_strided_stem, product_in_depth),
    "Winograd F(2×2)": Form(is_for_winograd, lambda affine: winograd_product(affine, F2)),
    "Winograd F(4×4)": Form(is_for_winograd, lambda affine: winograd_product(affine, F4)),
    "Winograd F(2×2), kernel first": Form(
        lambda affine, input_shape: has_few_tiles(affine, input_shape, F2),
        lambda affine: winograd_product(affine, F2, kernel_first=True),
    ),
    "Winograd F(4×4), kernel first": Form(
        lambda affine, input_shape: has_few_tiles(affine, input_shape, F4),
        lambda affine: winograd_product(affine, F4, kernel_first=True),
    ),
}


def call_of(affine: Affine) -> AffineCall:
    """A layer as a function. Weights are captured, not built into the graph."""
    return AffineCall(FORMS[affine.form].product(affine), tf.constant(affine.bias, tf.float32), affine.activation)


def replaced(
    operation: Operation,
    affine: Affine,
    *,
    inputs: tuple[int, ...] | None = None,
    outputs: tuple[int, ...] | None = None,
) -> Operation:
    """The operation with an affine layer in its place."""
    return Operation(
        operation.name,
        affine,
        operation.inputs if inputs is None else inputs,
        operation.outputs if outputs is None else outputs,
        call_of(affine),
    )
