"""The numbers beside an annotated video: of each explained frame, as JSON lines, as a table, and as the raw maps.

Their schema is described in docs/annotations.md. Under the same number, `SCHEMA`, new fields, columns and arrays may be
added; where one that is described there is renamed, removed or comes to mean something else, the number goes up.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, TypeVar

import numpy as np

from live_gradcam.errors import OutputError, UsageError
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.fits import enlarged
from live_gradcam.explanations.records import explanation_record
from live_gradcam.files import part_path, publish, remove_part, writing

#: The version of what docs/annotations.md describes.
SCHEMA = 1

#: Each array's dtype, and the shape of a row where there is no frame to tell it.
_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "heatmaps": ("<f4", (0, 0, 0)),
    "evidence": ("<f4", (0,)),
    "target": ("<i4", (0,)),
    "contrast": ("<i4", (0,)),
    "frame": ("<i8", ()),
    "time": ("<f8", ()),
    "region": ("<f8", (4,)),
}
_COLUMNS = ("schema", "frame", "time", "target", "target_label", "evidence", "contrast", "contrast_label")
_BOX_COLUMNS = ("left", "top", "right", "bottom")

_COPIED_BYTES = 1 << 20
#: Of a Zarr array, a chunk is a file and waits in memory until it is full: not too many files, not too much memory.
_CHUNK_BYTES, _CHUNK_FRAMES = 1 << 20, 4096
#: What marks a folder as a Zarr group, in formats 3 and 2.
_ZARR_GROUP_FILES = ("zarr.json", ".zgroup")


def check_sidecars(*, heatmaps: Path | None) -> None:
    """Make sure that raw maps can be written under a name, before anything slow.

    Raises:
        UsageError: its ending is neither .npz nor .zarr, or Zarr is not installed.
        OutputError: it is a folder with something else in it than a Zarr group, which nobody wants to be replaced.
    """
    if heatmaps is None:
        return
    suffix = heatmaps.suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(f"{heatmaps} is neither an .npz file's nor a .zarr folder's name: call the heatmaps NAME.npz")
    if suffix == ".zarr" and find_spec("zarr") is None:
        raise UsageError(f"{heatmaps} needs the package zarr: pip install 'live-gradcam[zarr]'")
    if heatmaps.is_dir() and not any((heatmaps / name).exists() for name in _ZARR_GROUP_FILES):
        raise OutputError(f"{heatmaps} is a folder of something else: give another name")


class Sidecars:
    """Writes the numbers of explained frames. Use as a context manager: on leaving it, every file is there and whole.

    The files grow under other names and get their own when all of them are complete; if anything fails, none of what
    grew is left. Nothing of a frame stays in memory, but for at most a mebibyte of each of Zarr's arrays.

    Args:
        jsonl: JSON lines; None for none.
        csv: a table; None for none.
        heatmaps: the raw maps, as an `.npz` file or a `.zarr` folder, by its ending; None for none.

    Raises:
        UsageError: as `check_sidecars`.
        OutputError: as `check_sidecars`; on entering, adding and leaving: a file cannot be written.
    """

    def __init__(self, *, jsonl: Path | None = None, csv: Path | None = None, heatmaps: Path | None = None) -> None:
        self._is_finished = False
        self._texts: list[_JsonLines | _Table] = []
        if jsonl is not None:
            self._texts.append(_JsonLines(jsonl))
        if csv is not None:
            self._texts.append(_Table(csv))
        self._arrays: list[_Arrays] = []
        if heatmaps is not None:
            check_sidecars(heatmaps=heatmaps)
            self._arrays.append(_FORMATS[heatmaps.suffix.lower()](heatmaps))

    def add(self, index: int, pts: Fraction, explanation: Explanation) -> None:
        """Write the numbers of the next explained frame.

        Args:
            index: of the frame.
            pts: its time in seconds.
            explanation: with its boxes; all of a video have as many maps and predictions as the first.

        Raises:
            OutputError: a file cannot be written.
        """
        if self._texts:
            record = {"schema": SCHEMA, "frame": index, "time": round(float(pts), 6)}
            record |= explanation_record(explanation)
            for text in self._texts:
                with writing(text.path):
                    text.write(record)
        for arrays in self._arrays:
            with writing(arrays.path):
                arrays.write(index, pts, explanation)

    def finish(self) -> None:
        """Write what is left to write: what remains for leaving is to give the files their names.

        Raises:
            OutputError: a file cannot be written.
        """
        if not self._is_finished:
            for output in self._outputs:
                with writing(output.path):
                    output.finish()
            self._is_finished = True

    @property
    def _outputs(self) -> list[_Output]:
        return [*self._texts, *self._arrays]

    def __enter__(self) -> Sidecars:
        try:
            for output in self._outputs:
                with writing(output.path):
                    output.open()
        except BaseException:
            self._remove_parts()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
                for output in self._outputs:
                    with writing(output.path):
                        publish(output.path)
        finally:
            self._remove_parts()

    def _remove_parts(self) -> None:
        for output in self._outputs:
            with suppress(OSError):  # such as of what a full disk has no room for
                output.close()
            remove_part(output.path)


class _Output(ABC):
    """A file, or a folder of files, that grows at `part_path(path)`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = ExitStack()

    @abstractmethod
    def open(self) -> None:
        """Begin it."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is left to write, and close it."""

    def close(self) -> None:
        """Let go of all files, of what is not finished too."""
        self._opened.close()


