"""`live-gradcam evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite, PictureLevels, session_flags
from live_gradcam.cli.marks import Flags, sources_help
from live_gradcam.cli.parsing import parse_levels
from live_gradcam.cli.terminal import (
    FAILED,
    check_json_path,
    complain,
    is_stdout,
    print_table,
    progress_line,
    start_session,
    write_json,
)

if TYPE_CHECKING:
    from live_gradcam.evaluating.figures import Figures


@command
def evaluate(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    sources: Annotated[
        list[Path],
        # Click would refuse all for one without permission, which here fails by itself.
        typer.Argument(metavar="IMAGE|FOLDER|VIDEO...", help=sources_help("What to explain."), readable=False),
    ],
    methods: Annotated[
        str | None,
        typer.Option("--methods", metavar="NAME,NAME…", help="Methods to compare. Default: the one of --method."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=1000, metavar="N", help="Steps of deletion and insertion.")
    ] = 50,
    every: Annotated[
        int | None,
        typer.Option("--every", min=1, metavar="N", help="Of a video, take one frame in N. Default: one per second."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE",
            help="Where the objects are, for the pointing game: a JSON or CSV file of boxes, by picture name.",
        ),
    ] = None,
    random_head: Annotated[
        bool,
        typer.Option(
            "--random-head/--no-random-head",
            help="Compare with maps of the network with random last weights.",
        ),
    ] = True,
    levels: PictureLevels = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.png", help="Plot the curves: PNG, SVG or PDF.")
    ] = None,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure how faithful maps are: deletion, insertion, average drop, pointing game, random head; with controls."""
    from live_gradcam.evaluating.curves import check_plot_path
    from live_gradcam.evaluating.evaluate import EvaluationOptions, parse_methods
    from live_gradcam.evaluating.evaluate import evaluate as evaluate_maps
    from live_gradcam.evaluating.pictures import plan_sources
    from live_gradcam.files import check_output, check_replaces_no_source, identity

    check_json_path(json_path, overwrite=overwrite)
    options = EvaluationOptions(
        parse_methods(methods) if methods is not None else (), steps, every, boxes, random_head, parse_levels(levels)
    )
    if output is not None:
        check_plot_path(output)
        check_output(output, overwrite=overwrite)
        sources = plan_sources(sources, options.levels)
        own = sources[0] if len(sources) == 1 else None
        check_replaces_no_source(output, own, {identity(file): file for file in sources if file.exists()})
    with progress_line() as show:
        found = evaluate_maps(
            sources,
            session=session,
            options=options,
            start=start_session,
            on_progress=show,
            on_failed=lambda file, error: complain(str(error)),
        )
    if found.pictures:
        if not is_stdout(json_path):
            _print_figures(found.figures, found.title)
        if json_path is not None:
            write_json(found.to_json(), json_path)
        if output is not None:
            found.write_curves(output)
    if found.failed:
        raise typer.Exit(FAILED)


def _print_figures(figures: "dict[str, Figures]", title: str) -> None:
    def number(value: float | None, places: int) -> str:
        return "-" if value is None else f"{value:.{places}f}"

    columns = ("deletion ↓", "insertion ↑", "drop ↓ %", "increase ↑ %", "pointing ↑ %", "random head ρ", "|ρ|")
    table = Table("map", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    for name, one in figures.items():
        table.add_row(
            name,
            number(one.deletion_auc, 3),
            number(one.insertion_auc, 3),
            number(one.drop, 1),
            number(one.increase, 1),
            number(one.hit, 1),
            number(one.rank_correlation, 2),
            number(one.absolute_rank_correlation, 2),
        )
    print(f"{title}\n")
    print_table(table)
    print(
        "\n↓ lower is better. ↑ higher is better. ρ: rank correlation with the map of a network whose head is random, "
        "near 0 if the map depends on the head. -: not measured"
    )
