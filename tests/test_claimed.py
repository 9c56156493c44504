"""Of two processes that write the same file, one does, and the other one says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from live_gradcam import AnnotateOptions, SessionOptions, export
from live_gradcam.annotating.batch import Batch, Planned
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.provenance import Provenance, made_with
from live_gradcam.annotating.run import annotate_recording
from live_gradcam.errors import OutputError
from live_gradcam.files import cache_folder, claimed
from live_gradcam.flow.stopping import StopRequest
from tests.command_line import run
from tests.fake_engine import FakeEngine
from tests.video_files import make_video, numbered

OPTIONS = AnnotateOptions()
BUSY = "is being written by another process: wait until it is done, or give another name"


def test_a_file_is_claimed_by_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with claimed(Path("a.mp4")):
        with claimed(Path("b.mp4")), pytest.raises(OutputError, match=f"^{tmp_path / 'a.mp4'} {BUSY}$"):
            claimed(tmp_path / "a.mp4").__enter__()
        assert len(list((cache_folder() / "writing").iterdir())) == 1
    assert list((cache_folder() / "writing").iterdir()) == []
    with claimed(Path("a.mp4")):
        pass


def test_who_is_killed_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom live_gradcam.files import claimed\n"
        "with claimed(Path(sys.argv[1])):\n print('claimed', flush=True)\n time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "a.mp4"], stdout=subprocess.PIPE, env={**os.environ}, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "claimed\n"
    with pytest.raises(OutputError, match=BUSY):
        claimed(tmp_path / "a.mp4").__enter__()
    other.send_signal(signal.SIGKILL)
    other.wait()
    with claimed(tmp_path / "a.mp4"):
        pass


def test_without_a_cache_that_can_be_written_nobody_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with claimed(tmp_path / "a.mp4"), claimed(tmp_path / "a.mp4"):
        pass


@pytest.mark.slow
def test_no_command_writes_what_another_one_writes(tmp_path: Path, quick_network: list[str]) -> None:
    video, model = tmp_path / "v.mp4", quick_network[1]
    make_video(video, [numbered(0)] * 3)
    for output in (tmp_path / "o.mp4", tmp_path / "m.keras", tmp_path / "quick"):
        with claimed(output):
            if output.suffix == ".mp4":
                finished = run("annotate", video, "-o", output, *quick_network)
            elif output.suffix == ".keras":
                finished = run("fit", tmp_path, "-o", output)
            else:
                with pytest.raises(OutputError, match=f"{output} {BUSY}"):
                    export(model, tmp_path, formats=["saved-model"])
                continue
        assert (finished.code, finished.err) == (1, f"live-gradcam: {output} {BUSY}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v.mp4"]


def test_what_another_process_has_written_meanwhile_stays(tmp_path: Path) -> None:
    video, output = tmp_path / "v.mp4", tmp_path / "o.mp4"
    make_video(video, [numbered(0)] * 3)
    planned = Planned.of(AnnotateJob(video, output, {}), Provenance.of(video, made_with(SessionOptions(), OPTIONS)))
    output.write_text("theirs")
    with pytest.raises(OutputError, match=f"{output} was written by another process meanwhile: give another name"):
        annotate_recording(planned, FakeEngine(), Batch([planned], OPTIONS, StopRequest()))  # type: ignore[arg-type]
    assert output.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.mp4", "v.mp4"]
