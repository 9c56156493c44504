"""What gives frames, what a recording gives besides, and what opens them: another package can add a kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar

from live_gradcam.sources.clock import ClockFaults
from live_gradcam.sources.frame import Frame
from live_gradcam.sources.loss import NO_LOSS, Loss
from live_gradcam.sources.options import SourceOptions

if TYPE_CHECKING:
    import av

#: Is given packets of sound and subtitles.
OnPacket = Callable[["av.Packet"], None]

Self = TypeVar("Self", bound="FrameSource")

#: The methods that only recordings have.
_OF_RECORDINGS = ("key_times", "other_packets")


class FrameSource(Protocol):
    """Something that is open and gives frames: a camera, a stream, a video, pictures.

    A class that inherits from this one has to set `name` and to write `frames`. All else has a value here that suits a
    source that nothing more is known of.

    Attributes:
        name: what messages call it: its path or address, without passwords (see `addresses.masked`).
        is_live: True for a source that does not wait for its reader and may come back after it stopped: a camera. Its
            frames get the time at which they come. False where the frames' own times say when to show them.
        frame_rate: frames per second; None where it is not known before the frames come.
        notes: what was done to the frames, or left out, that the user should know. Each is one line and names the
            source. They are complete when `frames` has ended.
    """

    name: str
    is_live: bool = False
    frame_rate: Fraction | None = None
    notes: Sequence[str] = ()

    def frames(self) -> Iterator[Frame]:
        """Give the frames from the first to the last. It is called once, perhaps in another thread than the opener's.

        Returns:
            The frames, with indexes 0, 1, 2, … and times that increase. Each has a picture of its own, uint8 (height,
            width, 3) BGR, contiguous, which the source does not change later. The size may change on the way.

        Raises:
            SourceError: a live source has stopped. It is opened again if the user wants that.
        """
        ...

    def close(self) -> None:
        """Give back what it holds: the device, the connection, the file. A second call does nothing."""
        return

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


class Recording(FrameSource, Protocol):
    """A source that has a beginning and exact times, and that gives the same frames each time: a video, pictures.

    That is what `annotate` needs. A class that inherits from this one has to set `name`, `frame_rate` and `time_base`
    and to write `frames`.

    Attributes:
        frame_rate: average frames per second.
        time_base: seconds, the step in which its times are counted.
        begin: seconds, the time of its first frame.
        duration: seconds, as the header says; None if it does not say.
        expected_frames: how many frames the header promises: for a progress bar. None if it does not say.
        others: its streams of sound and subtitles, as PyAV has them.
        metadata: what it says of itself: title, artist and so on.
        chapters: as PyAV has them: `start`, `end` and `time_base` of each, and its `metadata`.
        hdr: the name of the transfer function where it is one for high dynamic range; None otherwise.
        loss: what could not be read; complete when `frames` has ended.
        clock: what its clock does that time does not; complete when `frames` has ended.
    """

    frame_rate: Fraction
    time_base: Fraction
    begin: Fraction = Fraction(0)
    duration: float | None = None
    expected_frames: int | None = None
    others: Sequence[Any] = ()
    metadata: Mapping[str, str] = MappingProxyType({})
    chapters: Sequence[Any] = ()
    hdr: str | None = None
    loss: Loss = NO_LOSS
    clock: ClockFaults = ClockFaults()

    def frames(
        self, *, start: Fraction | None = None, end: Fraction | None = None, on_packet: OnPacket | None = None
    ) -> Iterator[Frame]:
        """Give the frames of a span of time, in order.

        Args:
            start: seconds on its clock; earlier frames are left out. None for its beginning.
            end: seconds; frames from then on are left out. None for its end.
            on_packet: is given the packets of `others` as they come by, from `start` to `end`.

        Returns:
            The frames, as of a `FrameSource`. What cannot be read is left out, and counted in `loss`.
        """
        ...

    def other_packets(self, start: Fraction | None, end: Fraction | None) -> Iterator[Any]:
        """The packets of `others` alone, from `start` to `end` (seconds)."""
        return iter(())

    def key_times(self, start: Fraction | None) -> list[tuple[Fraction, int]] | None:
        """Where it can be cut into parts: the time of each key frame from `start` on, and how many frames come before.

        Times are in seconds. None where that is not sure: then it is read as a whole.
        """
        return None


class SourceOpener(Protocol):
    """Opens one kind of source. An entry point of the group `live_gradcam.sources` points to such an object.

    Attributes:
        is_live: whether its sources are live (see `FrameSource`), which is known before anything is opened.
    """

    is_live: bool

    def matches(self, uri: str) -> bool:
        """Whether a text names a source of this kind. It answers at once, and reads of a file its first bytes only.

        Args:
            uri: what the user gave: a path, an address, or a camera's number.
        """
        ...

    def open(self, uri: str, options: SourceOptions) -> FrameSource:
        """Open a source.

        Args:
            uri: a text that `matches`.
            options: what the user wants of sources. What means nothing to this kind is passed over.

        Raises:
            SourceError: it cannot be opened. The message is one line that says why, and what to do.
            UsageError: an option that contradicts this kind of source.
        """
        ...


def is_recording(source: FrameSource) -> TypeGuard[Recording]:
    """Whether a source is a recording, by its class; `isinstance` would look at attributes that take time to find out.

    Args:
        source: is open.
    """
    return all(callable(getattr(type(source), name, None)) for name in _OF_RECORDINGS)
