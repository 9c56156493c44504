"""The same network, written the way XLA's CPU back end compiles best.

A rewrite is a small rule over the flat list of operations (`rules`). `lower` applies them in order; in which form a
layer's product is computed (`products`) comes last, by rule or by timing (`tuning`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from live_gradcam.compiling.affine import Affine, affine_of, is_pointwise, smaller_side
from live_gradcam.compiling.comparison import check_images, differences, have_few_digits
from live_gradcam.compiling.products import FORMS, call_of, replaced
from live_gradcam.compiling.rules import RULES, RULES_FOR_XLA, compute_once
from live_gradcam.compiling.tuning import Layer, Tuner
from live_gradcam.networks.graph import Network, Shape
from live_gradcam.networks.split import split_at

_log = logging.getLogger(__name__)

#: The largest differences that pass for the same network: of the logits relative to the largest, of the map relative
#: to its maximum. Where layers round to few digits, a last digit before them can be a step after.
_LOGITS_TOLERANCE, _MAP_TOLERANCE = 1e-4, 1e-3
_TOLERANCE_OF_FEW_DIGITS = 2e-2

_SLOWER = "The network runs as it is, which is slower"

#: Forms that are exact in real numbers, but not to the last digits of float32.
_ROUNDING_FORMS = tuple(name for name in FORMS if name.startswith("Winograd"))


def lower(
    network: Network,
    *,
    keep: tuple[int, ...],
    for_xla: bool = True,
    tuner: Tuner | None = None,
    pictures: np.ndarray | None = None,
    accept: Callable[[np.ndarray], bool] | None = None,
) -> tuple[Network, dict[str, int]]:
    """Rewrite a network, and check it against the original.

    Args:
        network: what to rewrite.
        keep: the numbers of the target layers' activations, values that must stay.
        for_xla: rewrite for XLA on a CPU; False: only what helps every engine and device.
        tuner: chooses the forms of layers; None: by rule.
        accept: whether the rewritten network's logits for the images of `check_images`, float32 (1 + n, units), are
            those of the user's model; None where that is not known.
        pictures: float32 (n, height, width, channels), real inputs to check on; see `check_images`.

    Returns:
        The rewritten network, and how often each rule applied. Where it differs from the original, in the logits or in
        the top class's Grad-CAM, it is rewritten without Winograd; if it still does, the original is returned. Either
        is said in a warning.
    """
    images = check_images(network, pictures)
    of_logits, of_map = _LOGITS_TOLERANCE, _MAP_TOLERANCE
    if have_few_digits(operation.layer for operation in network.operations):
        of_logits = of_map = _TOLERANCE_OF_FEW_DIGITS
    for without in ((), _ROUNDING_FORMS):
        rewritten, rewrites = _apply_rules(network, keep, for_xla, tuner or Tuner("off"), without)
        if not rewrites:
            return network, {}
        logits, map_, answers = differences(network, rewritten, keep, images)
        if logits <= of_logits and map_ <= of_map:
            if accept is None or accept(answers):
                return rewritten, rewrites
            _log.warning("the rewritten network gives other results than your model, and is not used. %s", _SLOWER)
            return network, {}
        _log.warning(
            "the rewritten network is not used: its logits differ by %.1e of the largest (at most %.0e is allowed), "
            "its map by %.1e (at most %.0e). %s",
            *(logits, of_logits, map_, of_map),
            _SLOWER if without else "It is rewritten again, without Winograd's products, which round most",
        )
    return network, {}


def _apply_rules(
    network: Network, keep: tuple[int, ...], for_xla: bool, tuner: Tuner, without: Collection[str]
) -> tuple[Network, dict[str, int]]:
    rewrites: dict[str, int] = {}
    for name, rule in (RULES | RULES_FOR_XLA if for_xla else RULES).items():
        network, count = rule(network, keep)
        if count:
            rewrites[name] = count
    if for_xla:
        network, forms = _choose_forms(network, tuner, without)
        rewrites.update(forms)
        network, count = compute_once(network, keep)
        if count:
            rewrites["shifted products computed once"] = count
    return network, rewrites


def in_bf16(network: Network, *, keep: tuple[int, ...]) -> Network:
    """The network with matrix products of bfloat16 numbers, summed in float32, before the target layer's activations.

    Those are the products of 1 × 1 convolutions, of patches and of Winograd's tiles. All others, and what is
    differentiated, stay in float32.
    """
    trunk = split_at(network, *keep).trunk
    operations = []
    for operation in network.operations:
        affine = affine_of(operation.layer) if operation in trunk else None
        if affine is not None and affine.kind != "depthwise":
            pointwise = is_pointwise(affine, network.shapes[operation.inputs[0]])
            form = "matrix product" if pointwise else affine.form.removesuffix(", kernel first")
            operation = replaced(operation, replace(affine, form=form, bf16=True))
        operations.append(operation)
    return replace(network, operations=tuple(operations))


# --- what became of a layer ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerRewrite:
    """What became of a layer.

    Attributes:
        name: the layer's full name.
        kind: the class of the layer.
        shape: of its input, without the batch.
        became: what is computed in its place; empty where it stayed as it is.
        milliseconds: the median time of each form that was timed.
    """

    name: str
    kind: str
    shape: Shape
    became: str
    milliseconds: dict[str, float]


def describe_rewrites(network: Network, rewritten: Network, tuner: Tuner) -> list[LayerRewrite]:
    """What became of each layer of a network, in running order."""
    untouched = {operation.call for operation in rewritten.operations}
    rows = []
    for operation in network.operations:
        shape = network.shapes[operation.inputs[0]] if operation.inputs else ()
        successors = [other for other in rewritten.operations if other.name == operation.name]
        milliseconds: dict[str, float] = {}
        for other in successors:
            affine = affine_of(other.layer)
            if affine is not None:
                milliseconds |= tuner.milliseconds(_key(affine, rewritten.shapes[other.inputs[0]]))
        became = ""
        if operation.call not in untouched:
            forms = [form for other in successors if (form := _form_of(other.layer))]
            became = ", then ".join(forms) or "folded into the layer before"
        rows.append(LayerRewrite(operation.name, type(operation.layer).__name__, shape, became, milliseconds))
    return rows


#: What became of a layer that stays in its place.
_BECAME: dict[type, str] = {
    keras.layers.MaxPooling2D: "shifted maxima",
    keras.layers.GlobalAveragePooling2D: "sums of rows",
    keras.layers.Activation: "a quotient of polynomials",
}


def _form_of(layer: Any) -> str:
    """What is computed in a layer's place; empty for what only holds another one's result."""
    if not isinstance(layer, Affine):
        return _BECAME.get(type(layer), "")
    return f"{layer.kind} as numbers" if layer.form == "as it is" else f"{layer.kind} as {layer.form}"


# --- the form of each product -------------------------------------------------------------------------------------


def _choose_forms(network: Network, tuner: Tuner, without: Collection[str]) -> tuple[Network, dict[str, int]]:
    """The network with each convolution in its fastest form, and how many are in each."""
    operations = []
    counts: Counter[str] = Counter()
    for operation in network.operations:
        affine = affine_of(operation.layer)
        if affine is not None:
            form = _form(affine, network.shapes[operation.inputs[0]], tuner, without)
            if form != "as it is":
                operation = replaced(operation, replace(affine, form=form))
                counts[f"{affine.kind} as {form}"] += 1
        operations.append(operation)
    tuner.remember()
    return replace(network, operations=tuple(operations)), dict(counts)


def _form(affine: Affine, input_shape: Shape, tuner: Tuner, without: Collection[str]) -> str:
    """A layer's form: by rule, or, where another may be faster, by timing."""
    forms = [name for name, form in FORMS.items() if name not in without and form.fits(affine, input_shape)]
    default = _form_by_rule(affine, input_shape, forms)
    beyond_doubt = affine.kind == "depthwise" or is_pointwise(affine, input_shape)
    if None in input_shape or (beyond_doubt and tuner.tune != "full"):
        return default

    def make(name: str) -> Layer:
        call = call_of(replace(affine, form=name))
        return lambda x: call([x])[0]

    shape = tuple(side or 0 for side in input_shape)
    makers = {name: (lambda name=name: make(name)) for name in forms}
    return tuner.choose(_key(affine, input_shape), makers, shape, default)


