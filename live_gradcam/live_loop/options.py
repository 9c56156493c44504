"""How a live run goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live_gradcam.choices import HUD_LEVELS, SURFACES, VIEWS, HudLevel, View
from live_gradcam.errors import UsageError, check_number, check_smooth
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions
from live_gradcam.files import check_output
from live_gradcam.sources.options import SourceOptions
from live_gradcam.surfaces.script import TimedCommand
from live_gradcam.surfaces.surface import Surface

if TYPE_CHECKING:
    from live_gradcam.fitting.taught_session import StartTeaching


@dataclass(frozen=True)
class TeachingOptions:
    """How a network is taught.

    Attributes:
        output: the `.keras` file to write; None for a name of the time, in the folder for snapshots.
        fit: how frames enter the network: "stretch", "crop" or "letterbox"; None for the network's own way.
        start: makes the network ready; None for `fitting.taught_session.start_teaching`.
    """

    output: Path | None = None
    fit: str | None = None
    start: StartTeaching | None = None

    def check(self, model: Any, *, overwrite: bool) -> None:
        """Refuse what is wrong before anything slow starts.

        Args:
            model: what is taught.
            overwrite: whether files that exist may be replaced.

        Raises:
            UsageError: a fit that cannot be taught with, or that the examples beside the model were not collected
                with; the model is not a name or a file; the output has another ending.
            ModelError: the examples beside the model are damaged.
            OutputError: the output cannot be written, or exists.
        """
        from live_gradcam.fitting.examples import check_lesson, lesson_of
        from live_gradcam.fitting.fitted import check_model_path
        from live_gradcam.fitting.options import FITS_OF_FITTING

        if self.fit is not None:
            FITS_OF_FITTING.check(self.fit)
        if not isinstance(model, (str, Path)):
            raise UsageError("a network in memory is taught by a Teacher: give a name or a file here")
        lesson_of(model, self.fit)
        if self.output is not None:
            check_model_path(self.output, overwrite=overwrite)
            check_lesson(self.output, overwrite=overwrite)


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
        teaching: how the network is taught from the start; None to teach it only when a command says so.
        script: commands that are given at their times.
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
    teaching: TeachingOptions | None = None
    script: Sequence[TimedCommand] = ()

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
        check_smooth(self.smooth)
        if self.reconnect is not None:
            check_number("--reconnect", self.reconnect, least=0)
        VIEWS.check(self.view)
        HUD_LEVELS.check(self.hud)
        if isinstance(self.surface, str):
            SURFACES.check(self.surface)
        self.reading.camera.check()
        if self.record is not None:
            check_output(self.record, overwrite=self.overwrite)
