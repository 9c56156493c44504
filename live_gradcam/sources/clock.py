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
class ClockJump:
    """Where a recording's clock is set to another time.

    Attributes:
        pts: seconds, the time that the file gives the first frame after it.
        offset: seconds, to be added to the file's times from there on.
    """

    pts: Fraction
    offset: Fraction


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


@dataclass(frozen=True)
class _BeforeJump:
    """A clock before it was set back: its offset and last time, how many jumps it had made, and how many frames."""

    offset: Fraction
    last: Fraction
    jumps: int
    frames: int


class Clock:
    """Makes times that always increase of those that a file has, which stay as they are wherever they do.

    Where the file's clock jumps or stands still, the frames go on at the usual step. A clock jumps where it is set
    back, or forward by more than an hour: recordings were put together, or somebody set the camera's clock. Where
    packets are lost, decoders hand out some frames far too late: the clock seems to be set back for them, and goes on.

    Args:
        tick: seconds, the shortest step.
        period: seconds, the usual step.

    Attributes:
        jumps: where the clock was set to another time so far.
        frames: how many times were given.
    """

    def __init__(self, *, tick: Fraction, period: Fraction) -> None:
        self._tick = tick
        self._period = period
        self._offset = Fraction(0)
        self._last: Fraction | None = None
        self._given: Fraction | None = None
        self._at_one_time = 1
        self._standing = 0
        self._before: _BeforeJump | None = None
        self.jumps: list[ClockJump] = []
        self.frames = 0

    @property
    def faults(self) -> ClockFaults:
        """What the clock did so far."""
        return ClockFaults(len(self.jumps), self._standing)

    def next(self, pts: Fraction | None) -> Fraction:
        """The time of the next frame, which the file says is shown at `pts`, in seconds; None if it does not say."""
        self.frames += 1
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
        stood, self._at_one_time = self._at_one_time > _AT_ONE_TIME, 1
        if self._before is not None and self._goes_on(self._before, last, pts):
            self._offset = self._before.offset
            del self.jumps[self._before.jumps :]
            self._before = None
        time = pts + self._offset
        if last - _REORDERED_FRAMES * self._period <= time <= last + LONGEST_PAUSE:
            self._last = max(time, last + self._tick)
            return
        if time < last and self._before is None:
            self._before = _BeforeJump(self._offset, last, len(self.jumps), self.frames)
        self._last = last + self._period
        self._offset = self._last - pts
        if not stood:  # one that stood goes on from there: that is no jump
            self.jumps.append(ClockJump(pts, self._offset))

    def _goes_on(self, before: _BeforeJump, last: Fraction, pts: Fraction) -> bool:
        """Whether a frame comes where the clock was before it was set back, and not where it is now."""
        if self.frames - before.frames > _REORDERED_FRAMES:
            self._before = None
            return False
        step, other = pts + before.offset - before.last, pts + self._offset - last
        near = 2 * self._period
        return 0 < step <= near < abs(other)
