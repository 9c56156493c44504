"""The pixels of examples, in order, read ahead of whoever uses them; each video is read once, from front to back."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np

from live_gradcam.errors import LiveGradcamError, first_line
from live_gradcam.fitting.dataset import Example
from live_gradcam.flow.overlap import Ahead
from live_gradcam.sources.image import read_image
from live_gradcam.sources.opening import open_recording

#: How many pictures are read ahead: what they hold is small, as each is fitted into the network's input at once.
_AHEAD = 32

#: What is kept of a frame, uint8 (H, W, 3) BGR: it is called in several threads.
Keep = Callable[[np.ndarray], np.ndarray]
#: An example's number, and its pixels or why there are none.
Read = tuple[int, np.ndarray | str]


def read_all(examples: Sequence[Example], rows: Sequence[int], keep: Keep) -> Iterator[Read]:
    """The pixels of some examples, each when it is read.

    Args:
        examples: of a data set.
        rows: which of them, in increasing order.
        keep: what is kept of a frame.

    Returns:
        For each row, in order, what `keep` made of its frame, or in a few words why it cannot be read.
    """
    pictures = [(row, examples[row]) for row in rows]
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as readers:
        waiting: deque[tuple[int, Future[np.ndarray | str]]] = deque()
        for (_, is_video), members in groupby(pictures, lambda one: (one[1].path, one[1].time is not None)):
            if is_video:
                yield from _results(waiting, 0)
                yield from _of_video(list(members), keep)
                continue
            for row, example in members:
                waiting.append((row, readers.submit(_of_picture, example.path, keep)))
            yield from _results(waiting, _AHEAD)
        yield from _results(waiting, 0)


def _results(waiting: deque[tuple[int, Future[np.ndarray | str]]], left: int) -> Iterator[Read]:
    while len(waiting) > left:
        row, future = waiting.popleft()
        yield row, future.result()


def _of_picture(path: Path, keep: Keep) -> np.ndarray | str:
    try:
        return keep(read_image(path))
    except LiveGradcamError as error:
        return _in_short(error, path)
    except MemoryError:
        return "too large for the memory"


def _of_video(members: Sequence[tuple[int, Example]], keep: Keep) -> Iterator[Read]:
    path = members[0][1].path
    waiting = deque((row, Fraction(example.time or 0)) for row, example in members)
    why = "there is no frame at that time"
    try:
        with open_recording(path) as recording, Ahead(recording.frames(start=waiting[0][1]), depth=2) as frames:
            for frame in frames:
                if not waiting:
                    break
                if frame.pts < waiting[0][1]:
                    continue
                kept = keep(frame.image)
                while waiting and frame.pts >= waiting[0][1]:
                    yield waiting.popleft()[0], kept
    except LiveGradcamError as error:
        why = _in_short(error, path)
    for row, _ in waiting:
        yield row, why


def _in_short(error: LiveGradcamError, path: Path) -> str:
    """What an error says of a file, without the file's name."""
    return first_line(error).replace(f"cannot read {path}: ", "").replace(f"{path} ", "", 1)
