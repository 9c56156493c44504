"""The raw maps, and the numbers that belong to them, as arrays: a NumPy archive or a Zarr group."""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import numpy as np

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars.sidecar import SCHEMA, SidecarFrame
from live_gradcam.errors import OutputError, UsageError
from live_gradcam.explanations.fits import enlarged
from live_gradcam.files import part_path, remove_part

#: Each array's dtype, and the shape of a row where no frame shows it.
_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "heatmaps": ("<f4", (0, 0, 0)),
    "evidence": ("<f4", (0,)),
    "target": ("<i4", (0,)),
    "contrast": ("<i4", (0,)),
    "frame": ("<i8", ()),
    "time": ("<f8", ()),
    "region": ("<f8", (4,)),
}

_COPIED_BYTES = 1 << 20
#: A chunk of a Zarr array is a file, and waits in memory until it is full: not too many files, not too much memory.
_CHUNK_BYTES, _CHUNK_FRAMES = 1 << 20, 4096
#: What marks a folder as a Zarr group, in formats 3 and 2.
_ZARR_GROUP_FILES = ("zarr.json", ".zgroup")


class RawMaps:
    """See `Sidecar`."""

    ending = ".npz"
    as_drawn = False

    def is_folder(self, path: Path) -> bool:
        """A Zarr group is a folder."""
        return path.suffix.lower() == ".zarr"

    def check(self, path: Path) -> None:
        """Its ending has to be `.npz` or `.zarr`; a folder that is replaced has to be a Zarr group."""
        if path.suffix.lower() not in _FORMATS:
            raise UsageError(f"{path} does not end in .npz or .zarr: call the heatmaps NAME.npz")
        if self.is_folder(path) and find_spec("zarr") is None:
            raise UsageError(f"{path} needs the package zarr: pip install 'live-gradcam[zarr]'")
        if path.is_dir() and not any((path / name).exists() for name in _ZARR_GROUP_FILES):
            raise OutputError(f"{path} is a folder that live-gradcam did not write: choose another name")

    def open(self, path: Path, source: Path, options: AnnotateOptions) -> _NumpyArchive | _ZarrGroup:
        """Begin a file, or a folder, by the name's ending."""
        return _FORMATS[path.suffix.lower()](path)


