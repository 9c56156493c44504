"""The compiled functions of an explainer: those of an earlier start, and new ones, which are kept for the next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from live_gradcam.attribution.kept.sharing import KeptSharing
from live_gradcam.attribution.outline import Outline
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.engines.engine import CompiledFunction, KeepsFunctions
from live_gradcam.compiling.kept_files import KeptFiles, Key
from live_gradcam.compiling.runtime import compiled_soundly
from live_gradcam.explanations.tiles import Cut, Tiling

if TYPE_CHECKING:
    from live_gradcam.attribution.functions import Functions
    from live_gradcam.attribution.methods.method import Passes
    from live_gradcam.attribution.sharing import Sharing
    from live_gradcam.choices import Precision

_log = logging.getLogger(__name__)


class _Which(NamedTuple):
    """Which function.

    Attributes:
        name: "explain" or "predict".
        batch: for how many frames at a time.
        tiles: of how many tiles each.
        cut: how these are cut out of whole frames, where they share something.
    """

    name: str
    batch: int
    tiles: int
    cut: Cut | None


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
        engine: KeepsFunctions,
        outline: Outline,
        build: Callable[[], Functions],
    ) -> None:
        self._files = files
        self._key = key
        self._engine = engine
        self._outline = outline
        self._build = build
        self._ready: dict[_Which, CompiledFunction] = {}
        self._getting_ready = threading.Lock()  # several threads may be the first to need a function

    @cached_property
    def _built(self) -> Functions:
        return self._build()

    @property
    def trace_count(self) -> int:
        """How often the one-pass function has been traced in this process."""
        return self._built.trace_count if "_built" in vars(self) else 0

    @cached_property
    def sharing(self) -> KeptSharing | None:
        """See `attribution.functions`."""
        if not self._outline.tiles_may_share:
            return None
        return KeptSharing(self._files, self._key, lambda: self._built.sharing)

    @property
    def built_sharing(self) -> Sharing | None:
        """See `attribution.running`."""
        return self._built.sharing if "_built" in vars(self) else None

    def explain(self, batch: int, tiles: int = 1, shared: Tiling | None = None) -> CompiledFunction:
        """See `attribution.functions`."""
        return self._once("explain", batch, tiles, shared)

    def predict(self, batch: int, tiles: int = 1, shared: Tiling | None = None) -> CompiledFunction:
        """See `attribution.functions`."""
        return self._once("predict", batch, tiles, shared)

    def has_explain(self, tiles: int, shared: Tiling | None) -> bool:
        """See `attribution.functions`."""
        return _Which("explain", 1, tiles, None if shared is None else shared.cut_at) in self._ready

    @property
    def passes(self) -> Passes | None:
        """None: methods of more than one pass are not kept."""
        return None

    def _once(self, name: str, batch: int, tiles: int, shared: Tiling | None) -> CompiledFunction:
        which = _Which(name, batch, tiles, None if shared is None else shared.cut_at)
        if which not in self._ready:  # frames that need nothing new do not wait
            with self._getting_ready:
                if which not in self._ready:
                    self._ready[which] = self._restored(which) or self._compiled(which, shared)
        return self._ready[which]

    def _restored(self, which: _Which) -> CompiledFunction | None:
        """A function of an earlier start, run once so that its first call is as fast as the thousandth."""
        program = self._files.read(self._key_of(which))
        if program is None:
            return None

        def restored_and_run() -> CompiledFunction:
            restored = self._engine.restore(program, self._precision)
            restored(*self._zeros(which))
            return restored

        try:
            is_xla = check_engine(self._outline.options.compiling.engine).is_xla
            return compiled_soundly(restored_and_run) if is_xla else restored_and_run()
        except Exception as error:  # the engine's own: it is compiled then
            _log.debug("a kept program is compiled again: %s", error)
            return None

    def _compiled(self, which: _Which, shared: Tiling | None) -> CompiledFunction:
        """A function of the plan, which is kept as far as that is possible."""
        functions = self._built
        function = functions.explain if which.name == "explain" else functions.predict
        compiled = function(which.batch, which.tiles, shared)
        if functions.are_final:
            try:
                self._files.write(self._key_of(which), self._engine.program_of(compiled))
            except Exception as error:  # what cannot be kept is compiled at the next start
                _log.debug("a program is not kept: %s", error)
        return compiled

    def _key_of(self, which: _Which) -> Key:
        return {
            **self._key,
            "kind": "program",
            "function": which.name,
            "batch": which.batch,
            "tiles": which.tiles,
            "cut": which.cut,
        }

    def _zeros(self, which: _Which) -> list[np.ndarray]:
        """Arguments of a function."""
        shape = (which.batch * which.tiles, *self._outline.framing.input_size)
        if which.cut is not None:
            shape = (which.batch, *which.cut[0])
        pixels = np.zeros((*shape, 3), np.uint8)
        classes = np.zeros((which.batch, self._outline.maps), np.int32)
        return [pixels, classes, classes] if which.name == "explain" else [pixels]

    @property
    def _precision(self) -> Precision:
        precision: Precision = self._key["options"]["compiling"]["precision"]
        return precision
