"""A table as CSV: a row per frame."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars.sidecar import Sidecar, SidecarFrame
from live_gradcam.files import part_path

_COLUMNS = ("schema", "frame", "time", "target", "target_label", "evidence", "contrast", "contrast_label")
_BOX_COLUMNS = ("left", "top", "right", "bottom")


class Table(Sidecar):
    """See `Sidecar`."""

    ending = ".csv"
    as_drawn = False

    def open(self, path: Path, source: Path, options: AnnotateOptions) -> _Open:
        """Begin a file."""
        return _Open(path)


class _Open:
    """The header waits for the first frame, which shows how many predictions there are."""

    def __init__(self, path: Path) -> None:
        self._file = part_path(path).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._has_header = False

    def add(self, frame: SidecarFrame) -> None:
        numbers = frame.json
        predictions = numbers["predictions"]
        if not self._has_header:
            self._write_header(predictions)
        fields = [numbers[name] for name in _COLUMNS]
        fields += numbers["box"] or [None] * len(_BOX_COLUMNS)
        fields += [prediction[name] for prediction in predictions for name in _prediction_columns(prediction)]
        self._rows.writerow(fields)

    def finish(self) -> None:
        if not self._has_header:
            self._write_header([])
        self._file.close()

    def close(self) -> None:
        self._file.close()

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


SIDECAR = Table()
