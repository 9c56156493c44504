"""The pixels of examples: in the order that is asked for, and of videos those of the right times."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from video_files import make_video, number_of, numbered

from live_gradcam.fitting.dataset import Example
from live_gradcam.fitting.decoding import read_all


def test_frames_of_one_video_in_any_order(tmp_path: Path) -> None:
    """A video whose blocks are in two folds: what is asked for last lies before the rest."""
    clip = make_video(tmp_path / "a.mp4", [numbered(index) for index in range(40)], rate=10)
    still = tmp_path / "b.png"
    cv2.imwrite(str(still), numbered(99))
    examples = [Example(clip, (0,), "a", time=time) for time in (0.0, 1.0, 2.0, 3.0)]
    examples += [Example(still, (1,), "b"), Example(tmp_path / "no.png", (1,), "c")]
    read = list(read_all(examples, [2, 3, 0, 1, 4, 5, 1], lambda frame: frame, levels=None, ahead=0))
    assert [row for row, _ in read] == [2, 3, 0, 1, 4, 5, 1]
    numbers = [number_of(frame) for _, frame in read if isinstance(frame, np.ndarray)]
    assert numbers == [20, 30, 0, 10, 99, 10]
    assert isinstance(read[5][1], str)
