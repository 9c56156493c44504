"""Snapshots of a live run: two pictures and the numbers, written in the background."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.errors import LiveGradcamError
from live_gradcam.explanations.as_json import picture_json
from live_gradcam.files import check_output, timestamped_name
from live_gradcam.sinks.image import write_image
from live_gradcam.surfaces.scene import LiveExplanation

#: Of a snapshot's JSON. New fields may come under the same number.
SCHEMA = 1


class Snapshots:
    """Writes snapshots into a folder. Use as a context manager, which waits for the last one.

    Args:
        folder: where they go; it is made for the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._last: Future[str] | None = None

    def take(self, shown: np.ndarray, explained: LiveExplanation) -> None:
        """Write `live-gradcam-TIME.png` (what is shown), `-clean.png` (the frame) and `.json` (of the frame).

        Args:
            shown: uint8 (height, width, 3), BGR; it must not change any more.
            explained: the frame under it, with the boxes of its maps.
        """
        self._last = self._writer.submit(self._write, shown, explained)

    def message(self) -> str | None:
        """What became of the last snapshot. None while it is written, and once it was asked for."""
        if self._last is None or not self._last.done():
            return None
        last, self._last = self._last, None
        return last.result()

    def _write(self, shown: np.ndarray, explained: LiveExplanation) -> str:
        path = self._folder / timestamped_name(".png")
        try:
            check_output(path, overwrite=False)
            write_image(path, shown)
            write_image(path.with_name(f"{path.stem}-clean.png"), explained.frame.image)
            text = json.dumps(snapshot_json(explained), indent=2, ensure_ascii=False)
            path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        except (LiveGradcamError, OSError) as error:
            return f"the snapshot failed: {error}"
        return f"snapshot saved as {path}"

    def __enter__(self) -> Snapshots:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()


def snapshot_json(explained: LiveExplanation) -> dict[str, Any]:
    """The numbers of an explained frame: those of `picture_json`, in the clean picture's pixels.

    Returns:
        With `time` (seconds, of the source); and `full_scale`: the evidence that a heatmap's 1 stands for.
    """
    frame = explained.frame
    return {
        "schema": SCHEMA,
        "time": float(frame.pts),
        **picture_json(
            explained.explanation,
            frame.image.shape[:2],
            model=explained.model,
            method=explained.method,
            layer=explained.layer,
        ),
        "full_scale": explained.full_scale,
    }
