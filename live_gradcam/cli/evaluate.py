"""`live-gradcam evaluate`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import Flags, JsonPath, Overwrite, PictureLevels, session_flags
from live_gradcam.cli.parsing import parse_levels
from live_gradcam.cli.terminal import (
    FAILED,
    check_json_path,
    complain,
    print_table,
    start_session,
    terminal,
    write_json,
)
from live_gradcam.errors import LiveGradcamError

if TYPE_CHECKING:
    from live_gradcam.evaluation import Evaluation, Figures


@command
def evaluate(
    session: Annotated[SessionOptions, Flags(session_flags, "Explanation")],
    sources: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER|VIDEO...", help="What to explain.")],
    methods: Annotated[
        str | None,
        typer.Option("--methods", metavar="NAME,NAME…", help="Methods side by side. Default: that of --method."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=1000, metavar="N", help="Steps of deletion and insertion.")
    ] = 50,
    every: Annotated[
        int | None,
        typer.Option("--every", min=1, metavar="N", help="Of a video, take one frame in N. Default: one a second."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            metavar="FILE.json",
            help="The objects, for the pointing game: by picture name, a list of left, top, right, bottom in pixels.",
        ),
    ] = None,
    random_head: Annotated[
        bool,
        typer.Option(
            "--random-head/--no-random-head", help="Compare with the maps of the network with a random last kernel."
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
    from live_gradcam.evaluation import (
        Evaluator,
        check_plot_path,
        evaluation_record,
        mean_figures,
        parse_methods,
        plan_sources,
        read_boxes,
        read_pictures,
        write_curves,
    )
    from live_gradcam.files import check_output

    session.check()
    check_json_path(json_path, overwrite=overwrite)
    if output is not None:
        check_plot_path(output)
        check_output(output, overwrite=overwrite)
    names = parse_methods(methods) if methods is not None else (session.method,)
    wanted = parse_levels(levels)
    files = plan_sources(sources, wanted)
    object_boxes = read_boxes(boxes, files) if boxes else None
    started = start_session(replace(session, method=names[0], methods=names))
    evaluations: list[Evaluation] = []
    failed = False
    with terminal.status("making the head random" if random_head else "evaluating") as status:
        evaluator = Evaluator(started, names, steps=steps, boxes=object_boxes, random_head=random_head)
        for file in files:
            try:
                for picture in read_pictures(file, every, wanted):
                    evaluations.append(
                        evaluator.evaluate(picture, on_progress=lambda told: status.update(escape(told)))
                    )
            except LiveGradcamError as error:
                complain(str(error))
                failed = True
    if evaluations:
        figures = mean_figures(evaluations)
        pictures = "1 picture" if len(evaluations) == 1 else f"{len(evaluations)} pictures"
        title = f"{started.model} · {started.layer} · {pictures} · {steps} steps"
        if str(json_path) != "-":
            _print_figures(figures, title)
        if json_path is not None:
            write_json(evaluation_record(evaluations, started, steps=steps), json_path)
        if output is not None:
            write_curves(output, figures, title)
    if failed:
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
        "\n↓ the lower, ↑ the higher the better; ρ: rank correlation with the map of the network with a random head, "
        "0 where the map depends on it; -: not measured"
    )
