"""`live-gradcam explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite, PictureLevels, box_flags, overlay_flags, session_flags
from live_gradcam.cli.marks import FilesOnly, Flags
from live_gradcam.cli.parsing import parse_levels
from live_gradcam.cli.terminal import (
    FAILED,
    check_json_path,
    complain,
    is_stdout,
    passes_bar,
    say,
    start_session,
    write_json,
)
from live_gradcam.errors import LiveGradcamError

if TYPE_CHECKING:
    from live_gradcam.drawing.overlay import Overlay
    from live_gradcam.explanations.boxes import BoxOptions
    from live_gradcam.explanations.explanation import Prediction


@command
def explain(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    overlay: Annotated["Overlay", Flags(overlay_flags, "Heatmap")],
    boxes: Annotated["BoxOptions", Flags(box_flags, "Boxes")],
    images: Annotated[
        list[Path],
        # Click would refuse all for one without permission, which here fails by itself.
        typer.Argument(metavar="IMAGE...", help="Pictures.", readable=False),
        FilesOnly(),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT.png", help="The picture to write, or the folder for several."),
    ] = None,
    smooth_grad: Annotated[
        int,
        typer.Option(
            "--smooth-grad", min=0, max=1000, metavar="N", help="Average the maps of N noisy copies of each picture."
        ),
    ] = 0,
    levels: PictureLevels = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Explain pictures: overlay, picture and heatmap side by side. With --json alone, only the numbers."""
    from live_gradcam.pictures import PictureOptions, explain_all

    check_json_path(json_path, overwrite=overwrite)
    options = PictureOptions(overlay, boxes, parse_levels(levels), smooth_grad, overwrite)
    numbers, failed = [], []

    def report_failure(picture: Path, error: LiveGradcamError) -> None:
        complain(str(error))
        failed.append(picture)

    with passes_bar() as on_pass:
        explained = explain_all(
            images,
            output,
            session=session,
            options=options,
            writes_panels=output is not None or json_path is None,
            start=start_session,
            on_failed=report_failure,
            on_pass=on_pass,
        )
        for one in explained:
            numbers.append(one.to_json())
            if not is_stdout(json_path):
                named = ", ".join(map(_describe, one.explanation.predictions))
                say(f"{one.source}: {named}" + (f" → {one.panels}" if one.panels is not None else ""))
    if json_path is not None and numbers:
        write_json(numbers[0] if len(images) == 1 else numbers, json_path)
    if failed:
        raise typer.Exit(FAILED)


def _describe(prediction: "Prediction") -> str:
    text = f"{prediction.label} {prediction.amount(1)}"
    finest = prediction.finest
    return text if finest is None or finest.label == prediction.label else f"{text} ({_describe(finest)})"
