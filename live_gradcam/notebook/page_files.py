"""The page's own files for a cell: its modules in one text, and its style for a shadow tree."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

from live_gradcam import serving

_FOLDERS = (Path(serving.__file__).parent / "page", Path(__file__).parent / "page")
_IMPORTED = re.compile(r'^import [^;]*?"\./(?P<name>[\w-]+\.js)";$', re.MULTILINE)

#: Puts the modules together again in the browser: each gets an address of its own, under which the others import it.
_LOADER = """\
const MODULES = {modules};
const STYLE = {style};

function load() {{
	const addresses = {{}};
	for (const [name, text] of Object.entries(MODULES)) {{
		const source = text.replace(/"\\.\\/([\\w-]+\\.js)"/g, (_, other) => JSON.stringify(addresses[other]));
		addresses[name] = URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }}));
	}}
	return import(addresses[{entry}]).finally(() => Object.values(addresses).forEach(URL.revokeObjectURL));
}}

let loaded = null;

export default {{
	async render(context) {{
		loaded ??= load();
		return (await loaded).render(context, STYLE);
	}},
}};
"""

#: What a style says of a window and a whole page, and what that is in a cell, whose host is a container of a size.
_IN_CELL = (
    (r"@media \(prefers-color-scheme: dark\) \{\s*:root", "@media all { :host(.dark)"),  # as the notebook's theme is
    (r":root", ":host"),
    (r"color-scheme: light dark;", ""),
    (r"^html[^{\n]*\{[^}]*\}$", ""),
    (r"html:has\(\.clean\), ", ""),
    (r"\b(\d+)dvh\b", r"\1cqh"),
    (r"\b(\d+)vw\b", r"\1cqw"),
)
_SIZES = re.compile(r"@media (\(max-(?:width|height)[^{]*)\{")


@functools.cache
def cell_module() -> str:
    """The module of the widget, with all that it needs."""
    entry = "live_cam.js"
    return _LOADER.format(
        modules=json.dumps(modules_of(entry)), style=json.dumps(cell_style()), entry=json.dumps(entry)
    )


def modules_of(entry: str) -> dict[str, str]:
    """The texts of a module and of all that it imports, by name, each after those that it imports."""
    found: dict[str, str] = {}

    def add(name: str) -> None:
        if name in found:
            return
        text = _text_of(name)
        for imported in _IMPORTED.finditer(text):
            add(imported["name"])
        found[name] = text

    add(entry)
    return found


def cell_style() -> str:
    """The page's style for a shadow tree: nothing in it is about the window, or about the page around the cell."""
    style = _text_of("style.css")
    for pattern, text in _IN_CELL:
        style = re.sub(pattern, text, style, flags=re.MULTILINE)
    return _SIZES.sub(_container, style) + _text_of("cell.css")


def _container(found: re.Match[str]) -> str:
    """What asks for the size of the window asks for that of the cell."""
    ways = [way.strip() for way in found[1].split(",")]
    if len(ways) == 1:
        return f"@container {ways[0]} {{"
    return f"@container {' or '.join(f'({way})' for way in ways)} {{"


def _text_of(name: str) -> str:
    path = next(folder / name for folder in _FOLDERS if (folder / name).is_file())
    return path.read_text(encoding="utf-8")
