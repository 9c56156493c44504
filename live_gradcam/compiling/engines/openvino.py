"""Intel's OpenVINO, on the processor."""

from __future__ import annotations

import functools
import io
import json
import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import Precision
from live_gradcam.compiling.engines.engine import CompiledFunction
from live_gradcam.compiling.runtime import threads

if TYPE_CHECKING:
    import numpy as np


#: More than the names of a program's arguments and results take, in bytes.
_LONGEST_LINE = 1 << 16
_ONE_CORE = threading.Lock()


class OpenVino:
    """OpenVINO on the CPU."""

    title = "OpenVINO"
    packages: tuple[str, ...] = ("openvino",)
    install = "live-gradcam[openvino]"
    precisions: tuple[Precision, ...] = ("f32", "bf16")
    is_xla = False
    runs_alone = True

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        """See `Engine`."""
        model = core().compile_model(openvino_model(traced), "CPU", _settings(precision))
        return _Compiled(model, names, traced.structured_outputs)

    def program_of(self, compiled: CompiledFunction) -> bytes:
        """See `KeepsFunctions`: a line with the names of arguments and results, and what OpenVINO gives."""
        assert isinstance(compiled, _Compiled)
        names = json.dumps({"arguments": compiled.arguments, "results": list(compiled.results)})
        program = io.BytesIO()
        program.write(names.encode() + b"\n")
        compiled.model.export_model(program)
        return program.getvalue()

    def restore(self, program: memoryview, precision: Precision) -> CompiledFunction:
        """See `KeepsFunctions`."""
        line = bytes(program[:_LONGEST_LINE]).partition(b"\n")[0]
        names = json.loads(line)
        model = core().import_model(io.BytesIO(program[len(line) + 1 :]), "CPU", _settings(precision))
        return _Compiled(model, names["arguments"], names["results"])


class _Compiled:
    """A compiled model as a function of arrays, which threads may call at the same time, each with its own request.

    Args:
        model: OpenVINO's.
        arguments: the names of the arguments, in order.
        results: the names of the results.
    """

    def __init__(self, model: Any, arguments: Sequence[str], results: Iterable[str]) -> None:
        self.model = model
        self.arguments = list(arguments)
        self.results = {name: model.output(name) for name in results}  # a result may have other names too
        self._own = threading.local()
        self._own.request = model.create_infer_request()

    def __call__(self, *arrays: np.ndarray) -> dict[str, np.ndarray]:
        """The results by name, of arrays in the order of the arguments."""
        if not hasattr(self._own, "request"):
            self._own.request = self.model.create_infer_request()
        results = self._own.request.infer(dict(zip(self.arguments, arrays, strict=True)), share_inputs=True)
        return {name: results[output] for name, output in self.results.items()}


def _settings(precision: Precision) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads(),
    }


def _openvino() -> Any:
    """OpenVINO, which reports imports and conversions to Google Analytics unless one of its packages is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def core() -> Any:
    """The one `openvino.Core` of this process, which lives as long as the process.

    The plugin of each gives the thread that loads it a stack for signals (`sigaltstack`) and unmaps it when it goes.
    With several of them, or where another thread drops one, a thread is left with a stack that is gone, and Ctrl-C
    ends the process with a segmentation fault.
    """
    with _ONE_CORE:
        return _make_core()


@functools.cache
def _make_core() -> Any:
    return _openvino().Core()


def openvino_model(traced: Any) -> Any:
    """A traced function as an OpenVINO model, with a copy of the weights: the user's variables may not live as long."""
    openvino = _openvino()
    import tensorflow as tf
    from openvino.frontend.tensorflow import utils

    # OpenVINO deletes a variable that it made by `exec`, which is an error from Python 3.13 on.
    utils.get_environment_setup = lambda framework: {"tensorflow": tf.__version__}
    with _logging_kept():
        return openvino.convert_model(traced, share_weights=False)


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Leave Python's root logger as it is. OpenVINO silences it while it converts, and leaves it so where it fails."""
    logger = logging.getLogger()
    level, filters, handlers = logger.level, [*logger.filters], [*logger.handlers]
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.filters, logger.handlers = filters, handlers


ENGINE = OpenVino()
