"""`live-gradcam export`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import EXPORTS
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import Overwrite, model_flags
from live_gradcam.cli.marks import FilesOnly, Flags, chosen, is_given
from live_gradcam.cli.terminal import is_debugging, print_table, progress_line
from live_gradcam.errors import UsageError

if TYPE_CHECKING:
    from live_gradcam.exporting.export import ExportReport


@command
def export(
    context: typer.Context,
    options: Annotated[SessionOptions, Flags(model_flags, "Network", without=("layer",))],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write in.")],
    formats: Annotated[
        list[str],
        chosen(EXPORTS, "--format", help="The format to write. Repeat the flag for several formats."),
    ],
    network: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="A model file, or a network's name; as -m."), FilesOnly()
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a model for other programs: ONNX, OpenVINO, SavedModel or TensorFlow Lite. Each file is checked first."""
    from live_gradcam.exporting.export import export as write

    if network is not None:
        if is_given(context, "model"):
            raise UsageError(f"{network} and -m {options.model} are two models: leave one of them out")
        options = replace(options, model=str(network))
    with progress_line() as show:
        report = write(
            options,
            output,
            formats,
            overwrite=overwrite,
            on_progress=show,
            let_tensorflow_talk=is_debugging(),
        )
    _print_report(report)


def _print_report(report: "ExportReport") -> None:
    table = Table("format", "largest difference", "file", box=None, pad_edge=False)
    for name, difference in report.differences.items():
        file = next(file for file in report.files if file.name.endswith(EXPORTS.load(name).endings[0]))
        table.add_row(name, f"{difference:.1e}", escape(str(file)))
    print_table(table)
    height, width = report.input_size
    fit = f"made to fit by {report.card.fit}" if report.card.fit else "made to fit as in training"
    print(
        f"\nPixels go in as RGB from 0 to 255, {width}×{height}, {fit}. {report.files[-1]} says how to use the files."
    )
