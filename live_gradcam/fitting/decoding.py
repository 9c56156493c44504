"""The pixels of examples, in order, read ahead of whoever uses them; each video is read once, from front to back."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from live_gradcam.errors import LiveGradcamError, first_line
from live_gradcam.fitting.dataset import Example
from live_gradcam.flow.overlap import Ahead
from live_gradcam.sources.image import read_image
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.opening import open_recording

#: How many pictures are read ahead: what they hold is small, as each is fitted into the network's input at once.
_AHEAD = 32
#: How many are where they are kept whole: one of 12 megapixels is 36 MB.
WHOLE_AHEAD = 4

#: What is kept of a frame, uint8 (H, W, 3) BGR: it is called in several threads.
Keep = Callable[[np.ndarray], np.ndarray]
#: An example's number, and its pixels or why there are none.
Read = tuple[int, np.ndarray | str]


def read_all(
    examples: Sequence[Example], rows: Sequence[int], keep: Keep, *, levels: Levels | None, ahead: int = _AHEAD
) -> Iterator[Read]:
    """The pixels of some examples, each when it is read.

    Args:
        examples: of a data set.
        rows: which of them. A video is read once for those that follow each other in the order of their times.
        keep: what is kept of a frame.
        levels: those of the data set.
        ahead: how many pictures are read ahead.

    Returns:
        For each row, in order, what `keep` made of its frame, or in a few words why it cannot be read.
    """
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as readers:
        waiting: deque[tuple[int, Future[np.ndarray | str]]] = deque()
        for members in _at_once(examples, rows):
            row, example = members[0]
            if example.time is not None:
                yield from _results(waiting, 0)
                yield from _of_video(members, keep)
            else:
                waiting.append((row, readers.submit(_of_picture, example.path, keep, levels)))
                yield from _results(waiting, ahead)
        yield from _results(waiting, 0)


def _at_once(examples: Sequence[Example], rows: Sequence[int]) -> Iterator[list[tuple[int, Example]]]:
    """What is read at once: a picture, or frames of a video whose times rise."""
    members: list[tuple[int, Example]] = []
    for row in rows:
        example = examples[row]
        if members:
            last = members[-1][1]
            goes_on = last.time is not None and example.time is not None and last.time <= example.time
            if not (goes_on and last.path == example.path):
                yield members
                members = []
        members.append((row, example))
    if members:
        yield members


def _results(waiting: deque[tuple[int, Future[np.ndarray | str]]], left: int) -> Iterator[Read]:
    while len(waiting) > left:
        row, future = waiting.popleft()
        yield row, future.result()


def _of_picture(path: Path, keep: Keep, levels: Levels | None) -> np.ndarray | str:
    try:
        return keep(read_image(path, levels))
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
