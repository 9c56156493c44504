"""The silence of native code: what TensorFlow prints while it starts is for nobody who uses this package."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from functools import lru_cache
from typing import TextIO

_silence = threading.Lock()
_LEVEL, _NOTHING = "TF_CPP_MIN_LOG_LEVEL", "3"


@contextmanager
def quiet_tensorflow(*, enabled: bool = True) -> Iterator[None]:
    """Keep what TensorFlow's C++ code prints off the terminal while it starts and compiles.

    It writes to file descriptor 2 before any setting of its own is read. Python's own stderr goes on working, and
    what would go to stdout (Keras' download bar) goes there too, so that stdout carries only results. Within another
    silence, or beside one of another thread, it does nothing.

    Args:
        enabled: False lets everything through.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if not enabled or not _silence.acquire(blocking=False):
        yield
        return
    os.environ.setdefault(_LEVEL, _NOTHING)
    sys.stderr.flush()
    terminal = _second_stderr()
    os.dup2(2, terminal.fileno(), inheritable=False)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with redirect_stderr(terminal), redirect_stdout(terminal):
            yield
    finally:
        os.dup2(terminal.fileno(), 2)
        _silence.release()


@lru_cache(maxsize=1)
def _second_stderr() -> TextIO:
    """Where Python's stderr goes during a silence. It stays open: loggers that are made in the silence keep it."""
    return open(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace", closefd=False)


def quiet_in_notebooks() -> AbstractContextManager[None]:
    """`quiet_tensorflow` in a notebook, where the cell would show it all; a script hears what it heard before.

    TensorFlow that is imported already talks as it did, and so does one whose `TF_CPP_MIN_LOG_LEVEL` the user has set.
    """
    is_ours = "tensorflow" not in sys.modules and os.environ.get(_LEVEL, _NOTHING) == _NOTHING
    return quiet_tensorflow() if is_ours and in_notebook() else nullcontext()


def in_notebook() -> bool:
    """Whether this runs in a notebook, or at IPython's prompt."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return get_ipython() is not None
