"""How recordings are annotated."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import LAYOUTS
from live_gradcam.drawing.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP, Overlay
from live_gradcam.errors import UsageError, check_number, check_smooth
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.times import parse_rate, parse_time

#: Overlay, picture and heatmap side by side, each as large as the source.
PANELS = "panels"

#: How many maps are smoothed where the top class may change: the smoothed top class is nearly always among so many.
_SMOOTHED_MAPS = 3


@dataclass(frozen=True)
class AnnotateOptions:
    """How recordings are annotated.

    Times and rates may be given as any numbers, and become fractions: 29.97 is 2997/100.

    Attributes:
        start: seconds after the source's beginning; earlier frames are left out, and the output begins there at 0.
        end: seconds after the source's beginning; frames from then on are left out.
        stride: 1 explains every frame, 2 every second one, and so on; a map is held until the next.
        output_fps: frames per second of the output, each the source's newest at its time; None for the source's own.
        picture_fps: frames per second of sequences of pictures.
        source_fps: frames per second of files that have no times of their own; None for what they name.
        levels: which values of pictures are black and white; None for what the files and the values say.
        size: (height, width) of the output in pixels, None for what keeps the proportions; None for the source's own.
        layout: what is shown, a name of `choices.LAYOUTS`; side by side and panels are wider than the source.
        smooth: time constant of the smoothing of what is drawn, in seconds; 0 for none.
        boxes: which there are, and whether they are drawn; they are steady over the video's time.
        batch: how many frames are explained at a time; None for what is fastest, which is measured for long files.
        colormap: of the overlay.
        alpha: of the overlay.
        encoding: of the output.

    Raises:
        UsageError: a value that is not possible.
    """

    start: Fraction | None = None
    end: Fraction | None = None
    stride: int = 1
    output_fps: Fraction | None = None
    picture_fps: Fraction = Fraction(25)
    source_fps: Fraction | None = None
    levels: Levels | None = None
    size: tuple[int | None, int | None] | None = None
    layout: str = "overlay"
    smooth: float = 0.0
    boxes: BoxOptions = DEFAULT_BOXES
    batch: int | None = None
    colormap: str = DEFAULT_COLORMAP
    alpha: float = DEFAULT_ALPHA
    encoding: Encoding = field(default_factory=Encoding)

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, parse_time(getattr(self, name), f"--{name}"))
        for name in ("output_fps", "picture_fps", "source_fps"):
            if (rate := getattr(self, name)) is not None:
                object.__setattr__(self, name, parse_rate(rate, f"--{name.replace('_', '-')}"))
        for name in ("stride", "batch"):
            number = getattr(self, name)
            if number is not None:
                check_number(f"--{name}", number, least=1)
        check_smooth(self.smooth)
        if self.end is not None and self.end <= 0:
            raise UsageError(f"--end is {float(self.end):g} s: give a time after 0")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise UsageError(f"--end is {float(self.end):g} s, which is not after --start {float(self.start):g} s")
        LAYOUTS.check(self.layout)
        self.overlay()

    def overlay(self) -> Overlay:
        """What draws the maps."""
        return Overlay(self.colormap, self.alpha)

    def for_session(self, session: SessionOptions) -> SessionOptions:
        """The session's options with as many maps as are needed."""
        if self.layout == "grid":
            return replace(session, maps=None)
        return replace(session, maps=_SMOOTHED_MAPS if self.smooth and not session.classes else 1)

    def shown_maps(self, targets: int) -> int | None:
        """How many of a frame's maps are drawn and kept; None for all.

        Args:
            targets: how many classes were asked for.
        """
        return None if self.layout == "grid" else max(1, targets)

    def check_rate(self, output: Path, rate: Fraction) -> None:
        """Make sure that an output can have so many frames per second.

        Raises:
            UsageError: they are more than it can show.
        """
        sink = self.encoding.of_file(output).sink
        if sink.most_fps is not None and rate > sink.most_fps:
            raise UsageError(f"a {sink.noun} shows at most {sink.most_fps} frames per second: add --output-fps 25")

    def to_json(self) -> dict[str, Any]:
        """As plain values, without those that do not change the result; `size` as width and height."""
        plain = asdict(self)
        del plain["batch"]
        plain["size"] = self.size and self.size[::-1]
        for name in ("source_fps", "levels"):  # as before there was a choice, so that --resume knows what was done then
            if plain[name] is None:
                del plain[name]
        if self.levels is not None and self.levels.of == "all":  # likewise
            del plain["levels"]["of"]
        return {name: float(value) if isinstance(value, Fraction) else value for name, value in plain.items()}
