"""Whether what an engine compiled gives the same as TensorFlow's own kernels, on a photograph.

Compilers have faults. By one of XLA's, products of the size of self-attention were wrong, and every map was empty.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.attribution.photograph import photograph
from live_gradcam.attribution.targets import as_arrays
from live_gradcam.compiling.comparison import have_few_digits, relative_difference
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.explanations.fits import fit_frame

if TYPE_CHECKING:
    import tensorflow as tf

    from live_gradcam.attribution.plan import Plan

_log = logging.getLogger(__name__)

#: The largest difference that passes for rounding, as a share of what it is compared with: in float32, and where
#: anything computes in fewer digits.
_TOLERANCE, _TOLERANCE_OF_FEW_DIGITS = 1e-3, 5e-2

#: What TensorFlow's operations are called whose numbers are random: each engine has a generator of its own. And those
#: that round to steps, as in training for quantization: there the last digit may decide for a whole step.
_RANDOM = re.compile("Random|TruncatedNormal|Multinomial|RngReadAndSkip")
_ROUNDING = re.compile("FakeQuant|Quantize|^(Round|Rint|Floor|Ceil|Sign)$")


def gives_the_same(
    plan: Plan,
    signature: Sequence[tf.TensorSpec],
    compiled: CompiledFunction,
    by_kernels: CompiledFunction,
    operations: frozenset[str],
) -> bool:
    """Compare a compiled one-pass function with the same by TensorFlow's own kernels. A warning says what differs.

    Where these cannot run it, or random numbers are in it, that is not known, and nothing is said. What differs on the
    photograph has to differ upside down too: logits that happen to come to nothing on one picture are rounding alone.

    Args:
        plan: what the function was made by.
        signature: of the function.
        compiled: by an engine.
        by_kernels: the same function.
        operations: the types of TensorFlow's operations in it.
    """
    if any(map(_RANDOM.search, operations)):
        return True
    pixels, classes, _ = signature
    photographs = _photographs(pixels.shape)
    batch, maps = classes.shape
    targets, contrasts = as_arrays((), batch=batch, maps=maps)
    makes_steps = _has_few_digits(plan) or any(map(_ROUNDING.search, operations))
    for frames in (photographs, np.ascontiguousarray(photographs[:, ::-1])):
        try:
            expected = by_kernels(frames, targets, contrasts)
        except Exception as error:  # such as of an operation that only XLA has for this processor
            _log.debug("TensorFlow's own kernels do not run %s: %s", plan.classifier.name, error)
            return True
        actual = compiled(frames, expected["targets"], contrasts)
        apart = _difference(plan, expected, actual)
        if apart <= (_TOLERANCE_OF_FEW_DIGITS if makes_steps else _TOLERANCE):
            return True
    _log.warning(
        "%s: do not trust its maps. %s computes other numbers than TensorFlow does without it, which differ by %.1e of "
        "the largest: use --engine graph",
        plan.classifier.name,
        plan.engine.title,
        apart,
    )
    return False


def _photographs(shape: Sequence[int]) -> np.ndarray:
    """The photograph and its mirror image in turn, uint8 of a shape (n, height, width, 3)."""
    count, height, width, _ = shape
    pixels, _ = fit_frame(photograph(), (height, width), "stretch")
    return np.stack([pixels[:, :: 1 - 2 * (k % 2)] for k in range(count)])


def _difference(plan: Plan, expected: dict[str, np.ndarray], actual: dict[str, np.ndarray]) -> float:
    """The largest difference of logits, and of the maps of methods that are given gradients, in any frame.

    Where what speaks for a class and against it comes to nothing, a map is rounding alone. So maps are compared with an
    even share of the logits too, in whose units they are.
    """
    apart = [relative_difference(expected["logits"], actual["logits"])]
    if plan.one_pass.method.asks_for in ("mean gradient", "gradient"):
        logits = expected["logits"]
        largest = float(np.abs(logits[np.isfinite(logits)]).max(initial=0))
        for name in (name for name in expected if name.startswith("raw_maps_")):
            share = largest / expected[name][0, 0].size
            apart.append(relative_difference(expected[name], actual[name], least=max(share, 1e-12)))
    return max(apart)


def _has_few_digits(plan: Plan) -> bool:
    return plan.options.compiling.precision != "f32" or have_few_digits(plan.classifier.model._flatten_layers())