def _key(affine: Affine, input_shape: Shape) -> str:
    """What a layer's time depends on."""
    kernel = "×".join(map(str, affine.kernel.shape))
    image = "×".join(map(str, input_shape))
    return f"{affine.kind} {kernel} on {image}, {affine.padding}, strides {affine.strides}, dilation {affine.dilation}"


#: Where Winograd was measured to win over XLA's own convolution: at this many channels in and out, for maps from the
#: first size on F(2 × 2), from the second on F(4 × 4), up to the third, beyond which the transforms cost more memory
#: traffic than the products save.
_WINOGRAD_WINS_FROM = 48
_F2_FROM, _F4_FROM, _F4_TO = 12, 24, 160
#: From this many channels on, the kernel comes first where the tiles are few.
_WIDE = 512
#: Up to this many channels in a group, shifted products win over XLA's own grouped convolution.
_NARROW_GROUP = 8


def _form_by_rule(affine: Affine, input_shape: Shape, forms: Collection[str]) -> str:
    """The form that was fastest where it was measured."""
    if "shifted products" in forms:
        narrow = affine.kind == "depthwise" or affine.kernel.shape[2] <= _NARROW_GROUP
        return "shifted products" if narrow else "as it is"
    for form in ("kernel first", "matrix product", "space to depth", "transposed product"):
        if form in forms:
            return form
    if "Winograd F(2×2)" in forms:
        side, channels = smaller_side(input_shape), min(affine.kernel.shape[2:])
        if channels >= _WIDE:
            for form in ("Winograd F(4×4), kernel first", "Winograd F(2×2), kernel first"):
                if form in forms and (side >= _F2_FROM or "F(2×2)" in form):
                    return form
        if channels >= _WINOGRAD_WINS_FROM and _F2_FROM <= side <= _F4_TO:
            return "Winograd F(4×4)" if side >= _F4_FROM else "Winograd F(2×2)"
    return "as it is"
