"""Still pictures: the article's three panels, and the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np

from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.attribution.start import StartSession
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.panels import three_panels
from live_gradcam.errors import LiveGradcamError, OutputError, SourceError, UsageError
from live_gradcam.explanations.boxes import with_boxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.files import RESULT, check_output, check_replaces_no_source, identity
from live_gradcam.pictures.explained import ExplainedPicture
from live_gradcam.pictures.given import Channels, Given, given, is_batch
from live_gradcam.pictures.options import PictureOptions
from live_gradcam.pictures.starting import start_session
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.folders import check_exists, check_is_file
from live_gradcam.sources.image import check_picture
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.shared_levels import shared_levels

#: Called after each pass of a picture: (the picture's path, passes done, passes in all).
OnPass = Callable[[Path, int, int], None]


@overload
def explain(
    picture: str | PathLike[str],
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
    channels: Channels = "rgb",
) -> ExplainedPicture: ...
@overload
def explain(
    picture: list[Any] | tuple[Any, ...],
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
    channels: Channels = "rgb",
) -> list[ExplainedPicture]: ...
@overload
def explain(
    picture: Any,
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
    channels: Channels = "rgb",
) -> Any: ...
def explain(
    picture: Any,
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
    channels: Channels = "rgb",
) -> ExplainedPicture | list[ExplainedPicture]:
    """Explain one picture, or a batch of them.

    Without a session, each call starts one, which takes seconds. For several calls start one before: `start_session`.

    Args:
        picture: a path of any file that OpenCV reads, DICOM or HEIC; an array, a tensor, or an image of PIL. Or a
            batch: a list of these, or an array or a tensor (n, height, width, channels). Arrays and tensors have
            (height, width), or (height, width, channels) with 1, 3 or 4 channels, the last of 4 for the opacity. Of
            fractions, 0 is black, and 1 is white, or 255 where some are above 1; whole numbers go to 255, or to what
            their bits can hold.
        output: the file to write the panels to: overlay, picture and heatmap side by side; None for none. For a batch
            a folder.
        session: what to explain with: a session, or the options of one, which is then started.
        options: how.
        channels: in which order arrays and tensors have their colours. The default is "rgb", because in a notebook they
            come from PIL, Matplotlib, scikit-image, Keras or TensorFlow, which all have red first. Say "bgr" for what
            `cv2.imread` and the sources of this package give.

    Returns:
        The explained picture, which keeps its pixels; of a batch a list of them.

    Raises:
        UsageError: something is no picture, or its values may mean anything.
        LiveGradcamError: as `explain_all`; and the picture cannot be read.
    """
    several = is_batch(picture)
    explained = explain_all(
        picture if several else [picture],
        output,
        session=session,
        options=options,
        writes_panels=output is not None,
        channels=channels,
    )
    return list(explained) if several else next(explained)


def explain_all(
    pictures: Iterable[Any],
    output: str | Path | None = None,
    *,
    session: Session | SessionOptions | None = None,
    options: PictureOptions | None = None,
    writes_panels: bool = True,
    start: StartSession = start_session,
    on_failed: Callable[[Path, LiveGradcamError], None] | None = None,
    on_pass: OnPass | None = None,
    channels: Channels = "rgb",
) -> Iterator[ExplainedPicture]:
    """Explain pictures, one after the other. All names and files are checked before the first one.

    Args:
        pictures: as `explain` takes them.
        output: where the panels go: a file for one picture, a folder for several; None for `NAME-gradcam.png` beside
            each, and in the current folder for what was in memory (`picture-0-gradcam.png`).
        session: what to explain with: a session, or the options of one, which is then started.
        options: how.
        writes_panels: False writes no files.
        start: starts the session.
        on_failed: called with each picture that cannot be explained or written; the others go on. None raises.
        on_pass: called after each pass, for methods and options that take many.
        channels: as for `explain`.

    Returns:
        The pictures that could be explained, in order, each when it is.

    Raises:
        UsageError: there are no pictures, or something is none.
        LiveGradcamError: there is no such picture, or an output cannot be written; and as `start_session`.
    """
    options = options or PictureOptions()
    session = session or SessionOptions()
    if isinstance(session, SessionOptions):
        session.check()
    levels = options.levels or Levels.of_card(session.card_levels)
    several = given(pictures, channels, levels)
    if not several:
        raise UsageError("there is nothing to explain: give a picture")
    panels: Sequence[Path | None] = [None] * len(several)
    if writes_panels:
        panels = _plan_panels(several, None if output is None else Path(output), overwrite=options.overwrite)
    elif on_failed is None:  # otherwise a file that is not there is one that fails
        check_files(several)
    started = start(session) if isinstance(session, SessionOptions) else session
    files = [one.source for one in several if one.source is not None]
    if levels is None and len(files) > 1:
        levels = shared_levels(files)
    options = replace(options, levels=levels)
    return _explain_each(list(zip(several, panels, strict=True)), started, options, on_failed or _raise, on_pass)


def _explain_each(
    pictures: Sequence[tuple[Given, Path | None]],
    session: Session,
    options: PictureOptions,
    on_failed: Callable[[Path, LiveGradcamError], None],
    on_pass: OnPass | None,
) -> Iterator[ExplainedPicture]:
    for picture, panels in pictures:
        try:
            explained = _explain_one(picture, panels, session, options, on_pass)
        except LiveGradcamError as error:
            on_failed(picture.name, error)
        else:
            yield explained


def _raise(_: Path, error: LiveGradcamError) -> None:
    raise error


def check_files(pictures: Sequence[Given]) -> None:
    """Make sure that the files among some pictures are there, as far as it can be known without reading them.

    Raises:
        SourceError: one does not exist, or is no file, or needs a package to be read that is not there.
    """
    for source in (picture.source for picture in pictures):
        if source is not None:
            check_exists(source, "picture")
            if source.is_dir():
                raise SourceError(f"{source} is a folder: give the pictures in it, such as {source / '*.png'}")
            check_is_file(source)
            check_picture(source)


def _plan_panels(pictures: Sequence[Given], output: Path | None, *, overwrite: bool) -> list[Path]:
    """The file that each picture's panels go to: `output` for one picture, into the folder `output` for several.

    The default is `NAME-gradcam.png` beside the picture.

    Raises:
        SourceError: as `check_files`.
        UsageError: two pictures whose panels would get the same name.
        OutputError: a file that exists, is a source, or cannot be written.
    """
    check_files(pictures)
    if output is not None and output.exists() and not (output.is_file() or output.is_dir()):
        raise OutputError(f"{output} is no file: give the name of a picture, such as cup-map.png")
    if output is not None and len(pictures) == 1 and not output.is_dir():
        files = [output if output.suffix else output.with_name(f"{output.name}.png")]
    else:
        files = [(output or one.name.parent) / f"{one.name.stem}{RESULT}.png" for one in pictures]
    times = Counter(files)
    sources = {identity(one.source): one.source for one in pictures if one.source is not None}
    for file, picture in zip(files, pictures, strict=True):
        if times[file] > 1:
            raise UsageError(f"several pictures would be called {file}: explain those images one by one")
        check_replaces_no_source(file, picture.source, sources)
        check_output(file, overwrite=overwrite)
    return files


def _explain_one(
    picture: Given, panels: Path | None, session: Session, options: PictureOptions, on_pass: OnPass | None
) -> ExplainedPicture:
    image = picture.read(options.levels)
    explanation = session.explain(
        image,
        smooth_samples=options.smooth_samples,
        on_progress=None if on_pass is None else lambda done, total: on_pass(picture.name, done, total),
    )
    explanation = with_boxes(explanation, image.shape[:2], threshold=options.boxes.threshold)
    overlay, boxes = options.overlay, options.boxes.drawn
    if panels is not None:
        write_panels(panels, image, explanation, overlay, boxes=boxes)
    return ExplainedPicture(picture.source, image, explanation, panels, overlay.colormap, overlay.alpha, boxes)


def write_panels(
    path: Path, image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False
) -> None:
    """Write the three panels, a row of them for each map, with its boxes where they are wanted.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = [three_panels(image, explanation.of_map(k), overlay, boxes=boxes) for k in range(len(explanation.targets))]
    write_image(path, np.concatenate(rows))
