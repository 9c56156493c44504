"""Read the tensors of a PyTorch checkpoint without PyTorch, and without running what is in it.

The file is PyTorch's legacy stream (before 1.6, not a zip): five pickles (magic number, protocol, system
information, the state dictionary, the list of storage keys), then for each key an int64 element count and the
raw little-endian elements. A tensor is a view of a storage: offset, size and *stride*, and many are not contiguous.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from live_gradcam.errors import ModelError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


@dataclass(frozen=True)
class _StorageType:
    """Stands for `torch.FloatStorage` and its like in the pickle stream."""

    dtype: np.dtype


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    element_count: int


@dataclass(frozen=True)
class _TensorView:
    """A tensor before its storage has been read: sizes and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _TensorView:
    return _TensorView(storage, offset, tuple(shape), tuple(strides))


class _CheckpointUnpickler(pickle.Unpickler):
    """An unpickler that knows dictionaries, tensors and storages, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _StorageType(_STORAGE_DTYPES[name])
        raise pickle.UnpicklingError(f"a checkpoint may not load {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _location, element_count, *_view = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"unknown persistent id {kind!r}")
        return _Storage(str(key), storage_type.dtype, int(element_count))


def read_torch_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read the state dictionary of a legacy (pre-zip) PyTorch checkpoint.

    Args:
        path: the `.pth` file.

    Returns:
        Name of the parameter to a contiguous array, in PyTorch's own axis order (convolutions are
        (out, in, height, width)), with the stored dtype.

    Raises:
        ModelError: the file is not such a checkpoint, is cut short, or names anything but tensors.
    """
    try:
        with open(path, "rb") as file:
            return _read_stream(file)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise ModelError(f"{path} is not a PyTorch checkpoint that can be read: {error}") from error


def _read_stream(file: BinaryIO) -> dict[str, np.ndarray]:
    def load() -> Any:
        return _CheckpointUnpickler(file).load()

    if load() != _MAGIC_NUMBER or load() != _PROTOCOL:
        raise pickle.UnpicklingError("not PyTorch's legacy format")
    if not load()["little_endian"]:
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    views: dict[str, _TensorView] = load()
    storages = {view.storage.key: view.storage for view in views.values()}

    elements: dict[str, np.ndarray] = {}
    for key in load():
        storage = storages[str(key)]
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        if count != storage.element_count:
            raise ValueError(f"storage {key} has {count} elements in place of {storage.element_count}")
        content = file.read(count * storage.dtype.itemsize)
        elements[str(key)] = np.frombuffer(content, storage.dtype, count)
    return {name: _as_array(view, elements[view.storage.key]) for name, view in views.items()}


def _as_array(view: _TensorView, elements: np.ndarray) -> np.ndarray:
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if view.offset < 0 or min(view.strides, default=0) < 0 or last >= len(elements):
        raise ValueError("a tensor reaches past the end of its storage")
    byte_strides = tuple(stride * elements.itemsize for stride in view.strides)
    strided = np.lib.stride_tricks.as_strided(elements[view.offset :], view.shape, byte_strides, writeable=False)
    return np.ascontiguousarray(strided)
