"""How a live run goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from live_gradcam.choices import HUD_LEVELS, SURFACES, VIEWS, HudLevel, View
from live_gradcam.errors import UsageError, check_number
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions
from live_gradcam.files import check_output
from live_gradcam.sources.options import SourceOptions
from live_gradcam.surfaces.surface import Surface


@dataclass(frozen=True)
class LiveOptions:
    """How a live run goes. Paths can be given as texts.

    Attributes:
        surface: where it is shown: a name of `choices.SURFACES`, or a surface.
        every_frame: drop no frame: the source waits until its last frame is explained. Otherwise the newest frame wins.
        max_frames: how many frames to explain; None for no end.
        record: MP4 file for what is seen, with the frames' own times; None to record only when a command says so.
        record_clean: record the frames without the heatmap and the text.
        overwrite: replace the file of `record` if it exists.
        snapshots: the folder for snapshots, and for recordings that a command starts.
        smooth: time constant of predictions, maps and boxes, in seconds; 0 for none.
        smooth_display: show each frame as soon as it comes, under the newest map, which is a little older.
        reconnect: how many times in a row to try to open a live source again; None for no limit.
        mirror: show the picture as in a mirror at first; None to do so for a camera of this machine.
        view: what is shown at first.
        hud: how much text is shown over the picture at first.
        boxes: which boxes there are, and whether they are shown at first.
        reading: what is wanted of the source.
    """

    surface: str | Surface = "window"
    every_frame: bool = False
    max_frames: int | None = None
    record: Path | None = None
    record_clean: bool = False
    overwrite: bool = False
    snapshots: Path = Path()
    smooth: float = 0.2
    smooth_display: bool = False
    reconnect: int | None = None
    mirror: bool | None = None
    view: View = "overlay"
    hud: HudLevel = "full"
    boxes: BoxOptions = DEFAULT_BOXES
    reading: SourceOptions = field(default_factory=SourceOptions)

    def __post_init__(self) -> None:
        if self.record is not None:
            object.__setattr__(self, "record", Path(self.record))
        object.__setattr__(self, "snapshots", Path(self.snapshots))

    def check(self) -> None:
        """Refuse what is wrong before anything slow starts.

        Raises:
            UsageError: there is no such view, level of text, surface or camera driver; a number that cannot be.
            OutputError: the recording cannot be written, or exists.
        """
        if self.max_frames is not None:
            check_number("--max-frames", self.max_frames, least=1)
        if self.smooth < 0:
            raise UsageError(f"--smooth is {self.smooth:g} s: give a time from 0 on")
        if self.reconnect is not None:
            check_number("--reconnect", self.reconnect, least=0)
        VIEWS.check(self.view)
        HUD_LEVELS.check(self.hud)
        if isinstance(self.surface, str):
            SURFACES.check(self.surface)
        self.reading.camera.check()
        if self.record is not None:
            check_output(self.record, overwrite=self.overwrite)
