"""The compiled functions of an explainer, each compiled when it is first needed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import tensorflow as tf

from live_gradcam.attribution.compiled_check import gives_the_same
from live_gradcam.attribution.methods.method import Passes
from live_gradcam.attribution.plan import Plan
from live_gradcam.attribution.sharing import Sharing
from live_gradcam.compiling.compilation import Check, compile_function
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.explanations.tiles import Tiling

#: How many rows of a batch are run apart at most: each is compiled by itself.
_MOST_APART = 4
#: From so many places on a map is large.
_LARGE_MAP = 28 * 28


class Functions:
    """The compiled functions of a plan.

    Args:
        plan: what they compute.
        sharing: what tiles share, where that is known of the same network already.

    Attributes:
        trace_count: how often the one-pass function has been traced: once for each size of batch that was asked for,
            and number of tiles.
        sharing: what tiles share; None where they share nothing.
        built_sharing: the same.
        are_right: whether the one-pass functions that are compiled give what TensorFlow's own kernels give.
    """

    def __init__(self, plan: Plan, sharing: Sharing | None = None) -> None:
        if sharing is None and plan.outline.tiles_may_share:
            sharing = Sharing(plan.written.network, plan.one_pass.split, plan.classifier.preprocessing)
        self.trace_count = 0
        self.sharing = self.built_sharing = sharing
        self._plan = plan
        self.are_right = True
        self._compiled: dict[tuple, CompiledFunction] = {}
        self._compiling = threading.Lock()  # several threads may be the first to need a function

    def explain(self, batch: int, tiles: int = 1, shared: Tiling | None = None) -> CompiledFunction:
        """The one-pass function for this many frames at a time, of this many tiles each.

        Raises:
            ModelError: the engine cannot compile the network.
        """
        return self._once("explain", batch, tiles, shared)

    def predict(self, batch: int, tiles: int = 1, shared: Tiling | None = None) -> CompiledFunction:
        """The predictions alone, likewise."""
        return self._once("predict", batch, tiles, shared)

    def has_explain(self, tiles: int, shared: Tiling | None) -> bool:
        """Whether the one-pass function for one frame at a time, of this many tiles, is compiled."""
        return ("explain", 1, tiles, None if shared is None else shared.cut_at) in self._compiled

    @cached_property
    def passes(self) -> Passes | None:
        """What makes the raw maps, where the method takes more than the one pass."""
        one_pass = self._plan.one_pass
        start = one_pass.method.passes
        return None if start is None else start(one_pass, self._compile, self._signature(1))

    @property
    def are_final(self) -> bool:
        """Whether the next start would build the same: nothing was left to be timed then, and all of it is right."""
        return self._plan.written.tuner.is_done and self.are_right

    def _once(self, name: str, batch: int, tiles: int, shared: Tiling | None) -> CompiledFunction:
        key = name, batch, tiles, None if shared is None else shared.cut_at
        if key not in self._compiled:  # frames that need nothing new do not wait
            with self._compiling:
                if key not in self._compiled:
                    self._compiled[key] = self._compile_one(name, batch, tiles, shared)
        return self._compiled[key]

    def _compile_one(self, name: str, batch: int, tiles: int, shared: Tiling | None) -> CompiledFunction:
        apart = self._run_apart(batch * tiles)
        start = self.sharing.start_of(shared) if self.sharing and shared else None
        one_pass = replace(self._plan.one_pass, tiles=tiles, apart=apart, shared=start)
        pixels, *classes = self._signature(batch, tiles)
        if shared is not None:
            pixels = tf.TensorSpec((batch, *shared.size, 3), tf.uint8, name="pixels")
        if name == "explain":
            return self._compile_checked(self._counting(one_pass.explain), [pixels, *classes])
        return self._compile(one_pass.predict, [pixels])

    def _signature(self, batch: int, tiles: int = 1) -> list[tf.TensorSpec]:
        """Of the one-pass function."""
        shape = (batch, self._plan.one_pass.maps)
        classes = [tf.TensorSpec(shape, tf.int32, name=name) for name in ("target_classes", "contrast_classes")]
        pixels = tf.TensorSpec((batch * tiles, *self._plan.classifier.input_size, 3), tf.uint8, name="pixels")
        return [pixels, *classes]

    def _counting(self, function: Callable[..., dict[str, tf.Tensor]]) -> Callable[..., dict[str, tf.Tensor]]:
        """The function, which counts how often it is traced."""

        def traced(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            self.trace_count += 1
            return function(*tensors)

        return traced

    def _compile_checked(
        self, function: Callable[..., dict[str, tf.Tensor]], signature: list[tf.TensorSpec]
    ) -> CompiledFunction:
        """The one-pass function, which is compared with what TensorFlow's own kernels give."""

        def is_right(compiled: CompiledFunction, by_kernels: CompiledFunction, operations: frozenset[str]) -> bool:
            are_same = gives_the_same(self._plan, signature, compiled, by_kernels, operations)
            self.are_right &= are_same
            return are_same

        # A graph is run by the kernels itself; a GPU's have other digits than those of XLA, and were never compared.
        is_compared = self._plan.options.compiling.engine != "graph" and not tf.config.list_physical_devices("GPU")
        return self._compile(function, signature, is_right if is_compared else None)

    def _compile(
        self, function: Callable[..., Any], signature: list[tf.TensorSpec], check: Check | None = None
    ) -> CompiledFunction:
        compiling = self._plan.options.compiling
        name = self._plan.classifier.name
        return compile_function(
            function, signature, compiling.engine, name=name, precision=compiling.precision, check=check
        )

    def _run_apart(self, rows: int) -> int:
        """How many of the trunk's operations are best run for each row of a batch by itself.

        Those whose maps are large: of several rows together they would not stay in the processor's cache, and XLA
        computes rows by themselves side by side. 0.86 to 1.02 of the time of three tiles on the networks tried.
        """
        if not self._plan.engine.is_xla or not 1 < rows <= _MOST_APART or tf.config.list_physical_devices("GPU"):
            return 0
        split, shapes = self._plan.one_pass.split, self._plan.written.network.shapes
        large = [
            position
            for position, operation in enumerate(split.trunk)
            if math.prod(side or 0 for side in shapes[operation.outputs[0]][:-1]) >= _LARGE_MAP
        ]
        return large[-1] + 1 if large else 0
