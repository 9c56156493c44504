"""What is told while recordings are annotated, and wrong arguments, which are told before anything begins."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from command_line import run_program
from rich.console import Console
from video_files import make_video, numbered
from worker_of_fake_engine import FakeWorker

from live_gradcam.annotating.batch import Planned, Progress
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import Provenance, made_with
from live_gradcam.annotating.report import Result
from live_gradcam.annotating.segmented import SegmentedRecording
from live_gradcam.annotating.segments import cut
from live_gradcam.annotating.tasks import Explain
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli import annotate_progress
from live_gradcam.cli.annotate_progress import AnnotateProgress
from live_gradcam.errors import SourceError

A, B = (AnnotateJob(Path(name), Path(name).with_suffix(".out")) for name in ("a [1].mp4", "b.mp4"))


class Work:
    """Notifies of the progress of so many recordings, whose network has just started."""

    def __init__(self, shown: AnnotateProgress, recordings: int) -> None:
        self._shown, self._recordings = shown, recordings
        shown(Progress("starting", recordings))
        shown(Progress("started", recordings))

    def update(self, job: AnnotateJob, frames: int, seconds: float, of_seconds: float | None) -> None:
        self._shown(Progress("annotating", self._recordings, job, frames, seconds, of_seconds))

    def done(self, job: AnnotateJob) -> None:
        self._shown(Progress("over", self._recordings, job, result=Result(job, error=SourceError("of no matter"))))


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(annotate_progress, "time", clock)
    return clock


def test_workers_tell_how_far_they_are_in_seconds_of_the_recording_and_not_in_frames(tmp_path: Path) -> None:
    ticks = [*range(0, 2000, 40), *range(2000, 52_000, 1000)]  # 2 s with 25 frames per second, and 50 s with one
    images = [numbered(index, width=48) for index in range(len(ticks))]
    codec_options = {"g": "10", "sc_threshold": "0"}
    source = make_video(
        tmp_path / "in.mkv", images, ticks=ticks, time_base=Fraction(1, 1000), codec_options=codec_options
    )
    session, options = SessionOptions(), AnnotateOptions(layout="raw")
    planned = Planned.of(AnnotateJob(source, tmp_path / "out.mp4"), Provenance.of(source, made_with(session, options)))
    segments = cut(planned.job, options, 2)
    assert [(segment.start, segment.frames) for segment in segments] == [
        *((None, 60), (12, 10), (22, 10), (32, 10)),
        (42, None),
    ]
    recording, worker = SegmentedRecording(planned, options, segments), FakeWorker(session, options)
    lengths = {None: 12, 12: 10, 22: 10, 32: 10, 42: 9.04}  # seconds, by the start: the last frame counts as 1/25 s
    done, frames = 0.0, 0
    try:
        while (task := recording.next_task()) is not None:
            recording.take(task, task.run(worker))
            done += lengths[task.segment.start] / 2
            if isinstance(task, Explain):
                frames += 60 if task.segment.start is None else 10
            assert recording.progress == (frames, pytest.approx(done), pytest.approx(51.04))
    finally:
        recording.discard()


def test_a_line_every_ten_seconds_where_there_is_no_terminal(clock: Clock) -> None:
    told = io.StringIO()
    with AnnotateProgress(Console(file=told, width=40), "starting x") as shown:
        work = Work(shown, 2)
        for second in range(41):
            clock.now = 100 + second + 0.5
            work.update(A, 25 * second, second / 2, 40.0)
        work.done(A)
        clock.now = 151.0
        work.update(B, 100, 3.0, None)
    assert told.getvalue().splitlines() == [
        "live-gradcam: a [1].mp4: 12 %, 250 frames, 23.8 FPS, 74 s to go, recording 1 of 2",
        "live-gradcam: a [1].mp4: 25 %, 500 frames, 24.4 FPS, 62 s to go, recording 1 of 2",
        "live-gradcam: a [1].mp4: 38 %, 750 frames, 24.6 FPS, 51 s to go, recording 1 of 2",
        "live-gradcam: a [1].mp4: 50 %, 1000 frames, 24.7 FPS, 40 s to go, recording 1 of 2",
        "live-gradcam: b.mp4: 100 frames, 9.5 FPS, recording 2 of 2",  # since the first was done
    ]


def test_nothing_is_told_of_what_is_quick(clock: Clock) -> None:
    told = io.StringIO()
    with AnnotateProgress(Console(file=told), "starting x") as shown:
        clock.now += 30  # the network starts
        work = Work(shown, 1)
        work.update(A, 1, 0.04, 1.0)
        clock.now += 9
        work.update(A, 25, 1.0, 1.0)
    assert told.getvalue() == ""


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def test_bars_on_a_terminal_go_by_the_recordings_time(clock: Clock) -> None:
    console = terminal()
    with AnnotateProgress(console, "starting x") as shown:
        work = Work(shown, 1)
        clock.now = 102
        work.update(A, 60, 15.0, 60.0)
        (task,) = shown._bars.tasks
        assert (task.description, task.percentage) == ("a [1].mp4", 25)
        assert task.fields["note"] == "60 frames  30.0 FPS"
        work.update(A, 61, 70.0, 60.0)  # longer than its header says
        assert task.percentage == 100
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "60 frames" in text or "61 frames" in text
    assert "100%" in text


def test_the_batch_has_a_bar_of_its_own(clock: Clock) -> None:
    with AnnotateProgress(terminal(), "starting x") as shown:
        work = Work(shown, 4)
        work.update(A, 1, 30.0, 60.0)
        total, _ = shown._bars.tasks
        assert (total.description, total.total, total.completed) == ("all", 4, 0.5)
        work.update(B, 1, 6.0, 60.0)  # at the same time, in another worker
        assert total.completed == pytest.approx(0.6)
        assert total.fields["note"] == "2 of 4 recordings"
        work.update(A, 1, 33.0, 60.0)
        assert total.completed == pytest.approx(0.65)
        work.done(A)
        assert total.completed == pytest.approx(1.1)
        work.done(AnnotateJob(Path("c.mp4"), Path("c.out")))  # of which nothing became
        work.done(B)
        assert total.completed == 3


def test_what_is_printed_into_a_file_gets_there_while_there_are_bars(capsys: pytest.CaptureFixture[str]) -> None:
    console = terminal()
    with AnnotateProgress(console, "starting x") as shown:
        work = Work(shown, 1)
        work.update(A, 1, 30.0, 60.0)
        print("a result")
    assert capsys.readouterr().out == "a result\n"
    assert "a result" not in console.file.getvalue()  # type: ignore[attr-defined]


# --- wrong arguments ----------------------------------------------------------------------------------------------

WRONG: list[tuple[list[Any], str]] = [
    (["--start", "soon"], "--start 'soon' is not a time: give seconds, m:ss or h:mm:ss"),
    (["--start", "-1"], "--start '-1' is not a time"),
    (["--start", "1:75"], "--start '1:75' is not a time: give seconds, m:ss or h:mm:ss"),
    (["--end", "1:60:00"], "--end '1:60:00' is not a time"),
    (["--start", "1:2:3:4"], "--start '1:2:3:4' is not a time"),
    (["--end", "1/0"], "--end '1/0' is not a time"),
    (["--end", "nan"], "--end 'nan' is not a time"),
    (["--end", "0"], "--end is 0 s: give a time after 0"),
    (["--start", "1:00", "--end", "59.5"], "--end is 59.5 s, which is not after --start 60 s"),
    (["--output-fps", "0"], "--output-fps '0' is not a frame rate"),
    (["--output-fps", "1001"], "--output-fps '1001' is not a frame rate"),
    (["--output-fps", "inf"], "--output-fps 'inf' is not a frame rate"),
    (["--picture-fps", "x"], "--picture-fps 'x' is not a frame rate"),
    (["--size", "big"], "the size 'big' is not WIDTHxHEIGHT"),
    (["--size", "x"], "the size 'x' is not WIDTHxHEIGHT"),
    (["--size", "8x8"], "the size '8x8' is not possible: each side must have 16 to 16384 pixels"),
    (["--size", "1280"], "the size '1280' is not WIDTHxHEIGHT"),
    (["--crf", "52"], "--crf is 52: for h264 it is from 0 (best) to 51 (smallest)"),
    (["--codec", "av1", "--crf", "64"], "--crf is 64: for av1 it is from 0 (best) to 63 (smallest)"),
    (["--codec", "gif", "--crf", "3"], "gif has no --crf: leave it out"),
    (["--preset", "fastest"], "h264 has no preset 'fastest': use one of ultrafast, "),
    (["--codec", "h265"], "there is no codec 'h265'"),
    (["--codec", "vp9", "-o", "x.mkv", "--preset", "9"], "vp9 has no preset '9'"),
    (["--codec", "hevc", "-o", "x.webm"], "x.webm cannot hold hevc, only vp9 or av1"),
    (["-o", "x.avi"], "a video cannot be written as x.avi"),
    (["-o", "x.gif", "--output-fps", "60"], "a GIF shows at most 50 frames per second: add --output-fps 25"),
    (["--layout", "panel"], "there is no layout 'panel'; did you mean panels?"),
    (["--view", "everything"], "there is no layout 'everything'"),
    (["--batch", "65"], "the batch '65' is not auto, nor a number of frames from 1 to 64"),
    (["--heatmaps", "x.npy"], "x.npy does not end in .npz or .zarr: call the heatmaps NAME.npz"),
    (["--workers", "2", "--cluster", "auto"], "give one of them"),
]

_EACH = """
import contextlib, io, json, sys
from live_gradcam.cli import app
answers = []
for flags in json.loads(sys.argv[2]):
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            app(["annotate", sys.argv[1], *flags])
    except SystemExit as end:
        answers.append((end.code, told.getvalue()))
heavy = [name for name in ("tensorflow", "keras", "ray") if name in sys.modules]
print(json.dumps([answers, heavy]))
"""


@pytest.mark.slow
def test_wrong_arguments_are_a_line_each_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.mp4").write_text("not looked at")
    flags = json.dumps([flags for flags, _ in WRONG])
    finished = run_program(_EACH, "in.mp4", flags)
    assert (finished.code, finished.err) == (0, "")
    answers, heavy = json.loads(finished.out)
    assert heavy == []
    assert len(answers) == len(WRONG)
    for (code, told), (given, message) in zip(answers, WRONG, strict=True):
        assert code == 2, given
        assert told.startswith("live-gradcam: "), given
        assert message in told, given
        assert told.count("\n") == 1, given
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
