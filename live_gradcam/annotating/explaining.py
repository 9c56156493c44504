"""Frames in groups through the network, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

from live_gradcam.attribution.session import Session
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.flow.side_by_side import side_by_side
from live_gradcam.sources.frame import Frame


@dataclass(frozen=True)
class TimedExplanation:
    """What the network said of a frame whose pixels are not kept.

    Attributes:
        index: its number in the output.
        pts: its time in seconds.
        size: its height and width.
        explanation: of it.
    """

    index: int
    pts: Fraction
    size: tuple[int, int]
    explanation: Explanation


def explained(
    frames: Iterable[Frame], session: Session, *, stride: int, batch: int, callers: int = 1
) -> Generator[tuple[Frame, Explanation | None], None, None]:
    """Each frame with its explanation, or None where that of the frame before is held.

    Which frames are explained together, and at which place among them, depends on their numbers alone. So the result
    does not depend on where a part of a video begins.

    Args:
        frames: by their numbers in the whole video.
        session: explains.
        stride: 1 explains every frame, 2 every second one, and so on.
        batch: how many are explained together.
        callers: how many threads explain, each some frames together.
    """

    def explain(group: list[Frame]) -> list[tuple[Frame, Explanation | None]]:
        return _explain(group, session, stride, batch)

    with closing(side_by_side(explain, _groups(frames, stride, batch), callers)) as groups:
        for group in groups:
            yield from group


def _groups(frames: Iterable[Frame], stride: int, batch: int) -> Iterator[list[Frame]]:
    """Frames that are explained together, with those between them that are not explained."""
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        number, past = divmod(frame.index, stride)
        if batch == 1 or (not past and number % batch == batch - 1):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _explain(frames: list[Frame], session: Session, stride: int, batch: int) -> list[tuple[Frame, Explanation | None]]:
    due = [frame for frame in frames if frame.index % stride == 0]
    explanations: Iterator[Explanation] = iter(())
    if due:
        place = due[0].index // stride % batch
        explanations = iter(session.explain_batch([frame.image for frame in due], batch, place=place))
    return [(frame, next(explanations) if frame.index % stride == 0 else None) for frame in frames]
