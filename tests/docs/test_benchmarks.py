"""The scripts in benchmarks/ are run by hand; what they import of this package is there."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.relative_to(BENCHMARKS).as_posix() for path in BENCHMARKS.rglob("*.py"))


def imports(script: Path) -> list[tuple[str, str]]:
    """(module, name) of everything that a script imports of this package, also inside of functions."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(script.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "live_gradcam"
        for alias in node.names
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_a_script_imports_is_there(script: str) -> None:
    missing = [
        f"{module}.{name}"
        for module, name in imports(BENCHMARKS / script)
        if not (find_spec(module) and (hasattr(import_module(module), name) or find_spec(f"{module}.{name}")))
    ]
    assert missing == []
