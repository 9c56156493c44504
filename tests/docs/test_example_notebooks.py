"""The notebooks in examples/ run from their first cell to their last, and say what their texts promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from skimage import data
from video_files import make_video

_EXAMPLES = Path(__file__).parents[2] / "examples"
#: What a browser is not needed for.
_NAMES = ("1_the_article", "3_why_a_network_fails", "4_your_own_loop", "5_a_thousand_videos")
#: What makes them quick: the notebooks are under test, and not the network.
_STAND_INS = {
    'fit="stretch"': 'fit="stretch", engine="graph", lowering=False, tune="off"',
    '"local" if find_spec("ray") else 2': "None",  # tests/annotating has workers
    "[:40]": "[:8]",
    "[60:80]": "[60:62]",
    "epochs=30": "epochs=2",
    "frame.index % 50": "frame.index % 2",
}
#: So that no notebook uses a name of the one before. Python's and IPython's own stay.
_FORGET = """
for name in [one for one in globals() if not one.startswith("_") and one not in ("In", "Out", "exit", "quit", "open")]:
    if name != "get_ipython":
        del globals()[name]
"""


@pytest.mark.parametrize("name", _NAMES)
def test_a_notebook_is_kept_without_outputs(name: str) -> None:
    """They would make the repository large, and a change of a cell hard to read."""
    notebook = nbformat.read(_EXAMPLES / f"{name}.ipynb", 4)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


def executed(folder: Path, network: str) -> dict[str, list[Any]]:
    """The cells of each notebook with their outputs. One kernel runs all of them: it imports TensorFlow once."""
    (folder / "videos").mkdir()
    pictures = [np.ascontiguousarray(one[:120, :160, ::-1]) for one in (data.chelsea(), data.coffee())]
    make_video(folder / "videos" / "tour.mp4", pictures * 4)
    (folder / "examples").mkdir()
    used, cells, ends = set[str](), [], []
    for name in _NAMES:
        for cell in nbformat.read(_EXAMPLES / f"{name}.ipynb", 4).cells:
            for word, stand_in in {'"efficientnet-lite0"': repr(network), **_STAND_INS}.items():
                if cell.cell_type == "code" and word in cell.source:
                    used.add(word)
                    cell.source = cell.source.replace(word, stand_in)
            cells.append(cell)
        cells.append(nbformat.v4.new_code_cell(_FORGET))
        ends.append(len(cells))
    assert used == {'"efficientnet-lite0"', *_STAND_INS}  # none stands for what is not there
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    together = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(together, timeout=300, resources={"metadata": {"path": str(folder / "examples")}}).execute()
    starts = [0, *ends[:-1]]
    return {name: together.cells[start:end] for name, start, end in zip(_NAMES, starts, ends, strict=True)}


def outputs(cells: list[Any], kind: str) -> list[str]:
    """What the cells show of a kind, in order."""
    shown = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    if kind == "printed":
        return [output.text for output in shown if output.output_type == "stream" and output.name == "stdout"]
    return [output.data[kind] for output in shown if kind in output.get("data", {})]


def check_that_the_article_gives_the_map_of_the_tape(cells: list[Any]) -> None:
    text = "".join(outputs(cells, "printed"))
    (difference,) = re.findall(r"largest difference of the maps: (\S+)", text)
    assert float(difference) < 1e-5
    (of_tape, of_ours) = re.findall(r"largest number before scaling: (\S+) of the tape, (\S+) of ours", text)[0]
    assert float(of_ours) == pytest.approx(float(of_tape), abs=2e-4)
    assert len(outputs(cells, "image/png")) == 3  # two figures, and the explained picture
    assert outputs(cells, "text/html")[-1].count("<figure") == 3


def check_that_the_shortcut_is_looked_for(cells: list[Any]) -> None:
    text = "".join(outputs(cells, "printed"))
    assert len(re.findall(r"^cross-validation: [\d.]+% right$", text, re.MULTILINE)) == 2
    said = re.findall(r"^(\w+) +on (\w+) *: +\d+% called faces, +\d+% of the map on the thing$", text, re.MULTILINE)
    assert said == 2 * [(thing, where) for thing in ("faces", "others") for where in ("grass", "bricks")]
    assert [html.count("<figure") for html in outputs(cells, "text/html")] == [3, 3, 2, 3]


def check_that_the_own_method_has_its_formulas_map(cells: list[Any]) -> None:
    (difference,) = re.findall(r"largest difference: (\S+)", "".join(outputs(cells, "printed")))
    assert float(difference) < 1e-4
    assert any("peak-cam  " in text for text in outputs(cells, "text/plain"))
    assert "peak-cam" in outputs(cells, "text/html")[-1]


def check_that_the_recordings_are_annotated_once(cells: list[Any]) -> None:
    first, again = (text for text in outputs(cells, "text/plain") if text.startswith("Report of 5 recordings"))
    assert [first.count(word) for word in (": done, 10 frames", ": failed, ")] == [4, 1]
    assert [again.count(word) for word in (": skipped", ": failed, ")] == [4, 1]
    assert re.search(r"damaged\.mp4: .*not", "".join(outputs(cells, "printed")))
    assert len(outputs(cells, "image/jpeg")) == 1  # a frame of an annotated video


@pytest.mark.slow
def test_the_notebooks_run_and_show_what_their_texts_promise(quick_network: list[str], tmp_path: Path) -> None:
    """One test, so that workers which share out the tests do not run all notebooks once each."""
    cells = executed(tmp_path, quick_network[1])
    check_that_the_article_gives_the_map_of_the_tape(cells["1_the_article"])
    check_that_the_shortcut_is_looked_for(cells["3_why_a_network_fails"])
    check_that_the_own_method_has_its_formulas_map(cells["4_your_own_loop"])
    check_that_the_recordings_are_annotated_once(cells["5_a_thousand_videos"])