class _Text(_Output):
    """A text file."""

    def open(self) -> None:
        self._file = self._opened.enter_context(part_path(self.path).open("w", encoding="utf-8", newline=""))

    @abstractmethod
    def write(self, record: Mapping[str, Any]) -> None:
        """Add a frame's record."""

    def finish(self) -> None:
        self.close()


class _JsonLines(_Text):
    """A JSON object a frame."""

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")


class _Table(_Text):
    """A row of CSV a frame. The header waits for the first frame, which tells how many predictions there are."""

    def open(self) -> None:
        super().open()
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._has_header = False

    def write(self, record: Mapping[str, Any]) -> None:
        predictions = record["predictions"]
        if not self._has_header:
            self._write_header(predictions)
        fields = [record[name] for name in _COLUMNS]
        fields += record["box"] or [None] * len(_BOX_COLUMNS)
        fields += [prediction[name] for prediction in predictions for name in _prediction_columns(prediction)]
        self._rows.writerow(fields)

    def finish(self) -> None:
        if not self._has_header:
            self._write_header([])
        super().finish()

    def _write_header(self, predictions: Sequence[Mapping[str, Any]]) -> None:
        ranked = [
            f"top{rank}_{name}"
            for rank, prediction in enumerate(predictions, start=1)
            for name in _prediction_columns(prediction)
        ]
        self._rows.writerow([*_COLUMNS, *_BOX_COLUMNS, *ranked])
        self._has_header = True


def _prediction_columns(prediction: Mapping[str, Any]) -> tuple[str, str, str]:
    return "index", "label", "value" if "value" in prediction else "probability"


class _Column(ABC):
    """One of the arrays, as it grows by a row a frame."""

    def __init__(self, dtype: np.dtype, row_shape: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.row_shape = row_shape

    @abstractmethod
    def append(self, row: np.ndarray) -> None:
        """Add a row of the column's shape and dtype, which nobody changes any more."""


_ColumnT = TypeVar("_ColumnT", bound=_Column)


class _Arrays(_Output, Generic[_ColumnT]):
    """The arrays of `_ARRAYS`, whose rows' shapes the first frame tells."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._columns: dict[str, _ColumnT] = {}

    def write(self, index: int, pts: Fraction, explanation: Explanation) -> None:
        """Add a frame's rows."""
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
            "frame": index,
            "time": float(pts),
            "region": [region.x, region.y, region.width, region.height],
        }
        rows = {name: np.array(values[name], dtype) for name, (dtype, _) in _ARRAYS.items()}
        if not self._columns:
            self._begin({name: row.shape for name, row in rows.items()})
        for name, column in self._columns.items():
            column.append(rows[name].reshape(column.row_shape))

    def finish(self) -> None:
        if not self._columns:
            self._begin({name: row_shape for name, (_, row_shape) in _ARRAYS.items()})

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

    A zip's members are written one after the other, so that the rows wait in a temporary file each. These lie beside
    the output, where there must be room for it anyway, and vanish with the process, whatever ends it.
    """

    def open(self) -> None:
        self._file = self._opened.enter_context(part_path(self.path).open("wb"))

    def _column(self, name: str, dtype: np.dtype, row_shape: tuple[int, ...]) -> _Spool:
        part = part_path(self.path)
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
        folder.mkdir()  # Zarr 2 would tell of a failure to do so with a KeyError
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

    def open(self) -> None:
        import zarr

        remove_part(self.path)
        part_path(self.path).mkdir()
        zarr.open_group(str(part_path(self.path)), mode="w").attrs["schema"] = SCHEMA

    def _column(self, name: str, dtype: np.dtype, row_shape: tuple[int, ...]) -> _Chunks:
        return _Chunks(dtype, row_shape, part_path(self.path) / name)

    def finish(self) -> None:
        super().finish()
        for column in self._columns.values():
            column.flush()


_FORMATS: dict[str, type[_NumpyArchive] | type[_ZarrGroup]] = {".npz": _NumpyArchive, ".zarr": _ZarrGroup}
