"""JSON lines: an object per frame."""

from __future__ import annotations

import json
from pathlib import Path

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars.sidecar import Sidecar, SidecarFrame
from live_gradcam.files import part_path


class JsonLines(Sidecar):
    """See `Sidecar`."""

    ending = ".jsonl"
    as_drawn = False

    def open(self, path: Path, source: Path, options: AnnotateOptions) -> _Open:
        """Begin a file."""
        return _Open(path)


class _Open:
    def __init__(self, path: Path) -> None:
        self._file = part_path(path).open("w", encoding="utf-8", newline="")

    def add(self, frame: SidecarFrame) -> None:
        self._file.write(json.dumps(frame.json, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.close()


SIDECAR = JsonLines()
