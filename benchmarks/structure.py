"""How large the parts of a package are: its longest files, classes and functions, and the most parameters.

    python benchmarks/structure.py                       # of this checkout
    python benchmarks/structure.py ../other/live_gradcam # of another one, for before and after

The flags of commands, which are parameters because Typer reads them so, are listed apart.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SHOWN = 5


def definitions(package: Path) -> Iterator[tuple[Path, ast.ClassDef | ast.FunctionDef]]:
    """Every class and function of a package, with its file."""
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                yield file, node


def parameters(function: ast.FunctionDef) -> int:
    """How many parameters a function has, without `self` and `cls`."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in named)


def lines(node: ast.ClassDef | ast.FunctionDef) -> int:
    """How many lines a definition has, with its docstring."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def table(title: str, rows: list[tuple[int, str]]) -> None:
    """Print the largest of some things."""
    print(title)
    for number, name in sorted(rows, reverse=True)[:SHOWN]:
        print(f"  {number:5}  {name}")


def main(package: Path) -> None:
    """Print the tables of a package."""
    files = [
        (len(file.read_text(encoding="utf-8").splitlines()), str(file.relative_to(package)))
        for file in package.rglob("*.py")
    ]
    named = [(node, f"{file.relative_to(package)}: {node.name}") for file, node in definitions(package)]
    functions = [(node, name) for node, name in named if isinstance(node, ast.FunctionDef)]
    commands = [(node, name) for node, name in functions if name.startswith("cli")]
    others = [(node, name) for node, name in functions if not name.startswith("cli")]
    print(f"{len(files)} files, {sum(number for number, _ in files)} lines")
    table("lines of a file", files)
    table("lines of a class", [(lines(node), name) for node, name in named if isinstance(node, ast.ClassDef)])
    table("lines of a function", [(lines(node), name) for node, name in functions])
    table("parameters of a function", [(parameters(node), name) for node, name in others])
    table("flags of a command", [(parameters(node), name) for node, name in commands])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "live_gradcam")
