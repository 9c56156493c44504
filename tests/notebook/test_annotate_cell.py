"""A recording that is annotated in a cell: in a notebook that a script runs, and what it shows."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import av
import pytest
from video_files import make_video, numbered

from live_gradcam import Annotate
from live_gradcam.annotating.batch import Progress
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.report import AnnotateSummary, Report, Result
from live_gradcam.drawing.cell_output import CellBar
from live_gradcam.notebook.annotate_cell import _Player, _Progress
from live_gradcam.sources.loss import Loss

_TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"


def _frames(path: Path) -> int:
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


@pytest.mark.slow
def test_in_a_notebook_that_a_script_runs(tmp_path, quick_network):
    pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install ipykernel")
    import nbformat
    from nbclient import NotebookClient
    from notebook_lab import notebook_environment, write_notebook

    class Client(NotebookClient):
        """Interrupts the kernel as soon as frames of the tour are done."""

        is_interrupted = False

        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            if "tour.mp4: " in str(msg["content"]) and " FPS" in str(msg["content"]) and not self.is_interrupted:
                self.is_interrupted = True
                self.interrupting = asyncio.ensure_future(self.km.interrupt_kernel())
            return super().process_message(msg, cell, cell_index)

    make_video(tmp_path / "clip.mp4", [numbered(number) for number in range(12)])
    _, model, _, labels, *_ = quick_network
    options = f"SessionOptions(model={model!r}, labels={labels!r}, fit='stretch', engine='graph', tune='off')"
    cells = [
        f"from live_gradcam import Annotate, SessionOptions\nhow = {options}",
        "job = Annotate('clip.mp4', session=how)\njob",
        "print(job.report.is_complete, job.report.results[0].summary.frames)",
        "Annotate('clip.mp4', session=how)",
        f"tour = Annotate({str(_TOUR)!r}, 'tour.mp4', session=how)\nprint(tour.report.stopped)",
        "Annotate('nothing.mp4', session=how).report",
    ]
    notebook = nbformat.read(write_notebook(tmp_path / "job.ipynb", cells), as_version=4)
    client = Client(notebook, timeout=180, allow_errors=True)
    client.execute(env=notebook_environment(tmp_path), cwd=str(tmp_path))
    shown = [cell.outputs for cell in notebook.cells]

    (player,) = [output for output in shown[1] if output.output_type == "display_data"]  # in the place of the bar
    assert '<video src="clip-gradcam.mp4" controls' in player.data["text/html"]
    assert player.data["text/plain"].startswith("clip-gradcam.mp4: 12 frames, ")
    assert shown[2][0].text == "True 12\n"
    assert _frames(tmp_path / "clip-gradcam.mp4") == 12
    assert "it was done before" in shown[3][-1].data["text/plain"]
    assert '<video src="clip-gradcam.mp4"' in shown[3][-1].data["text/html"]

    assert client.is_interrupted
    assert shown[4][-1].text == "True\n"
    assert 0 < _frames(tmp_path / "tour.mp4") < _frames(_TOUR)  # the file is whole

    error = shown[5][-1]
    assert (error.output_type, error.traceback) == ("error", ["SourceError: there is no file nothing.mp4"])


def _report(path: Path, **changes: Any) -> Report:
    summary = AnnotateSummary(50, 50, 50, 2.0, Loss(0, 0, 0), stopped=False, encoder="libx264", **changes)
    result = Result(AnnotateJob(Path("talk.mp4"), path), summary)
    return Report("0", (result,), {}, 2.0, stopped=False)


def test_a_video_below_the_notebook_is_played_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my talks" / "a & b.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a video")
    html = _Player(_report(path), None)._repr_html_()
    assert '<video src="my%20talks/a%20%26%20b.mp4" controls loop' in html
    assert f"<div>{tmp_path}/my talks/a &amp; b.mp4: 50 frames, 25.0 FPS</div>" in html


def test_one_from_elsewhere_is_put_into_the_notebook(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"a video")
    embedded = f'src="data:video/mp4;base64,{base64.b64encode(b"a video").decode()}"'
    assert embedded in _Player(_report(path), None)._repr_html_()
    assert "<video" not in _Player(_report(path), embed=False)._repr_html_()


@pytest.mark.parametrize(("name", "tag"), [("a.gif", "<img"), ("a.png", "<img"), ("a.avi", "<div")])
def test_what_is_no_video_for_browsers_is_shown_otherwise(name, tag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"bytes")
    html = _Player(_report(Path(name)), None)._repr_html_()
    assert html.strip().startswith(tag)
    assert "<video" not in html


def test_what_there_is_to_know_of_a_recording_is_said():
    text = repr(_Player(_report(Path("a.mp4"), notes=["the sound is <lost>"]), None))
    assert text == "a.mp4: 50 frames, 25.0 FPS\nthe sound is <lost>"
    assert "&lt;lost&gt;" in _Player(_report(Path("a.mp4"), notes=["the sound is <lost>"]), None)._repr_html_()


def test_a_bar_says_how_far_it_is():
    bar = CellBar("<talk>.mp4", "3 frames", 0.25)
    assert repr(bar) == "<talk>.mp4: 25 %, 3 frames"
    assert '&lt;talk&gt;.mp4 <progress value="0.2500"' in bar._repr_html_()
    assert "<progress style" in CellBar("a", "b")._repr_html_()  # which only moves


def test_progress_is_shown_a_few_times_per_second(monkeypatch):
    now = 0.0
    monkeypatch.setattr("live_gradcam.notebook.annotate_cell.time.monotonic", lambda: now)
    seen: list[str] = []

    class Shown:
        def update(self, content: object) -> None:
            seen.append(repr(content))

    progress = _Progress("talk.mp4", Shown())
    for step in range(8):
        now = 0.1 * step
        progress(Progress("annotating", 1, frames=10 * step, seconds=float(step), of_seconds=8.0))
    assert seen == [
        "talk.mp4: 38 %, 30 frames, 100.0 FPS, 1 s to go",
        "talk.mp4: 75 %, 60 frames, 100.0 FPS, 0 s to go",
    ]


def test_nothing_is_done_before_it_is_shown(tmp_path):
    job = Annotate(tmp_path / "nothing.mp4")
    assert repr(job).endswith("nothing.mp4'): not annotated yet")
