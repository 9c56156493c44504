"""`live-gradcam explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import Flags, JsonPath, Overwrite, PictureLevels, box_flags, overlay_flags, session_flags
from live_gradcam.cli.parsing import parse_levels
from live_gradcam.cli.terminal import FAILED, check_json_path, complain, passes_bar, start_session, write_json
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
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")],
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
    from live_gradcam.pictures import explain_image, image_record, plan_pictures, write_panels

    session.check()
    wanted = parse_levels(levels)
    check_json_path(json_path, overwrite=overwrite)
    draws = output is not None or json_path is None
    pictures = plan_pictures(images, output, overwrite=overwrite) if draws else [None] * len(images)
    started = start_session(session)
    records, failed = [], False
    for path, picture in zip(images, pictures, strict=True):
        try:
            with passes_bar(path) as progress:
                image, explanation = explain_image(
                    path,
                    started,
                    box_threshold=boxes.threshold,
                    levels=wanted,
                    smooth_samples=smooth_grad,
                    on_progress=progress,
                )
            if picture is not None:
                write_panels(picture, image, explanation, overlay, boxes=boxes.drawn)
        except LiveGradcamError as error:
            complain(str(error))
            failed = True
            continue
        records.append(image_record(path, image, explanation, started))
        if str(json_path) != "-":
            named = ", ".join(map(_describe, explanation.predictions))
            print(f"{path}: {named}" + (f" → {picture}" if picture is not None else ""))
    if json_path is not None and records:
        write_json(records[0] if len(images) == 1 else records, json_path)
    if failed:
        raise typer.Exit(FAILED)


def _describe(prediction: "Prediction") -> str:
    text = f"{prediction.label} {prediction.amount(1)}"
    finest = prediction.finest
    return text if finest is None or finest.label == prediction.label else f"{text} ({_describe(finest)})"
