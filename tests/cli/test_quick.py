"""Values that are taken as they are, are what Typer makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperCommand
from typer.main import get_command

from live_gradcam.cli.quick import QuickCommand


def values(kind: type[TyperCommand], arguments: list[str]) -> dict[str, Any]:
    """What a function is called with, by a kind of command."""
    called: list[dict[str, Any]] = []
    app = typer.Typer(add_completion=False)

    @app.command(cls=kind)
    def run(
        pictures: list[Path],
        name: Annotated[str, typer.Option(envvar="NAME_OF_A_TEST")] = "cat",
        other: Annotated[str | None, typer.Option()] = None,
        folder: Annotated[Path, typer.Option()] = Path(),
        output: Annotated[Path | None, typer.Option()] = None,
        labels: Annotated[list[str] | None, typer.Option()] = None,
        count: Annotated[int, typer.Option(min=1)] = 3,
        seconds: Annotated[float, typer.Option()] = 0.5,
        is_loud: Annotated[bool, typer.Option("--loud/--quiet")] = False,
        mirror: Annotated[bool | None, typer.Option("--mirror/--no-mirror")] = None,
    ) -> None:
        called.append({name: value for name, value in locals().items() if name != "called"})

    get_command(app).main(arguments, standalone_mode=False)
    return called[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.png"],
        ["a.png", ".", "--name", "", "--other", "dog", "--folder", "x", "--output", "-"],
        ["a.png", "--labels", "a", "--labels", "b", "--count", "7", "--seconds", "2", "--loud", "--no-mirror"],
    ],
)
def test_the_values_are_those_of_typer(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert values(QuickCommand, arguments) == values(TyperCommand, arguments)
    monkeypatch.setenv("NAME_OF_A_TEST", "of the environment")
    assert values(QuickCommand, arguments) == values(TyperCommand, arguments)


@pytest.mark.parametrize("arguments", [[], ["a.png", "--count", "0"], ["a.png", "--seconds", "soon"]])
def test_what_is_wrong_is_refused_as_typer_does(arguments: list[str]) -> None:
    said = []
    for kind in (QuickCommand, TyperCommand):
        with pytest.raises(typer.BadParameter) as refused:
            values(kind, arguments)
        said.append((type(refused.value), str(refused.value)))
    assert said[0] == said[1]
