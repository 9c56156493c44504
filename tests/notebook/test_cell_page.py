"""The page's files as they go to a cell of a notebook."""

from __future__ import annotations

import re

from live_gradcam.notebook.page_files import cell_module, cell_style, modules_of

_MODULES = modules_of("live_cam.js")
_IMPORTS = re.compile(r'from "\./([\w-]+\.js)"')


def test_each_module_comes_after_those_that_it_imports():
    before: set[str] = set()
    for name, text in _MODULES.items():
        assert set(_IMPORTS.findall(text)) <= before
        before.add(name)
    assert list(_MODULES)[-1] == "live_cam.js"
    assert {"page.js", "viewing.js", "kernel.js", "transport.js"} <= before
    assert not before & {"main.js"}  # which mounts the page by itself


def test_every_import_has_the_form_that_is_found():
    for text in _MODULES.values():
        assert len(re.findall(r"^import ", text, re.MULTILINE)) == len(_IMPORTS.findall(text))
        assert "import(" not in text


def test_the_module_has_the_files_as_text():
    assert "class KernelTransport extends ServerTransport" in cell_module()
    assert cell_module().index('"page.js": ') < cell_module().index('"live_cam.js": ')


def test_the_style_says_nothing_of_the_notebook_around_the_cell():
    style = re.sub(r"/\*.*?\*/", "", cell_style(), flags=re.DOTALL)
    assert not re.search(r":root|\bhtml\b|\bbody\b(?<!\.body)|\dd?v[hw]\b", style)
    medias = set(re.findall(r"@media ([^{]*)\{", style))
    assert medias == {"all ", "(hover: none) ", "(prefers-reduced-motion: reduce) "}


def test_sizes_are_those_of_the_cell():
    style = cell_style()
    assert "@container (max-width: 30rem) and (max-height: 27rem) {" in style
    assert (
        "@container ((max-width: 60rem) and (orientation: portrait)) or "
        "((max-height: 32rem) and (orientation: landscape)) {"
    ) in style
    assert "position: relative; height: 100cqh; overflow: hidden" in style
    assert "height: min(60cqh, 100cqw / var(--aspect, 1.7778))" in style


def test_the_dark_colours_are_those_of_a_dark_notebook():
    dark = re.search(r"@media all \{ :host\(\.dark\) \{\s*--wall: (#\w+)", cell_style())
    assert dark is not None
    assert dark[1] == "#131416"
    assert ":host {\n\t\n\t--wall: #f3f1ec" in cell_style()
