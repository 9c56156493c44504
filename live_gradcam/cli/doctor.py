"""`live-gradcam doctor`."""

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite
from live_gradcam.cli.terminal import FAILED, check_json_path, is_stdout, print_table, status, write_json

_COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}


@command
def doctor(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a table to paste into an issue. A pipe or a file gets it too.")
    ] = False,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Show what this machine has, what is missing, and what would help. Ends with 1 if something needed is missing."""
    from live_gradcam.doctor import diagnose

    check_json_path(json_path, overwrite=overwrite)
    with status("looking at this machine"):
        diagnosis = diagnose()
    if json_path is not None:
        write_json(diagnosis.to_json(), json_path)
    if is_stdout(json_path):
        pass  # on which nothing else is printed
    elif markdown or not sys.stdout.isatty():
        print(diagnosis.to_markdown())
    else:
        table = Table("", "", "", "what to do", box=None, pad_edge=False)
        topic = ""
        for finding in diagnosis.findings:
            colour = _COLOURS[finding.state]
            shown = "" if finding.topic == topic else finding.topic
            topic = finding.topic
            state = "" if finding.state == "ok" else f"{finding.state}: "
            value = f"[{colour}]●[/] {escape(finding.value)}"
            table.add_row(f"[bold]{shown}[/]", escape(finding.name), value, escape(state + finding.remedy))
        print_table(table)
    if not diagnosis.is_sound:
        raise typer.Exit(FAILED)
