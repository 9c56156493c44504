"""How an output is encoded, and which sink it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from live_gradcam.choices import SINKS
from live_gradcam.errors import UsageError
from live_gradcam.sinks.sink import Sink

_DEFAULT = "h264"


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded.

    Attributes:
        codec: a name of `choices.SINKS`; None for the default of the file's kind.
        crf: constant rate factor; None for the codec's default. Lower is better and larger.
        preset: of the encoder; None for the codec's default.
        hardware: encode on the graphics hardware, where an encoder opens.

    Raises:
        UsageError: no such codec, or a factor or preset that it does not have.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    hardware: bool = False

    def __post_init__(self) -> None:
        if self.codec is not None:
            self.sink.check_quality(self.codec, self.crf, self.preset)
            if self.hardware and not getattr(self.sink, "has_hardware", True):
                raise UsageError(f"{self.codec} has no --hardware: leave it out")

    @property
    def sink(self) -> Sink:
        """What writes it, if no file is named."""
        sink: Sink = SINKS.load(self.codec or _DEFAULT)
        return sink

    def of_file(self, path: Path) -> Encoding:
        """The same with the codec that a file gets.

        Raises:
            UsageError: a kind of file that is not written, or that does not carry the codec; a factor or preset that
                the codec does not have.
        """
        if self.codec is not None and not self.sink.endings:
            return self
        ending = path.suffix.lower()
        carried = _codecs_of(ending)
        if not carried:
            endings = dict.fromkeys(known for name in SINKS.of_this_package for known in SINKS.load(name).endings)
            *most, last = endings
            raise UsageError(
                f"a video cannot be written as {path}: call it NAME{', '.join(most)} or {last}, "
                "or give --codec png for a folder of pictures"
            )
        codec = self.codec or carried[0]
        if codec not in carried:
            raise UsageError(
                f"{path} cannot hold {codec}, only {' or '.join(carried)}: call it NAME{self.sink.endings[0]}"
            )
        return Encoding(codec, self.crf, self.preset, self.hardware)


def _codecs_of(ending: str) -> list[str]:
    """The codecs that files with an ending may have, those first whose files have it by default.

    Those of other packages are looked at only where this package has none.
    """
    ours = {name: SINKS.load(name).endings for name in SINKS.of_this_package}
    return _carrying(ours, ending) or _carrying(_endings_of_other_packages(), ending)


def _carrying(endings: Mapping[str, tuple[str, ...]], ending: str) -> list[str]:
    carrying = [name for name, known in endings.items() if ending in known]
    return sorted(carrying, key=lambda name: ending != endings[name][0])


def _endings_of_other_packages() -> dict[str, tuple[str, ...]]:
    endings = {}
    for name, sink in SINKS.usable(SINKS.added):
        try:
            endings[name] = tuple(sink.endings)
        except Exception as error:  # of a package that is not ours: the other sinks work without it
            SINKS.leave_out(name, error)
    return endings
