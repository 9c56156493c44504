"""The notebook of a live camera runs from its first cell to its last where no browser shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install ipykernel")

import nbformat
from nbclient import NotebookClient
from notebook_lab import notebook_environment

_NOTEBOOK = Path(__file__).parents[2] / "examples" / "2_a_live_camera.ipynb"


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(_NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert all((cell.outputs, cell.execution_count) == ([], None) for cell in notebook.cells if "outputs" in cell)


@pytest.mark.slow
def test_its_cells_run(tmp_path):
    notebook = nbformat.read(_NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=180).execute(env=notebook_environment(tmp_path), cwd=str(tmp_path))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain") for output in outputs]
    texts = [text.strip() for text in texts if text]
    assert texts[:2] == ["LiveCam(efficientnet-lite0, not connected)"] * 2  # shown, and printed
    assert "'Click on Snapshot first.'" in texts
    assert texts[-1] == "LiveCam(never_taught, not connected)"
    views = [output.data for output in outputs if "data" in output]
    assert sum("application/vnd.jupyter.widget-view+json" in view for view in views) == 2
