"""What a sink must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from live_gradcam.errors import OutputError
from live_gradcam.sources.source import Recording

if TYPE_CHECKING:
    from live_gradcam.sinks.encoding import Encoding


class Pictures(NamedTuple):
    """The pictures of an output.

    Attributes:
        size: (height, width) in pixels.
        frame_rate: frames per second, for the header; each picture has its own time.
        time_base: the seconds of one tick of these times.
    """

    size: tuple[int, int]
    frame_rate: Fraction
    time_base: Fraction


@dataclass(frozen=True)
class Extras:
    """What an output has besides its pictures.

    Attributes:
        others: streams of sound and subtitles to take over from a reader.
        shift: seconds by which their packets are earlier in the output.
        metadata: what the output says of itself, by the names of its tags.
        chapters: as PyAV has them.
    """

    others: Sequence[Any] = ()
    shift: Fraction = Fraction(0)
    metadata: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Any] = ()


NO_EXTRAS = Extras()


class Carried(NamedTuple):
    """What became of sound and subtitles.

    Attributes:
        converted: what was encoded again: "audio pcm_s16le → aac".
        left_out: what the output cannot carry: "subtitles hdmv_pgs_subtitle".
    """

    converted: list[str]
    left_out: list[str]


@dataclass(frozen=True)
class Companion:
    """The recording whose sound and subtitles go along with joined parts.

    Attributes:
        reader: the recording.
        start: seconds of its time; earlier packets are left out. None for the beginning.
        end: seconds of its time; packets from then on are left out. None for the end.
    """

    reader: Recording
    start: Fraction | None = None
    end: Fraction | None = None


class OpenSink(Protocol):
    """An output that grows at `live_gradcam.files.part_path(path)`.

    All methods raise `OutputError` where it cannot be written.
    """

    @property
    def frames_written(self) -> int:
        """How many pictures there are so far."""

    @property
    def encoder(self) -> str:
        """What encodes the pictures."""

    @property
    def carried(self) -> Carried:
        """What becomes of the sound and subtitles."""

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a picture.

        Args:
            image: uint8 (height, width, 3), BGR. It may have another size than the first.
            pts: its time in seconds, from 0 on, and later than the last one's.
        """

    def write_packet(self, packet: Any) -> None:
        """Take over a packet of one of the `Extras.others`, or leave it out."""

    def finish(self, statement: str) -> None:
        """Complete the output and give it its name. Where that fails, nothing is left of it.

        Args:
            statement: how it came about, which `Sink.read_statement` gives back; "" for nothing.
        """

    def discard(self) -> None:
        """Remove what was written."""


def show_for(sink: OpenSink, duration: Fraction | None) -> None:
    """Tell an output how long the next picture is shown, where no other one follows. It need not have such a method.

    Args:
        sink: the output.
        duration: seconds; None where that is not known.
    """
    tell = getattr(sink, "show_for", None)
    if tell is not None and duration is not None:
        tell(duration)


class Sink(Protocol):
    """What an annotated recording can be written as.

    A member of `choices.SINKS` is an object like this. Its name there is what `--codec` takes. A package adds one by an
    entry point of the group `live_gradcam.sinks`. Its class need not inherit from this one. One that does has to set
    `noun` and `endings`, and to write `check_quality`, `open` and `read_statement`, and `join` where workers may write
    the output.

    Attributes:
        noun: what one output is called in a message: "video".
        endings: of the files' names, the default first; none where any name is a folder's.
        most_fps: the most frames per second that it can show; None for any number.
        has_hardware: whether `Encoding.hardware` may mean something to it.
        joins: whether parts that are written by themselves can be joined, so that several workers share a recording.
    """

    noun: str
    endings: tuple[str, ...]
    most_fps: int | None = None
    has_hardware: bool = True
    joins: bool = False

    def check_quality(self, name: str, crf: int | None, preset: str | None) -> None:
        """Refuse a constant rate factor or a preset that it does not have.

        Raises:
            UsageError: `name`, as the sink is called, has none such.
        """
        ...

    def check_replaced(self, path: Path) -> None:
        """Make sure that what is there may be replaced, where the user allows that.

        Raises:
            OutputError: nobody wants it to be replaced, such as a folder of something else.
        """
        return

    def open(
        self, path: Path, pictures: Pictures, encoding: Encoding, extras: Extras = NO_EXTRAS, statement: str = ""
    ) -> OpenSink:
        """Begin an output.

        Args:
            path: what it is called when it is finished; its folder exists.
            pictures: the first one's size, and their times.
            encoding: how they are encoded.
            extras: what the output has besides.
            statement: what `finish` will probably be called with.

        Raises:
            OutputError: it cannot be written.
        """

    def join(
        self,
        parts: Sequence[Path],
        path: Path,
        time_base: Fraction,
        companion: Companion,
        extras: Extras,
        statement: str,
    ) -> Carried:
        """Make an output of parts that were written by themselves, in the order of their times. One, unless it `joins`.

        Args:
            parts: outputs of the same sink and encoding, without extras.
            path: what the output is called.
            time_base: the seconds of one tick of the pictures' times.
            companion: whose sound and subtitles are added.
            extras: what the output has besides.
            statement: how it came about.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
        """
        raise OutputError(f"a {self.noun} cannot be written by workers: leave out --workers and --cluster")

    def read_statement(self, path: Path) -> str | None:
        """What an output says of how it came about; None where it says nothing, or is not there."""
        ...
