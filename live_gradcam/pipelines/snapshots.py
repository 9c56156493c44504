"""Snapshots of the live window: two pictures and the numbers, written in the background."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.errors import LiveGradcamError
from live_gradcam.pipelines.explaining import ExplainedFrame
from live_gradcam.pipelines.recording import timestamped_name
from live_gradcam.pipelines.records import explanation_record
from live_gradcam.video.image import write_image
from live_gradcam.video.output import check_output


class Snapshots:
    """Writes snapshots into a folder. Use as a context manager, which waits for the last one.

    Args:
        folder: where to; it is made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._last: Future[str] | None = None

    def take(self, shown: np.ndarray, explained: ExplainedFrame) -> None:
        """Write `live-gradcam-TIME.png` (what is shown), `-clean.png` (the frame) and `.json` (of the frame).

        Args:
            shown: uint8 (height, width, 3), BGR; nobody may change it any more.
            explained: the frame under it.
        """
        self._last = self._writer.submit(self._write, shown, explained)

    def message(self) -> str | None:
        """What became of the last snapshot, told once; None while there is nothing to tell."""
        if self._last is None or not self._last.done():
            return None
        last, self._last = self._last, None
        return last.result()

    def _write(self, shown: np.ndarray, explained: ExplainedFrame) -> str:
        path = self._folder / timestamped_name(".png")
        try:
            check_output(path, overwrite=False)
            write_image(path, shown)
            write_image(path.with_name(f"{path.stem}-clean.png"), explained.frame.image)
            text = json.dumps(snapshot_record(explained), indent=2, ensure_ascii=False)
            path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        except (LiveGradcamError, OSError) as error:
            return f"no snapshot: {error}"
        return f"snapshot {path}"

    def __enter__(self) -> Snapshots:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()


def snapshot_record(explained: ExplainedFrame) -> dict[str, Any]:
    """The numbers of an explained frame: those of `explanation_record`, and what they were computed with.

    Returns:
        With `time` (seconds, of the source), `width`, `height`, `model`, `method`, `layer`, and `heatmap`: rows of
        numbers, of which 1 stands for an evidence of `full_scale`. All in the clean picture's pixels.
    """
    frame, explanation = explained.frame, explained.explanation
    height, width = frame.image.shape[:2]
    record = {
        "time": float(frame.pts),
        "width": width,
        "height": height,
        "model": explained.model,
        "method": explained.method,
        "layer": explained.layer,
    }
    if explanation is None:
        return record
    return {
        **record,
        **explanation_record(explanation, (height, width)),
        "full_scale": explained.full_scale,
        "heatmap": [[round(float(value), 6) for value in row] for row in explanation.heatmaps[0]],
    }
