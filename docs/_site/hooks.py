"""What the site has besides the pages of docs/: the files at the repository's root, the examples, and the public names.

The pages are written for GitHub, where links lead to files. Here each file that a page links to becomes a page of the
site, and the links lead there.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

import live_gradcam

_ROOT = Path(__file__).parents[2]
_START = "README.md"
#: A block of code, some code in a line, or the end of a link with what it leads to.
_CODE_OR_LINK = re.compile(r"^```.*?^```|`[^`\n]*`|(?<=\]\()(?P<target>[^)\s]+)(?=\))", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z]+:|#")
_LANGUAGES = {".py": "python", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside of docs/ and is linked to, and the page of public names."""
    written = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    waiting, seen = [_START, *written], {_START, *written}
    while waiting:
        path = waiting.pop()
        if path not in written:
            inclusion = InclusionLevel.INCLUDED if path.endswith(".md") else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, _place(path), content=_text(path), inclusion=inclusion))
        if path.endswith(".md"):
            found = {target for target in _targets(path) if not target.startswith("docs/")} - seen
            seen |= found
            waiting += sorted(found)
    files.append(File.generated(config, "api.md", content=_public_names()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let each link lead to the page of its file."""
    place = page.file.src_uri
    path = place if page.file.generated_by else f"docs/{place}"

    def on_the_site(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None or _ELSEWHERE.match(target):
            return match[0]
        file, hash_sign, anchor = target.partition("#")
        return posixpath.relpath(_place(_resolved(path, file)), posixpath.dirname(place) or ".") + hash_sign + anchor

    return _CODE_OR_LINK.sub(on_the_site, markdown)


def _targets(path: str) -> Iterator[str]:
    """The files and folders of the repository that a page links to."""
    for match in _CODE_OR_LINK.finditer((_ROOT / path).read_text("utf-8")):
        target = match["target"]
        if target is not None and not _ELSEWHERE.match(target):
            yield _resolved(path, target.partition("#")[0])


def _resolved(path: str, target: str) -> str:
    """The path in the repository of what a page links to; of a folder that has a page, this page."""
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    readme = posixpath.join(resolved, "README.md")
    return readme if (_ROOT / readme).exists() else resolved


def _place(path: str) -> str:
    """Where a file of the repository is on the site, as if all of it were in docs/."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.endswith(".md") else f"{path}.md"


def _text(path: str) -> str:
    """The page of a file or folder outside of docs/."""
    here = _ROOT / path
    if path.endswith(".md"):
        return here.read_text("utf-8")
    if path.endswith(".ipynb"):
        return _notebook(here.read_text("utf-8"))
    sources = sorted(file for file in here.iterdir() if file.is_file()) if here.is_dir() else [here]
    blocks = [
        f'```{_LANGUAGES.get(file.suffix, "text")} title="{file.name}"\n{file.read_text("utf-8")}\n```'
        for file in sources
    ]
    return "\n\n".join([f"# {path}", *blocks])


def _notebook(content: str) -> str:
    """The page of a notebook: its texts, and its cells as blocks of Python."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(content)["cells"]]
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)


def _public_names() -> str:
    """The page of all public names, whose texts are their docstrings."""
    groups: dict[str, list[str]] = {"Functions": [], "Options": [], "Classes": [], "Errors": []}
    for name in live_gradcam.__all__:
        if name.islower() and not name.startswith("_"):
            groups["Functions"].append(name)
        elif name.endswith(("Options", "Error")):
            groups["Options" if name.endswith("Options") else "Errors"].append(name)
        elif not name.startswith("_"):
            groups["Classes"].append(name)
    lines = [
        "# Python names",
        "",
        "All names come from `live_gradcam`. How they go together is on the page [In Python](docs/python.md).",
    ]
    for group, names in groups.items():
        lines += ["", f"## {group}", ""]
        lines += [f"::: live_gradcam.{name}\n" for name in names]
    return "\n".join(lines)
