"""Starting TensorFlow: its settings, and its silence."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any


@contextmanager
def quiet_tensorflow(*, enabled: bool = True) -> Iterator[None]:
    """Keep what TensorFlow's C++ code prints off the terminal while it starts and compiles.

    It writes to file descriptor 2 before any setting of its own is read. Python's own stderr goes on working, and
    what would go to stdout (Keras' download bar) goes there too, so that stdout carries only results.

    Args:
        enabled: False lets everything through.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if not enabled:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    encoding = sys.stderr.encoding
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with (
            open(terminal, "w", buffering=1, encoding=encoding, closefd=False) as to_terminal,
            redirect_stderr(to_terminal),
            redirect_stdout(to_terminal),
        ):
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def describe_runtime() -> dict[str, Any]:
    """The device, the versions and the thread counts that a measurement depends on. Imports TensorFlow."""
    import av
    import cv2
    import keras
    import numpy as np
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "device": gpus[0].name if gpus else f"CPU ({_processor_name()})",
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pyav": av.__version__,
        },
        "threads": {
            "cpus": os.cpu_count(),
            "tensorflow_intra_op": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
            "tensorflow_inter_op": tf.config.threading.get_inter_op_parallelism_threads() or os.cpu_count(),
            "opencv": cv2.getNumThreads(),
        },
    }


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
