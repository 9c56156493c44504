"""JupyterLab for the tests: a server with a notebook, and what a person does in the browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Page

_ROOT = Path(__file__).parents[2]
SECONDS = 180.0
_TOKEN = "the-token-of-the-notebook-tests"
_CELLS = "jupyterapp.shell.currentWidget.content.widgets"


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


def notebook_environment(folder: Path) -> dict[str, str]:
    """What Jupyter and its kernels find: this Python, this checkout, and nothing of the user's own settings."""
    own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **own, "IPYTHONDIR": str(folder / "ipython"), "PATH": path, "PYTHONPATH": str(_ROOT)}


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """JupyterLab in a folder. Gives the address of its notebooks, without a name."""
    labconfig = folder / "CONFIG" / "labconfig"
    labconfig.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # which asks about news
    (labconfig / "page_config.json").write_text(json.dumps(quiet))
    arguments = [
        "--no-browser",
        "--expose-app-in-browser",
        "--ServerApp.port=0",
        "--ServerApp.allow_root=True",
        f"--ServerApp.root_dir={folder}",
        f"--IdentityProvider.token={_TOKEN}",
        f"--LabApp.user_settings_dir={folder / 'settings'}",
        f"--LabApp.workspaces_dir={folder / 'workspaces'}",
    ]
    with (folder / "jupyter.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments],
            env=notebook_environment(folder),
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://localhost:{_port(folder, process)}/lab/tree/{{name}}?token={_TOKEN}"
        finally:
            process.terminate()  # which ends its kernels
            process.wait(SECONDS)


def _port(folder: Path, process: subprocess.Popen[Any]) -> int:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for path in (folder / "RUNTIME").glob("jpserver-*.json"):
            try:
                return int(json.loads(path.read_text())["port"])
            except ValueError:  # it is still being written
                pass
        time.sleep(0.05)
    raise AssertionError((folder / "jupyter.log").read_text())


class Lab:
    """A notebook that is open in a browser.

    Args:
        page: of the browser.
        address: of the notebook.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        page.goto(address)
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Wait until the notebook is there, and its kernel has nothing to do."""
        kernel = "globalThis.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
        self.until(f"{kernel}?.status === 'idle' && {kernel}.connectionStatus === 'connected'")

    def until(self, condition: str) -> Any:
        """Wait until JavaScript gives something true, and return that."""
        deadline = time.monotonic() + SECONDS
        while not (value := self.page.evaluate(condition)):
            assert time.monotonic() < deadline, f"it did not happen in time: {condition}: {self._seen()}"
            self.page.wait_for_timeout(50)
        return value

    def _seen(self) -> str:
        """What a person sees, where something goes wrong."""
        return self.page.evaluate("document.body.innerText")

    def command(self, name: str) -> None:
        """Give a command of JupyterLab, and wait for its end."""
        self.page.evaluate(f"jupyterapp.commands.execute({name!r}).then(() => null)")

    def run(self, place: int) -> str:
        """Run a cell, and give the text that it leaves."""
        self.page.evaluate(f"(jupyterapp.shell.currentWidget.content.activeCellIndex = {place}, null)")
        self.command("notebook:run-cell")
        outputs = self.page.evaluate(f"{_CELLS}[{place}].outputArea.model.toJSON()")
        for output in outputs:
            assert output["output_type"] != "error", output["traceback"]
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
        return "".join("".join(text) for text in texts).strip()

    def cam(self, place: int) -> str:
        """JavaScript for the page in a cell."""
        return f"{_CELLS}[{place}].node.querySelector('.live-gradcam-cell')?.liveGradcam"
