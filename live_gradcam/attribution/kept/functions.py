"""The compiled functions of an explainer: those of an earlier start, and new ones, which are kept for the next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from live_gradcam.attribution.outline import Outline
from live_gradcam.compiling.engines.engine import CompiledFunction, KeepsPrograms
from live_gradcam.compiling.kept_files import KeptFiles, Key

if TYPE_CHECKING:
    from live_gradcam.attribution.functions import Functions
    from live_gradcam.attribution.methods.method import Passes
    from live_gradcam.attribution.shared_start import SharedStart
    from live_gradcam.choices import Precision

_log = logging.getLogger(__name__)


class KeptFunctions:
    """The functions of a plan that may not be built yet: `attribution.functions.Functions`, with a memory.

    Args:
        files: where they are kept.
        key: what they depend on.
        engine: runs them.
        outline: of the plan.
        build: the functions of the plan, which is built where that was not done before.
    """

    def __init__(
        self,
        files: KeptFiles,
        key: Key,
        engine: KeepsPrograms,
        outline: Outline,
        build: Callable[[], Functions],
    ) -> None:
        self._files = files
        self._key = key
        self._engine = engine
        self._outline = outline
        self._build = build
        self._ready: dict[tuple[str, int, int], CompiledFunction] = {}

    @cached_property
    def _built(self) -> Functions:
        return self._build()

    @property
    def trace_count(self) -> int:
        """How often the one-pass function has been traced in this process."""
        return self._built.trace_count if "_built" in vars(self) else 0

    def explain(self, batch: int, tiles: int = 1, shared: SharedStart | None = None) -> CompiledFunction:
        """See `attribution.functions`."""
        return self._once("explain", batch, tiles)

    def predict(self, batch: int, tiles: int = 1, shared: SharedStart | None = None) -> CompiledFunction:
        """See `attribution.functions`."""
        return self._once("predict", batch, tiles)

    def has_explain(self, tiles: int, shared: SharedStart | None) -> bool:
        """See `attribution.functions`."""
        return ("explain", 1, tiles) in self._ready

    @property
    def passes(self) -> Passes | None:
        """None: methods of more than one pass are not kept."""
        return None

    def _once(self, name: str, batch: int, tiles: int) -> CompiledFunction:
        which = name, batch, tiles
        if which not in self._ready:
            self._ready[which] = self._restored(which) or self._compiled(which)
        return self._ready[which]

    def _restored(self, which: tuple[str, int, int]) -> CompiledFunction | None:
        """A function of an earlier start, run once so that its first call is as fast as the thousandth."""
        program = self._files.read(self._key_of(which))
        if program is None:
            return None
        try:
            restored = self._engine.restore(program, self._precision)
            restored(*self._zeros(which))
        except Exception as error:  # the engine's own: it is compiled then
            _log.debug("a kept program is compiled again: %s", error)
            return None
        return restored

    def _compiled(self, which: tuple[str, int, int]) -> CompiledFunction:
        """A function of the plan, which is kept as far as that is possible."""
        name, batch, tiles = which
        functions = self._built
        compiled = functions.explain(batch, tiles) if name == "explain" else functions.predict(batch, tiles)
        try:
            self._files.write(self._key_of(which), self._engine.program_of(compiled))
        except Exception as error:  # what cannot be kept is compiled at the next start
            _log.debug("a program is not kept: %s", error)
        return compiled

    def _key_of(self, which: tuple[str, int, int]) -> Key:
        name, batch, tiles = which
        return {**self._key, "kind": "program", "function": name, "batch": batch, "tiles": tiles}

    def _zeros(self, which: tuple[str, int, int]) -> list[np.ndarray]:
        """Arguments of a function."""
        name, batch, tiles = which
        outline = self._outline
        pixels = np.zeros((batch * tiles, *outline.framing.input_size, 3), np.uint8)
        classes = np.zeros((batch, outline.maps), np.int32)
        return [pixels, classes, classes] if name == "explain" else [pixels]

    @property
    def _precision(self) -> Precision:
        precision: Precision = self._key["options"]["compiling"]["precision"]
        return precision
