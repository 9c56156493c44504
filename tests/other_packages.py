"""Packages of other people that add members to the families, as pip leaves them in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def install(
    folder: Path, package: str, *, groups: Mapping[str, Sequence[str]], modules: Mapping[str, str] | None = None
) -> Path:
    """Install a package, or the same one again with other entry points.

    Args:
        folder: where; it is made if it is not there.
        package: its name.
        groups: its entry points by their groups, each as "NAME = MODULE:OBJECT".
        modules: the text of each of its modules, by name.

    Returns:
        The folder.
    """
    about = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *points)]
    (about / "entry_points.txt").write_text("\n".join([*lines, ""]), "utf-8")
    for name, text in (modules or {}).items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    return folder


def python_path(*folders: Path) -> str:
    """A PYTHONPATH for processes that are to find what is installed in some folders."""
    return os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
