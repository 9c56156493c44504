"""The sidecars of one recording: all of them whole, or none of them there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType

from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.sidecars.sidecar import OpenSidecar, Sidecar, SidecarFrame
from live_gradcam.annotating.tracking import TrackedFrame
from live_gradcam.choices import SIDECARS
from live_gradcam.files import publish, remove_part, writing


class OpenSidecars:
    """Writes explained frames into the files that were asked for.

    The files grow under other names, and get their own when all of them are finished. As a context manager: leaving it
    finishes and publishes them; an exception leaves none of them.

    Args:
        job: which files.
        options: how the recording is annotated.

    Attributes:
        frames: how many explained frames were added.
        take_numbers: whether one of them takes the numbers of each frame alone: see `Sidecar.as_drawn`.

    Raises:
        LiveGradcamError: a sidecar of another package cannot be loaded.
        OutputError: from the methods: a file cannot be written.
    """

    def __init__(self, job: AnnotateJob, options: AnnotateOptions) -> None:
        self.frames = 0
        self._source, self._options = job.source, options
        self._kinds: list[tuple[Path, Sidecar]] = [(path, SIDECARS.load(name)) for name, path in job.sidecars.items()]
        self._opened: list[tuple[Path, Sidecar, OpenSidecar]] = []
        self._is_finished = False
        self.take_numbers = any(not kind.as_drawn for _, kind in self._kinds)

    def open(self) -> None:
        """Begin all files."""
        try:
            for path, kind in self._kinds:
                with writing(path):
                    self._opened.append((path, kind, kind.open(path, self._source, self._options)))
        except BaseException:
            self.discard()
            raise

    def add(self, frame: TrackedFrame) -> None:
        """Write down the next explained frame that is in the output."""
        drawn = SidecarFrame(frame.index, frame.pts, frame.shown.explanation)
        numbers = drawn if frame.numbers is None else SidecarFrame(frame.index, frame.pts, frame.numbers)
        for path, kind, file in self._opened:
            with writing(path):
                file.add(drawn if kind.as_drawn else numbers)
        self.frames += 1

    def finish(self) -> None:
        """Write all that is left to write."""
        if self._is_finished:
            return
        for path, _, file in self._opened:
            with writing(path):
                file.finish()
        self._is_finished = True

    def publish(self) -> None:
        """Finish the files, and give them their names."""
        try:
            self.finish()
            for path, _ in self._kinds:
                with writing(path):
                    publish(path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what has no name yet."""
        for _, _, file in self._opened:
            with suppress(OSError):  # such as of what a full disk has no room for
                file.close()
        for path, _ in self._kinds:
            remove_part(path)

    def __enter__(self) -> OpenSidecars:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.publish()
        else:
            self.discard()