class _Column(ABC):
    """One of the arrays, as it grows by a row per frame."""

    def __init__(self, dtype: np.dtype, row_shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.row_shape = row_shape

    @abstractmethod
    def append(self, row: np.ndarray) -> None:
        """Add a row of the column's shape and dtype, which is not changed afterwards."""


_ColumnT = TypeVar("_ColumnT", bound=_Column)


class _Arrays(ABC, Generic[_ColumnT]):
    """The arrays of `_ARRAYS`, whose rows get their shapes from the first frame."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = ExitStack()
        self._columns: dict[str, _ColumnT] = {}

    def add(self, frame: SidecarFrame) -> None:
        """Add a frame's rows."""
        explanation = frame.explanation
        heatmaps = explanation.heatmaps
        if self._columns:
            heatmaps = _resized(heatmaps, self._columns["heatmaps"].row_shape[1:])
        contrasts = [target.against for target in explanation.explained]
        region = explanation.region
        values: dict[str, Any] = {
            "heatmaps": heatmaps,
            "evidence": explanation.evidence,
            "target": [target.index for target in explanation.targets],
            "contrast": [-1 if contrast is None else contrast for contrast in contrasts],
            "frame": frame.index,
            "time": float(frame.pts),
            "region": [region.x, region.y, region.width, region.height],
        }
        rows = {name: np.array(values[name], dtype) for name, (dtype, _) in _ARRAYS.items()}
        if not self._columns:
            self._begin({name: row.shape for name, row in rows.items()})
        for name, column in self._columns.items():
            column.append(rows[name].reshape(column.row_shape))

    def finish(self) -> None:
        """Write what is left to write, and close it."""
        if not self._columns:
            self._begin({name: row_shape for name, (_, row_shape) in _ARRAYS.items()})

    def close(self) -> None:
        """Let go of all files."""
        self._opened.close()

    def _begin(self, row_shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, (dtype, _) in _ARRAYS.items():
            self._columns[name] = self._column(name, np.dtype(dtype), row_shapes[name])

    @abstractmethod
    def _column(self, name: str, dtype: np.dtype, row_shape: tuple[int, ...]) -> _ColumnT:
        """A column without rows."""


def _resized(heatmaps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Maps, float32 (maps, h, w), of the (height, width) that an array has room for."""
    if heatmaps.shape[1:] == size:
        return heatmaps
    return np.stack([enlarged(heatmap, (size[0], size[1])) for heatmap in heatmaps])


class _Spool(_Column):
    """A column's raw bytes, in a temporary file."""

    def __init__(self, dtype: np.dtype, row_shape: tuple[int, ...], file: IO[bytes]) -> None:
        super().__init__(dtype, row_shape)
        self._file = file
        self._rows = 0

    def append(self, row: np.ndarray) -> None:
        self._file.write(row.tobytes())
        self._rows += 1

    def copy_to(self, member: IO[bytes]) -> None:
        """Write the column in NumPy's format."""
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self._rows, *self.row_shape)}
        np.lib.format.write_array_header_1_0(member, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, member, _COPIED_BYTES)


class _NumpyArchive(_Arrays[_Spool]):
    """A zip of arrays in NumPy's format.

    The members of a zip are written one after the other. Until then the rows of each wait in a temporary file beside
    the output, where there must be room anyway. It vanishes with the process, whatever ends that.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = self._opened.enter_context(part_path(path).open("wb"))

    def _column(self, name: str, dtype: np.dtype, row_shape: tuple[int, ...]) -> _Spool:
        part = part_path(self._path)
        spool = tempfile.TemporaryFile(dir=part.parent, prefix=f"{part.name}.{name}.")  # noqa: SIM115
        return _Spool(dtype, row_shape, self._opened.enter_context(spool))

    def finish(self) -> None:
        super().finish()
        with zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, spool in self._columns.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    spool.copy_to(member)
            with archive.open("schema.npy", "w") as member:
                np.lib.format.write_array(member, np.array(SCHEMA, np.int64))
        self.close()


class _Chunks(_Column):
    """A Zarr array to which a chunk at a time is added."""

    def __init__(self, dtype: np.dtype, row_shape: tuple[int, ...], folder: Path) -> None:
        import zarr

        super().__init__(dtype, row_shape)
        folder.mkdir()  # Zarr 2 would report a failure to do so as a KeyError
        row_bytes = dtype.itemsize * math.prod(row_shape)
        self._chunk = min(_CHUNK_FRAMES, max(1, _CHUNK_BYTES // max(1, row_bytes)))
        chunks = (self._chunk, *(max(1, side) for side in row_shape))
        self._array = zarr.open_array(str(folder), mode="w", shape=(0, *row_shape), chunks=chunks, dtype=dtype)
        self._waiting: list[np.ndarray] = []

    def append(self, row: np.ndarray) -> None:
        self._waiting.append(row)
        if len(self._waiting) == self._chunk:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._waiting:
            self._array.append(np.stack(self._waiting))
            self._waiting.clear()


class _ZarrGroup(_Arrays[_Chunks]):
    """A folder of arrays in Zarr's format: that of the installed package, 2 or 3."""

    def __init__(self, path: Path) -> None:
        import zarr

        super().__init__(path)
        remove_part(path)
        part_path(path).mkdir()
        zarr.open_group(str(part_path(path)), mode="w").attrs["schema"] = SCHEMA

    def _column(self, name: str, dtype: np.dtype, row_shape: tuple[int, ...]) -> _Chunks:
        return _Chunks(dtype, row_shape, part_path(self._path) / name)

    def finish(self) -> None:
        super().finish()
        for column in self._columns.values():
            column.flush()


_FORMATS: dict[str, type[_NumpyArchive] | type[_ZarrGroup]] = {".npz": _NumpyArchive, ".zarr": _ZarrGroup}

SIDECAR = RawMaps()
