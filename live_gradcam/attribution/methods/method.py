"""What a method is, and how one is found by its name.

To add one: write a file beside this one whose `METHOD` is a `Method`, give it a row in `choices.METHODS`, and test it
against its formula. Another package gives its `METHOD` by an entry point of the group `live_gradcam.methods`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from live_gradcam.choices import METHODS
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.errors import LiveGradcamError
from live_gradcam.families import Choices

if TYPE_CHECKING:
    import tensorflow as tf

    from live_gradcam.attribution.one_pass import OnePass

#: What the function of a method is given besides the activations: see `Method`.
Asks = Literal["mean gradient", "gradient", "nothing", "scores"]
ASKS = Choices("thing to ask for", dict.fromkeys(get_args(Asks), ""))
#: The scores float32 (batch, n) of other activations (batch, n, h, w, channels).
Scores = Callable[["tf.Tensor"], "tf.Tensor"]
#: Activations float32 (batch, h, w, channels) and what is asked for to the raw map, float32 (batch, h, w).
RawMap = Callable[["tf.Tensor", Any], "tf.Tensor"]

#: How many places a method that asks for scores puts through the head at most, one pass each.
MOST_PLACES = 1024

# --- methods of one pass ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A way to make a map.

    A method of one pass is a function, which is traced into the compiled function with the network. It takes the target
    layer's activations A, float32 (batch, h, w, channels), and what it asks for. It returns the raw map, float32
    (batch, h, w), before the ReLU and before scaling. It must use operations of TensorFlow that every engine has, and
    shapes that are known when it is traced. It can ask for:

    - "mean gradient": the mean over space of G = ∂score/∂A, (batch, 1, 1, channels), which is far cheaper than G
      (see `attribution.mean_gradient`).
    - "gradient": G at every place, of the same shape as A.
    - "nothing": it is given None.
    - "scores": a function that puts other activations through the head and gives their scores: see `Scores`.

    A method of many passes is this and `passes`: its function makes a first map, mostly Grad-CAM's, and `passes` the
    raw maps from that. It takes one target layer and no tiles, and is too slow for a camera.

    Attributes:
        raw_map: the function.
        asks_for: what it is given besides the activations.
        score: what is differentiated, of logits float32 (n, classes) and one-hot classes of the same shape to float32
            (n,); None for the score that the user chose.
        needs_pooled_head: whether it is defined only where one dense layer follows global pooling.
        against: whether the map shows what speaks against the class.
        passes: starts what makes the raw maps in further passes; None for a method of one pass.
    """

    raw_map: RawMap
    asks_for: Asks = "gradient"
    score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    needs_pooled_head: bool = False
    against: bool = False
    passes: StartPasses | None = None

    @property
    def is_quick(self) -> bool:
        """Whether it is quick enough for a camera."""
        return self.passes is None

    @property
    def takes_one_layer(self) -> bool:
        """Whether it is defined for a single target layer alone."""
        return self.passes is not None or self.asks_for == "scores" or self.needs_pooled_head


# --- methods of many passes ---------------------------------------------------------------------------------------

#: Of the one-pass function for one frame: pixels, target classes, contrast classes.
Signature = list["tf.TensorSpec"]
#: Compiles a function for a signature.
Compile = Callable[[Callable[..., "dict[str, tf.Tensor]"], Signature], CompiledFunction]
#: Called after each pass: (passes done, passes in all).
OnProgress = Callable[[int, int], None]


class ExplainedInput(NamedTuple):
    """What the one pass made of a frame.

    Attributes:
        pixels: uint8 (height, width, 3), BGR, of the network's input size.
        targets: int32 (maps,): the classes.
        contrasts: int32 (maps,): what they are contrasted with, or `targets.NO_CLASS`.
        heatmaps: float32 (maps, h, w) in 0…1: the maps of the method's function, of the whole input.
    """

    pixels: np.ndarray
    targets: np.ndarray
    contrasts: np.ndarray
    heatmaps: np.ndarray

    @property
    def arguments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels, targets and contrasts for a compiled function of one frame."""
        return self.pixels[None], self.targets[None], self.contrasts[None]


class Passes(Protocol):
    """Makes the raw maps of one frame after the other, in as many passes as it takes.

    Attributes:
        are_of_input: whether the maps are of the network's input, and not of the target layer.
        is_signed: whether the strength of a map is its absolute value, and its sign says something else.
    """

    are_of_input: bool
    is_signed: bool

    def raw_maps(self, explained: ExplainedInput, on_progress: OnProgress | None) -> np.ndarray:
        """The raw maps, float32 (maps, h, w).

        Args:
            explained: the frame, and what the one pass made of it.
            on_progress: to be called after each pass; None where nobody waits for it.
        """


class StartPasses(Protocol):
    """Gets ready for a network: it compiles what the passes need."""

    def __call__(self, one_pass: OnePass, compile_: Compile, signature: Signature) -> Passes:
        """Get ready.

        Args:
            one_pass: the network and the method, as functions of tensors.
            compile_: compiles a function, for the engine that the user chose.
            signature: of the one-pass function for one frame.

        Raises:
            ModelError: the method is not defined for the network.
        """


# --- by name ------------------------------------------------------------------------------------------------------


def load_method(name: str) -> Method:
    """The method of a name.

    Raises:
        UsageError: there is no such name.
        LiveGradcamError: another package adds it, and it cannot be imported or is no `Method`.
    """
    method = METHODS.load(name)
    if not isinstance(method, Method):
        raise LiveGradcamError(
            f"the method {name} {METHODS.helps[name]} is a {type(method).__name__}: its entry point must name a "
            "live_gradcam.attribution.methods.method.Method"
        )
    return method


def register_method(name: str, raw_map: RawMap, *, asks_for: Asks = "gradient", line: str = "") -> Method:
    """Add a method in this process, as a notebook does. Everything here then takes it by its name.

    Processes that are started later (`annotate` with workers) do not know it: for them, a package adds it by an entry
    point. A cell may run again: the method is replaced. Explainers that were built before keep the old one.

    Examples:
        >>> def peak_cam(activations, gradients):
        ...     return tf.reduce_max(activations * gradients, axis=-1)
        >>> register_method("peak-cam", peak_cam, asks_for="mean gradient", line="the largest weighted activation")
        >>> start_session(SessionOptions(method="peak-cam"))

    Args:
        name: as it is asked for.
        raw_map: activations and what is asked for to the map, in operations of TensorFlow: see `Method`.
        asks_for: what the function is given besides the activations: "mean gradient", "gradient", "nothing" or
            "scores".
        line: of help.

    Returns:
        The method.

    Raises:
        UsageError: there is a method of that name already, or nothing can be asked for under that name.
    """
    ASKS.check(asks_for)
    method = Method(raw_map, asks_for)
    METHODS.register(name, method, line or "registered in this program")
    return method


def quick_methods() -> tuple[str, ...]:
    """The names of the methods that are quick enough for a camera; without those that cannot be loaded."""
    names = []
    for name in METHODS:
        row = METHODS.row(name)
        try:
            is_quick = load_method(name).is_quick if row is None else row.is_quick
        except LiveGradcamError as error:  # a package that is broken must not stop those who do not want its method
            METHODS.warn_once(name, str(error))
            continue
        if is_quick:
            names.append(name)
    return tuple(names)
