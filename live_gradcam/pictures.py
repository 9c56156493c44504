"""Still pictures: the article's three panels, and the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.attribution.start import StartSession
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.panels import three_panels
from live_gradcam.errors import LiveGradcamError, SourceError, UsageError, check_number
from live_gradcam.explanations.as_json import picture_json
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions, with_boxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.files import RESULT, check_output
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.image import check_picture, read_image
from live_gradcam.sources.levels import Levels

#: Of what `ExplainedPicture.to_json` gives. New fields may come under the same number.
SCHEMA = 1

#: Called after each pass of a picture: (the picture's path, passes done, passes in all).
OnPass = Callable[[Path, int, int], None]


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are explained.

    Attributes:
        overlay: draws the maps.
        boxes: which boxes there are, and whether they are drawn.
        levels: which of a picture's values are black and white; None for what the file and the values say.
        smooth_samples: over how many noisy copies of a picture its maps are averaged; 0 for the maps of itself.
        overwrite: whether files that exist may be replaced.

    Raises:
        UsageError: a number of copies that is not possible.
    """

    overlay: Overlay = field(default_factory=Overlay)
    boxes: BoxOptions = DEFAULT_BOXES
    levels: Levels | None = None
    smooth_samples: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_number("--smooth-grad", self.smooth_samples, least=0)


@dataclass(frozen=True)
class ExplainedPicture:
    """A picture with its explanation.

    Attributes:
        source: the file that it was read from.
        image: uint8 (height, width, 3), BGR.
        explanation: of it, with the boxes of its maps.
        panels: the file that the panels were written to; None if they were not.
    """

    source: Path
    image: np.ndarray
    explanation: Explanation
    panels: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values: see docs/json.md."""
        height, width = self.image.shape[:2]
        explanation = self.explanation
        numbers = picture_json(
            explanation,
            (height, width),
            model=explanation.model,
            method=explanation.method,
            layer=explanation.layer,
        )
        return {"schema": SCHEMA, "image": str(self.source), **numbers}


def explain(
    picture: str | Path,
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
) -> ExplainedPicture:
    """Explain one picture.

    Args:
        picture: any file that OpenCV reads, DICOM or HEIC.
        output: the file to write the panels to: overlay, picture and heatmap side by side; None for none.
        session: what to explain with: a session, or the options of one, which is then started.
        options: how.

    Raises:
        LiveGradcamError: as `explain_all`; and the picture cannot be read.
    """
    (result,) = explain_all(
        [picture], output, session=session, options=options, writes_panels=output is not None, on_failed=_raise
    )
    return result


def explain_all(
    pictures: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
    writes_panels: bool = True,
    start: StartSession = start_session,
    on_failed: Callable[[Path, LiveGradcamError], None] | None = None,
    on_pass: OnPass | None = None,
) -> Iterator[ExplainedPicture]:
    """Explain pictures, one after the other. All names and files are checked before the first one.

    Args:
        pictures: files.
        output: where the panels go: a file for one picture, a folder for several; None for `NAME-gradcam.png` beside
            each.
        session: what to explain with: a session, or the options of one, which is then started.
        options: how.
        writes_panels: False writes no files.
        start: starts the session.
        on_failed: called with each picture that cannot be explained or written; the others go on. None raises.
        on_pass: called after each pass, for methods and options that take many.

    Returns:
        The pictures that could be explained, in order, each when it is.

    Raises:
        UsageError: there are no pictures.
        LiveGradcamError: there is no such picture, or an output cannot be written; and as `start_session`.
    """
    options = options or PictureOptions()
    session = session or SessionOptions()
    if isinstance(session, SessionOptions):
        session.check()
    files = [Path(picture) for picture in pictures]
    if not files:
        raise UsageError("there is nothing to explain: give a picture")
    panels: Sequence[Path | None] = [None] * len(files)
    if writes_panels:
        panels = _plan_panels(files, None if output is None else Path(output), overwrite=options.overwrite)
    started = start(session) if isinstance(session, SessionOptions) else session
    return _explain_each(list(zip(files, panels, strict=True)), started, options, on_failed or _raise, on_pass)


def _explain_each(
    pictures: Sequence[tuple[Path, Path | None]],
    session: Session,
    options: PictureOptions,
    on_failed: Callable[[Path, LiveGradcamError], None],
    on_pass: OnPass | None,
) -> Iterator[ExplainedPicture]:
    for source, panels in pictures:
        try:
            explained = _explain_one(source, panels, session, options, on_pass)
        except LiveGradcamError as error:
            on_failed(source, error)
        else:
            yield explained


def _raise(_: Path, error: LiveGradcamError) -> None:
    raise error


def _plan_panels(images: Sequence[Path], output: Path | None, *, overwrite: bool) -> list[Path]:
    """The file that each image's panels go to: `output` for one image, into the folder `output` for several.

    The default is `NAME-gradcam.png` beside the image.

    Raises:
        SourceError: an image that does not exist, or needs a package to be read that is not there.
        UsageError: two images whose panels would get the same name.
        OutputError: a file that exists or cannot be written.
    """
    for image in images:
        if not image.is_file():
            raise SourceError(f"there is no picture {image}")
        check_picture(image)
    if output is not None and len(images) == 1 and not output.is_dir():
        pictures = [output if output.suffix else output.with_name(f"{output.name}.png")]
    else:
        pictures = [(output or image.parent) / f"{image.stem}{RESULT}.png" for image in images]
    times = Counter(pictures)
    for picture in pictures:
        if times[picture] > 1:
            raise UsageError(f"several pictures would be called {picture}: explain those images one by one")
        check_output(picture, overwrite=overwrite)
    return pictures


def _explain_one(
    source: Path, panels: Path | None, session: Session, options: PictureOptions, on_pass: OnPass | None
) -> ExplainedPicture:
    image = read_image(source, options.levels)
    explanation = session.explain(
        image,
        smooth_samples=options.smooth_samples,
        on_progress=None if on_pass is None else lambda done, total: on_pass(source, done, total),
    )
    explanation = with_boxes(explanation, image.shape[:2], threshold=options.boxes.threshold)
    if panels is not None:
        write_panels(panels, image, explanation, options.overlay, boxes=options.boxes.drawn)
    return ExplainedPicture(source, image, explanation, panels)


def write_panels(
    path: Path, image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False
) -> None:
    """Write the three panels, a row of them for each map, with its boxes where they are wanted.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = [three_panels(image, explanation.of_map(k), overlay, boxes=boxes) for k in range(len(explanation.targets))]
    write_image(path, np.concatenate(rows))
