"""What the public functions refuse before a session is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from live_gradcam import SessionOptions, bench, evaluate
from live_gradcam.errors import LiveGradcamError, SourceError, UsageError
from live_gradcam.evaluating.evaluate import EvaluationOptions
from live_gradcam.pictures import PictureOptions, explain_all


def never(options: SessionOptions, **_: Any) -> Any:
    raise AssertionError("a session was started")


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: EvaluationOptions(steps=0), "--steps is 0: give a number from 1 on"),
        (lambda: EvaluationOptions(every=0), "--every is 0: give a number from 1 on"),
        (lambda: PictureOptions(smooth_samples=-1), "--smooth-grad is -1: give a number from 0 on"),
        (lambda: bench(frames=0, start=never), "--frames is 0: give a number from 1 on"),
        (
            lambda: evaluate([], start=never),
            "there is nothing to evaluate: give a picture, a folder of pictures, or a video",
        ),
        (lambda: explain_all([], start=never), "there is nothing to explain: give a picture"),
        (lambda: explain_all([], writes_panels=False, start=never), "there is nothing to explain: give a picture"),
    ],
)
def test_what_cannot_be_done(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        refused()
    assert str(caught.value) == message


def test_a_file_of_boxes_may_be_a_text(tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SourceError, match=r"nob\.json cannot be read: No such file"):
        evaluate(picture, options=EvaluationOptions(boxes=str(tmp_path / "nob.json")), start=never)
    (tmp_path / "dog.json").write_text('{"dog.png": [[0, 0, 1, 1]]}')
    with pytest.raises(LiveGradcamError, match="names none of the pictures"):
        evaluate(picture, options=EvaluationOptions(boxes=str(tmp_path / "dog.json")), start=never)
