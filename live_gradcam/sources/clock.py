"""The clock of a recording: times that always increase, whatever its own clock does, and what it did."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from live_gradcam.sources.times import frames_in_words

#: Seconds. A longer step forward is none that a recording makes: somebody has set its clock.
LONGEST_PAUSE = Fraction(3600)
_REORDERED_FRAMES = 16  # the most that H.264 holds back, so the furthest that a damaged one can come too late
_AT_ONE_TIME = 2  # frames: two half pictures have the same time in some files; more have no time of their own


@dataclass(frozen=True)
class ClockFaults:
    """What the clock of a recording does that time does not.

    Attributes:
        jumps: places where it is set to another time.
        standing: frames during which it stands still.
    """

    jumps: int = 0
    standing: int = 0

    def __bool__(self) -> bool:
        return any((self.jumps, self.standing))

    def __str__(self) -> str:
        parts = []
        if self.jumps:
            places = "once" if self.jumps == 1 else f"{self.jumps} times"
            parts.append(f"its clock jumps {places}")
        if self.standing:
            frames = frames_in_words(self.standing)
            parts.append(f"its clock stands still for {frames}")
        return " and ".join(parts)


class Clock:
    """Makes times that always increase of those that a file has, which stay as they are wherever they do.

    Where the file's clock jumps or stands still, the frames go on at the usual step. A clock jumps where it is set
    back, or forward by more than an hour: recordings were put together, or somebody set the camera's clock.

    Args:
        tick: seconds, the shortest step.
        period: seconds, the usual step.
    """

    def __init__(self, *, tick: Fraction, period: Fraction) -> None:
        self._tick = tick
        self._period = period
        self._offset = Fraction(0)
        self._last: Fraction | None = None
        self._given: Fraction | None = None
        self._at_one_time = 1
        self._jumps = self._standing = 0

    @property
    def faults(self) -> ClockFaults:
        """What the clock did so far."""
        return ClockFaults(self._jumps, self._standing)

    def next(self, pts: Fraction | None) -> Fraction:
        """The time of the next frame, which the file says is shown at `pts`, in seconds; None if it does not say."""
        if self._last is None:
            self._last = pts or Fraction(0)
        elif pts is None:
            self._last += self._period
        elif pts == self._given:
            self._stand(self._last)
        else:
            self._go(self._last, pts)
        self._given = pts
        return self._last

    def _stand(self, last: Fraction) -> None:
        """One more frame has the time of the one before."""
        self._at_one_time += 1
        if self._at_one_time > _AT_ONE_TIME:
            self._standing += 1
            self._last = last + self._period
        else:
            self._last = last + self._tick

    def _go(self, last: Fraction, pts: Fraction) -> None:
        """A frame has another time than the one before."""
        time = pts + self._offset
        stood, self._at_one_time = self._at_one_time > _AT_ONE_TIME, 1
        if time < last - _REORDERED_FRAMES * self._period or time > last + LONGEST_PAUSE:
            self._jumps += not stood  # one that stood goes on from there: that is no jump
            self._last = last + self._period
            self._offset = self._last - pts
        else:
            self._last = max(time, last + self._tick)
