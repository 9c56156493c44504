"""`live-gradcam models` and `live-gradcam layers`."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.table import Table

from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli.command import command
from live_gradcam.cli.flags import TuneFlag, model_flags
from live_gradcam.cli.marks import Flags, is_given
from live_gradcam.cli.model_card import print_model
from live_gradcam.cli.terminal import is_debugging, print_table, status
from live_gradcam.networks.catalog import DEFAULT_MODEL, known_models


@command
def models(
    context: typer.Context,
    options: Annotated[SessionOptions, Flags(model_flags, "Network")],
    explain_lowering: Annotated[
        bool, typer.Option("--explain-lowering", help="Show how each layer of the model -m is rewritten.")
    ] = False,
    tune: TuneFlag = "auto",
) -> None:
    """List the networks that come by name. With -m, show what is known of a model, or how it is rewritten."""
    if explain_lowering:
        _print_lowering(replace(options, tune=tune))
        return
    if is_given(context, "model"):
        print_model(options)
        return
    table = Table("name", "input", "preprocessing", "weights", box=None, pad_edge=False)
    for entry in known_models().values():
        default = " (default)" if entry.name == DEFAULT_MODEL else ""
        table.add_row(entry.name + default, f"{entry.input_size}×{entry.input_size}", entry.preprocessing, entry.origin)
    print_table(table)
    print("\nFor any other Keras classifier: -m FILE.keras (or .h5), with --labels FILE and --preprocessing NAME.")


def _print_lowering(options: SessionOptions) -> None:
    from live_gradcam.attribution.session import explain_lowering

    with status(f"rewriting {options.model}"):
        rows = explain_lowering(options, let_tensorflow_talk=is_debugging())
    table = Table("layer", "type", "input shape", "rewritten as", "timed, ms", box=None, pad_edge=False)
    for row in rows:
        timed = ", ".join(f"{form} {time_ms:.2f}" for form, time_ms in row.milliseconds.items())
        table.add_row(row.name, row.kind, " × ".join(map(str, row.shape)), row.became or "-", timed)
    print_table(table)
    rewritten = sum(bool(row.became) for row in rows)
    print(f"\n{rewritten} of {len(rows)} layers rewritten. -: the layer stays as it is")


@command
def layers(options: Annotated[SessionOptions, Flags(model_flags, "Network")]) -> None:
    """List a model's layers in the order in which they run. * marks the default target layer."""
    from live_gradcam.attribution.session import list_layers

    with status(f"loading {options.model}"):
        rows = list_layers(options, let_tensorflow_talk=is_debugging())
    table = Table("", "name", "type", "output shape", box=None, pad_edge=False)
    for row in rows:
        mark = "*" if row.is_default else "" if row.is_candidate else "-"
        table.add_row(mark, row.name, row.kind, " × ".join(map(str, row.shape)))
    print_table(table)
    print(
        "\n* the default target layer\n"
        "- cannot be a target layer: its output is not a feature map that leads to the prediction"
    )
