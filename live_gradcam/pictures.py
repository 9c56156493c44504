"""Still pictures: the article's three panels, and the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from live_gradcam.attribution.session import Session
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.drawing.panels import three_panels
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.explanations.boxes import with_boxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.records import picture_record
from live_gradcam.files import check_output
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.image import check_picture, read_image
from live_gradcam.sources.levels import Levels


def plan_pictures(images: Sequence[Path], output: Path | None, *, overwrite: bool) -> list[Path]:
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
        pictures = [(output or image.parent) / f"{image.stem}-gradcam.png" for image in images]
    for picture in pictures:
        if pictures.count(picture) > 1:
            raise UsageError(f"several pictures would be called {picture}: explain those images one by one")
        check_output(picture, overwrite=overwrite)
    return pictures


def explain_image(
    path: Path,
    session: Session,
    *,
    box_threshold: float,
    levels: Levels | None = None,
    smooth_samples: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, Explanation]:
    """Read a picture, uint8 (height, width, 3) BGR, and explain it, with the boxes of its maps.

    Args:
        path: the picture.
        session: explains.
        box_threshold: the share of a map's maximum that its boxes surround.
        levels: which of the picture's values are black and white; None for what the file and the values say.
        smooth_samples: over how many noisy copies the maps are averaged; 0: the map of the picture itself.
        on_progress: is told of each pass: (passes done, passes in all), where there are many.

    Raises:
        SourceError: it is not a picture.
    """
    image = read_image(path, levels)
    explanation = session.explain(image, smooth_samples=smooth_samples, on_progress=on_progress)
    return image, with_boxes(explanation, image.shape[:2], threshold=box_threshold)


def write_panels(
    path: Path, image: np.ndarray, explanation: Explanation, overlay: Overlay, *, boxes: bool = False
) -> None:
    """Write the three panels, a row of them for each map, with its boxes where they are wanted.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = [three_panels(image, explanation.of_map(k), overlay, boxes=boxes) for k in range(len(explanation.targets))]
    write_image(path, np.concatenate(rows))


def image_record(path: Path, image: np.ndarray, explanation: Explanation, session: Session) -> dict[str, Any]:
    """The numbers of an explained picture: `image`, its path, and those of `picture_record`."""
    return {
        "image": str(path),
        **picture_record(
            explanation,
            image.shape[:2],
            model=session.model,
            method=session.method,
            layer=session.layer,
        ),
    }
