"""TensorFlow without Keras, which takes as long to import again, and which nothing needs that is compiled already."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def import_tensorflow_alone() -> None:
    """Import TensorFlow. Keras, which TensorFlow imports at its own end, is left for whoever asks for it.

    `import keras` and `tf.keras` work as ever afterwards. Where one is imported already, this is `import tensorflow`.
    """
    if "keras" in sys.modules:
        importlib.import_module("tensorflow")
        return
    later = _KerasLater()
    sys.meta_path.insert(0, later)
    try:
        importlib.import_module("tensorflow")
    finally:
        sys.meta_path.remove(later)


class _KerasLater(MetaPathFinder, Loader):
    """Finds Keras, and does not import it in the thread that made this: TensorFlow goes on without."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where Keras is, which TensorFlow asks for."""
        if fullname != "keras" or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Import nothing.

        Raises:
            ImportError: always, which TensorFlow expects.
        """
        raise ImportError("Keras is imported when it is needed")
