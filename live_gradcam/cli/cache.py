"""`live-gradcam cache`."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from live_gradcam.cli.command import command
from live_gradcam.cli.flags import JsonPath, Overwrite
from live_gradcam.cli.terminal import check_json_path, is_stdout, print_table, write_json

_MEBIBYTE = 2**20


@command
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove them. The next start compiles again.")] = False,
    json_path: JsonPath = None,
    overwrite: Overwrite = False,
) -> None:
    """List the compiled programs that are kept for the next start, and how large they are."""
    from live_gradcam.caching import DAMAGED, cache_contents, clear_cache

    check_json_path(json_path, overwrite=overwrite)
    contents = cache_contents()
    if json_path is not None:
        write_json(contents.to_json(), json_path)
    if not is_stdout(json_path):
        table = Table("network", "engine", "files", "MiB", box=None, pad_edge=False)
        for entry in contents.entries:
            engine = entry.engine or ("unknown" if entry.name == DAMAGED else "all engines")
            table.add_row(escape(entry.name), engine, str(entry.files), _in_mebibytes(entry.size))
        if contents.entries:
            print_table(table)
        print(f"{contents.folder}: {_in_mebibytes(contents.size)} MiB of programs")
        most = (f"{_in_mebibytes(size)} MiB" for size in (contents.most_of_networks, contents.most_of_xla))
        print("At most {} of networks and {} of XLA are kept: what was used last.".format(*most))
    if clear:
        removed = clear_cache()
        if not is_stdout(json_path):
            print(f"removed {_in_mebibytes(removed)} MiB")


def _in_mebibytes(size: int) -> str:
    return f"{size / _MEBIBYTE:.1f}"
