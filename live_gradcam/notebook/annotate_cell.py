"""A recording that is annotated in a cell of a notebook: a bar while it works, and then the video to play."""

from __future__ import annotations

import base64
import html
import time
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from live_gradcam.annotating.annotate import annotate
from live_gradcam.annotating.batch import Progress
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.report import Report, Result
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.drawing.cell_output import CellBar, CellOutput
from live_gradcam.sources.times import frames_in_words

_USUAL_SESSION, _USUAL_OPTIONS = SessionOptions(), AnnotateOptions()
#: Seconds between two pictures of the bar.
_EVERY = 0.25
#: What browsers play, by its ending, and what they show as a picture.
_VIDEOS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
_PICTURES = {".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg"}
#: A file that the notebook cannot show by its path is put into it, up to so many bytes.
_MOST_EMBEDDED = 32 << 20


class Annotate:
    """Annotates a recording in a cell of a notebook: shows how far it is, and then plays the result.

    Name it at the end of a cell, or ask for its `report`: the cell is busy until the recording is done. Interrupting
    the kernel ends it early; the file is finished then with the frames that were explained. A cell that is run again
    with the same options shows what was done before.

    Examples:
        >>> job = Annotate("talk.mp4")
        >>> job.report.is_complete
        True

    Args:
        source: a video, a picture or a folder of pictures, as `annotate` takes it.
        output: the file to write; None for one beside the source.
        session: what to explain with.
        options: how it is annotated.
        overwrite: replace an output that exists and was made in another way.
        embed: whether the result is put into the notebook, which gets larger by it. None to do so only where the
            notebook cannot play it by its path, as it is not below the kernel's folder.
    """

    def __init__(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str] | None = None,
        *,
        session: SessionOptions = _USUAL_SESSION,
        options: AnnotateOptions = _USUAL_OPTIONS,
        overwrite: bool = False,
        embed: bool | None = None,
    ) -> None:
        self._source = Path(source)
        self._output = output
        self._session = session
        self._options = options
        self._overwrite = overwrite
        self._embed = embed
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """What became of the recording. Annotates it first, if that is not done yet.

        Raises:
            LiveGradcamError: it cannot be annotated; as `annotate`.
        """
        return self.run() if self._report is None else self._report

    def run(self) -> Report:
        """Annotate the recording, and show how far it is where this is a notebook. See `report`."""
        shown = CellOutput.of_start(self._source.name)
        bar = _Progress(self._source.name, shown)
        try:
            report = annotate(
                self._source,
                self._output,
                session=self._session,
                options=self._options,
                overwrite=self._overwrite,
                resume=not self._overwrite,
                on_progress=bar,
            )
            for result in report.results:
                if result.error is not None:
                    raise result.error
        except BaseException:
            shown.update(CellBar(self._source.name, "This was not annotated.", 0.0))
            raise
        self._report = report
        shown.update(self._player())
        return report

    def _player(self) -> _Player:
        assert self._report is not None  # it was annotated
        return _Player(self._report, self._embed)

    def _ipython_display_(self) -> None:
        if self._report is None:
            self.run()
        else:
            CellOutput().update(self._player())

    def __repr__(self) -> str:
        state = "not annotated yet" if self._report is None else "; ".join(map(_line, self._report.results))
        return f"Annotate({str(self._source)!r}): {state}"


class _Progress:
    """Shows how far a recording is. It is called with progress.

    Args:
        name: of the recording.
        shown: where.
    """

    def __init__(self, name: str, shown: CellOutput) -> None:
        self._name = name
        self._shown = shown
        self._since = self._drawn = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Take note of what happened."""
        now = time.monotonic()
        if progress.stage == "started":
            self._since = now
        if progress.stage != "annotating" or now - self._drawn < _EVERY:
            return
        self._drawn = now
        self._shown.update(CellBar(self._name, ", ".join(progress.in_words(now - self._since)), progress.share))


class _Player:
    """The result, to play, and a line for each thing to know of it.

    Args:
        report: of one recording.
        embed: see `Annotate`.
    """

    def __init__(self, report: Report, embed: bool | None) -> None:
        self._report = report
        self._embed = embed

    def __repr__(self) -> str:
        return "\n".join(line for result in self._report.results for line in _lines(result))

    def _repr_html_(self) -> str:
        parts = []
        for result in self._report.results:
            parts.append(_played(result.job.output, self._embed))
            parts += [f"<div>{html.escape(line)}</div>" for line in _lines(result)]
        return "\n".join(parts)


def _lines(result: Result) -> list[str]:
    return [_line(result), *([result.damage] if result.damage else []), *result.notes]


def _line(result: Result) -> str:
    summary = result.summary
    if summary is None:
        return f"{result.job.output}: it was done before"
    end = ", stopped early" if summary.stopped else ""
    return f"{result.job.output}: {frames_in_words(summary.frames)}, {summary.fps:.1f} FPS{end}"


def _played(path: Path, embed: bool | None) -> str:
    """What shows a file in a browser; nothing for one that browsers do not show, or that is too large to be put in."""
    ending = path.suffix.lower()
    kind = _VIDEOS.get(ending) or _PICTURES.get(ending)
    if kind is None or not path.is_file():
        return ""
    near = _below_here(path)
    if embed or (embed is None and near is None):
        if path.stat().st_size > _MOST_EMBEDDED:
            return ""
        address = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    elif near is None:
        return ""
    else:
        address = quote(near.as_posix())
    style = 'style="max-width: 100%"'
    if ending in _PICTURES:
        return f'<img src="{address}" alt="" {style}>'
    return f'<video src="{address}" controls loop {style}></video>'


def _below_here(path: Path) -> Path | None:
    """The path from the kernel's folder, which is the notebook's; None where it is elsewhere."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return None
