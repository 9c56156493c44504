"""Recording while frames come: what the encoder cannot take is counted, and what a full disk cuts short is kept."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_files import numbered

from live_gradcam.errors import OutputError
from live_gradcam.files import claimed
from live_gradcam.live_loop.recording import Recorder
from live_gradcam.sources.reader import VideoReader


def recorded(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader.frames()]


def test_what_the_encoder_has_no_time_for_is_left_out_and_counted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    with Recorder(wait=False) as recorder:
        recorder.start(tmp_path / "x.mp4")
        for index in range(40):
            recorder.write(noise, Fraction(index, 30))
    assert recorder.left_out > 0
    assert len(recorded(tmp_path / "x.mp4")) + recorder.left_out == 40


def test_nothing_is_left_out_where_the_giver_waits(tmp_path: Path) -> None:
    with Recorder(wait=True) as recorder:
        recorder.start(tmp_path / "x.mp4")
        for index in range(40):
            recorder.write(numbered(index), Fraction(index, 30))
        assert recorder.stop() == tmp_path / "x.mp4"
        assert not recorder.is_on
        recorder.write(numbered(0), Fraction(2))  # off: it goes nowhere
    assert recorder.files == [tmp_path / "x.mp4"]
    assert len(recorded(tmp_path / "x.mp4")) == 40


def test_a_recording_without_a_picture_is_no_file(tmp_path: Path) -> None:
    with Recorder(wait=True) as recorder:
        recorder.start(tmp_path / "x.mp4")
        assert recorder.stop() is None
    assert list(tmp_path.iterdir()) == []


def test_two_recordings_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    with Recorder(wait=True) as recorder:
        with claimed(path), pytest.raises(OutputError, match=f"^{path} is being written by another process: "):
            recorder.start(path)
        assert not recorder.is_on
        recorder.start(path)
        recorder.write(numbered(0), Fraction(0))
        with Recorder(wait=True) as other, pytest.raises(OutputError, match="is being written by another process"):
            other.start(path)
        recorder.stop()
        with claimed(path):  # once it is finished, nobody is kept from it
            pass
    assert recorder.files == [path]


def test_what_an_earlier_recording_left_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.mp4"
    for earlier, name in (("first", "x-unfinished.mp4"), ("second", "x-unfinished-2.mp4")):
        (tmp_path / "x.mp4.part").write_text(earlier)
        with Recorder(wait=True) as recorder:
            recorder.start(path)
            recorder.write(numbered(0), Fraction(0))
        assert (tmp_path / name).read_text() == earlier
        assert caplog.messages[-1] == f"an earlier recording of {path} was cut short: it is kept as {tmp_path / name}"
    (tmp_path / "x.mp4.part").touch()
    with Recorder(wait=True) as recorder:
        recorder.start(path)
    assert len(caplog.messages) == 2
    assert len(recorded(path)) == 1


def test_no_rest_is_named_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    recorder = Recorder(wait=True)
    recorder.start(path)
    for index in range(40):
        recorder.write(numbered(index), Fraction(index, 30))
    (tmp_path / "x.mp4.part").unlink()
    with pytest.raises(OutputError, match=f"^cannot write {path}: No such file or directory$"):
        recorder.stop()


_FILL_THE_DISK = """
import resource, signal, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from live_gradcam.errors import OutputError
from live_gradcam.live_loop.recording import Recorder

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
generator = np.random.default_rng(0)
try:
    with Recorder(wait=True) as recorder:
        recorder.start(Path(sys.argv[1]))
        for index in range(200):
            recorder.write(generator.integers(0, 256, (240, 320, 3), np.uint8), Fraction(index, 30))
except OutputError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_told_and_what_was_recorded_until_then_plays(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    run = subprocess.run(
        [sys.executable, "-c", _FILL_THE_DISK, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    part = path.with_name("x.mp4.part")
    assert run.stdout.startswith(f"cannot write {path}: ")
    assert run.stdout.endswith(f"; what was recorded until then is in {part}\n")
    assert not path.exists()
    assert len(recorded(part)) > 20
