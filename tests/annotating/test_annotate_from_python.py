"""`annotate` as a Python user calls it: it prints nothing, notifies of what happens, and reports what became of it."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import pytest
from command_line import environment
from fake_engine import FakeEngine, start_fake_engine
from video_files import cut, make_video, numbered

import live_gradcam
from live_gradcam import AnnotateOptions, SessionOptions, annotate
from live_gradcam.annotating import provenance
from live_gradcam.annotating.batch import Progress
from live_gradcam.attribution import session as sessions
from live_gradcam.errors import LiveGradcamError, OutputError, SourceError, UsageError
from live_gradcam.files import fingerprint
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sources.reader import VideoReader

RAW = AnnotateOptions(layout="raw")


def video(path: Path, count: int) -> Path:
    return make_video(path, [numbered(index, width=48) for index in range(count)], rate=10)


@pytest.fixture
def fake() -> Any:
    return FakeEngine()


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[SessionOptions]:
    """With what sessions were started."""
    started: list[SessionOptions] = []

    def start(options: SessionOptions, **more: Any) -> Any:
        started.append(options)
        return start_fake_engine(options, **more)

    monkeypatch.setattr(sessions, "start_session", start)
    return started


def stages(told: list[Progress]) -> list[tuple[str, str | None]]:
    """What was told of which recording, frames of a row once."""
    found = [(one.stage, None if one.job is None else one.job.source.name) for one in told]
    return [one for position, one in enumerate(found) if position == 0 or one != found[position - 1]]


def test_a_path_is_enough(tmp_path: Path, starts: list[SessionOptions], capfd: Any) -> None:
    source = video(tmp_path / "in.mp4", 5)
    report = annotate(str(source), session=SessionOptions(method="layercam"))
    (result,) = report.results
    assert (result.status, result.job.output) == ("done", tmp_path / "in-gradcam.mp4")
    assert result.summary is not None
    assert (result.summary.frames, result.error, report.is_complete, report.stopped) == (5, None, True, False)
    assert [(one.method, one.maps) for one in starts] == [("layercam", 1)]
    assert capfd.readouterr() == ("", "")
    assert live_gradcam.annotate is annotate


def test_several_paths_into_a_folder_with_numbers(tmp_path: Path, starts: list[SessionOptions]) -> None:
    sources = [str(video(tmp_path / "a.mp4", 3)), video(tmp_path / "c.mp4", 4)]
    options = AnnotateOptions(layout="grid", encoding=Encoding("vp9"))
    report = annotate(sources, f"{tmp_path}/out/", options=options, sidecars={"jsonl": f"{tmp_path}/out"})
    assert sorted(os.listdir(tmp_path / "out")) == ["a-gradcam.webm", "a.jsonl", "c-gradcam.webm", "c.jsonl"]
    assert [one.maps for one in starts] == [None]  # a grid takes all of them
    assert [file["jsonl"] for file in report.to_json()["files"]] == [str(tmp_path / "out" / f"{n}.jsonl") for n in "ac"]


@pytest.mark.parametrize(("layout", "is_told"), [("side-by-side", True), ("overlay", False), ("panels", False)])
def test_a_layout_of_one_class_says_that_several_are_a_grid(
    layout: str, is_told: bool, tmp_path: Path, starts: list[SessionOptions], caplog: pytest.LogCaptureFixture
) -> None:
    session = SessionOptions(classes=("1", "2"))
    annotate(video(tmp_path / "a.mp4", 2), session=session, options=AnnotateOptions(layout=layout))
    said = f"--layout {layout} shows one class: several classes are shown as a grid"
    assert (said in caplog.text) is is_told


def test_a_failing_recording_beside_a_good_one_with_a_ready_session(tmp_path: Path, fake: Any) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    images = [numbered(index, width=48, noise=20) for index in range(40)]
    torn = make_video(
        tmp_path / "torn.mp4",
        images,
        rate=10,
        codec_options={"g": "5"},
        container_options={"movflags": "+faststart"},
    )
    cut(torn, 0.6)
    sources = [tmp_path / "bad.mp4", torn, video(tmp_path / "good.mp4", 6)]
    told: list[Progress] = []
    report = annotate(sources, tmp_path / "out", session=fake, options=RAW, on_progress=told.append)
    bad, damaged, good = report.results
    assert (bad.status, damaged.status, good.status) == ("failed", "damaged", "done")
    assert isinstance(bad.error, SourceError)
    assert bad.summary is None
    assert str(bad.error).startswith(f"{tmp_path / 'bad.mp4'} is not a video that can be read")
    assert damaged.damage is not None
    assert damaged.damage.startswith(f"{torn} is damaged: ")
    assert (bad.damage, good.damage) == (None, None)
    assert (report.is_complete, report.stopped, report.start_s) == (False, False, {})
    assert report.to_json()["files"][0]["error"] == str(bad.error)
    assert stages(told) == [
        ("over", "bad.mp4"),
        ("annotating", "torn.mp4"),
        ("over", "torn.mp4"),
        ("annotating", "good.mp4"),
        ("over", "good.mp4"),
    ]
    assert {one.recordings for one in told} == {3}
    frames = [one for one in told if one.job is good.job and one.stage == "annotating"]
    assert [one.frames for one in frames] == [1, 2, 3, 4, 5, 6]
    assert [round(one.seconds, 3) for one in frames] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert frames[0].of_seconds == pytest.approx(0.6)
    assert [one.result for one in told if one.stage == "over"] == list(report.results)


def test_files_that_cannot_be_opened_do_not_stop_the_others(
    tmp_path: Path, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mp4", "locked.mp4"):
        video(folder / name, 3)
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "itself.mp4").symlink_to("itself.mp4")

    def no_permission(path: Path) -> str:
        if path.name == "locked.mp4":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return fingerprint(path)

    monkeypatch.setattr(provenance, "fingerprint", no_permission)  # whoever runs the tests may read all files
    told: list[Progress] = []
    report = annotate(folder, tmp_path / "out", session=fake, options=RAW, on_progress=told.append)
    said = {result.job.source.name: str(result.error) for result in report.results if result.status == "failed"}
    assert said == {
        "gone.mp4": f"cannot read {folder / 'gone.mp4'}: there is no such file",
        "itself.mp4": f"cannot read {folder / 'itself.mp4'}: {os.strerror(errno.ELOOP)}",
        "locked.mp4": f"cannot read {folder / 'locked.mp4'}: Permission denied",
    }
    assert [one.job.source.name for one in report.results if one.status == "done"] == ["a.mp4"]
    assert {one.recordings for one in told} == {4}
    again = annotate(folder, tmp_path / "out", session=fake, options=RAW, resume=True)
    assert sorted(one.status for one in again.results) == ["failed", "failed", "failed", "skipped"]


def test_links_that_lead_nowhere_do_not_stop_a_folder_of_pictures(tmp_path: Path, fake: Any) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in (1, 4):
        cv2.imwrite(str(folder / f"{number}.png"), numbered(number, width=48))
    (folder / "2.png").symlink_to("nowhere.png")
    (folder / "3.png").symlink_to("3.png")
    (result,) = annotate(folder, tmp_path / "out.mp4", session=fake, options=RAW).results
    assert result.status == "damaged"
    assert result.summary is not None
    assert (result.summary.frames, result.summary.expected_frames) == (2, 4)
    assert result.damage == (
        f"{folder} is damaged: 2 pictures cannot be read (2.png, 3.png); 2 of 4 frames are in {tmp_path / 'out.mp4'}"
    )
    assert result.to_json()["corrupt_packets"] == 2


def test_what_was_done_before_is_skipped_and_nothing_is_started_for_it(
    tmp_path: Path, starts: list[SessionOptions]
) -> None:
    source, output = video(tmp_path / "in.mp4", 3), tmp_path / "out.mp4"
    annotate(source, output, options=RAW)
    told: list[Progress] = []
    report = annotate(source, output, options=RAW, resume=True, on_progress=told.append)
    assert [result.status for result in report.results] == ["skipped"]
    assert (report.is_complete, len(starts)) == (True, 1)
    assert stages(told) == [("over", "in.mp4")]
    with pytest.raises(OutputError, match="exists already"):
        annotate(source, output, options=RAW)
    assert annotate(source, output, options=RAW, overwrite=True).results[0].status == "done"
    # a session that is ready is known by what it was started with
    ready = start_fake_engine(SessionOptions())
    report = annotate(source, output, session=ready, options=RAW, resume=True)
    assert [result.status for result in report.results] == ["skipped"]
    other: Any = FakeEngine()
    other.options = SessionOptions(method="layercam")
    with pytest.raises(OutputError, match="exists already"):
        annotate(source, output, session=other, options=RAW, resume=True)


def test_the_start_of_the_network_is_notified(tmp_path: Path, starts: list[SessionOptions]) -> None:
    told: list[Progress] = []
    annotate(video(tmp_path / "in.mp4", 2), options=RAW, on_progress=told.append)
    assert stages(told) == [
        ("starting", None),
        ("started", None),
        ("annotating", "in.mp4"),
        ("over", "in.mp4"),
    ]


def test_a_stop_from_a_callback_keeps_what_is_done(tmp_path: Path, fake: Any) -> None:
    stop = StopRequest()
    sources = [video(tmp_path / name, 200) for name in ("a.mp4", "b.mp4")]

    def on_progress(progress: Progress) -> None:
        stop.requested = stop.requested or progress.frames == 3

    report = annotate(sources, tmp_path / "out", session=fake, options=RAW, on_progress=on_progress, stop=stop)
    (result,) = report.results  # the other was not begun
    assert (result.status, report.stopped, report.is_complete) == ("stopped", True, False)
    assert result.summary is not None
    assert 3 <= result.summary.frames < 200
    assert os.listdir(tmp_path / "out") == ["a-gradcam.mp4"]


def test_what_a_callback_raises_ends_the_work_and_leaves_nothing(tmp_path: Path, fake: Any) -> None:
    def on_progress(progress: Progress) -> None:
        if progress.frames == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        annotate(video(tmp_path / "in.mp4", 9), session=fake, options=RAW, on_progress=on_progress)
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_it_works_in_a_thread(tmp_path: Path, fake: Any) -> None:
    reports: list[Any] = []
    source = video(tmp_path / "in.mp4", 3)
    thread = threading.Thread(target=lambda: reports.append(annotate(source, session=fake, options=RAW)))
    thread.start()
    thread.join(60)
    assert reports[0].is_complete


def test_usage_errors_are_raised_before_anything_begins(
    tmp_path: Path, starts: list[SessionOptions], fake: Any
) -> None:
    source = video(tmp_path / "in.mp4", 3)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"session": SessionOptions(model="efficientnet-lite9")}, "no model"),
        ({"session": fake, "workers": 2}, "workers start their own sessions"),
        ({"session": fake, "options": AnnotateOptions(layout="grid")}, "the session makes too few maps"),
        ({"session": fake, "options": AnnotateOptions(smooth=1)}, "the session makes too few maps"),
        ({"workers": 0}, "0 workers cannot do anything"),
        ({"sidecars": {"json": tmp_path / "n"}}, "there is no sidecar 'json'; did you mean jsonl?"),
        ({"sidecars": {"contact_sheet": tmp_path / "n.png"}}, "did you mean contact-sheet?"),
        ({"sidecars": {"heatmaps": tmp_path / "n.npy"}}, "does not end in .npz or .zarr"),
        ({"sidecars": {"contact-sheet": tmp_path / "n.txt"}}, "cannot write a picture"),
        ({"workers": 2, "options": AnnotateOptions(encoding=Encoding("png"))}, "written by one process"),
    ]
    for arguments, message in wrong:
        with pytest.raises(LiveGradcamError, match=message):
            annotate(source, **arguments)
    with pytest.raises(SourceError, match="there is no file"):
        annotate(tmp_path / "no.mp4")
    with pytest.raises(UsageError, match="several videos need a folder"):
        annotate([source, video(tmp_path / "b.mp4", 3)])
    with pytest.raises(UsageError, match="there is nothing to annotate"):
        annotate([])
    for number in ({"stride": 0}, {"batch": 0}, {"smooth": -1.0}):
        with pytest.raises(UsageError, match=rf"^--{next(iter(number))} is "):
            AnnotateOptions(**number)  # type: ignore[arg-type]
    fake.options = None
    with pytest.raises(UsageError, match="make it with start_session"):
        annotate(source, session=fake)
    assert starts == []
    assert sorted(os.listdir(tmp_path)) == ["b.mp4", "in.mp4"]


def test_times_and_rates_are_any_numbers(tmp_path: Path, fake: Any) -> None:
    numbers = AnnotateOptions(start=0.2, end=1, output_fps=5, source_fps=29.97, picture_fps=10)  # type: ignore[arg-type]
    exact = AnnotateOptions(
        start=Fraction(1, 5),
        end=Fraction(1),
        output_fps=Fraction(5),
        source_fps=Fraction(2997, 100),
        picture_fps=Fraction(10),
    )
    assert numbers == exact
    assert json.dumps(numbers.to_json(), default=str) == json.dumps(exact.to_json(), default=str)

    source, output = video(tmp_path / "in.mp4", 12), tmp_path / "out.mp4"
    thinned = AnnotateOptions(layout="raw", output_fps=5)  # type: ignore[arg-type]
    assert annotate(source, output, session=fake, options=thinned).is_complete
    with VideoReader(output) as reader:
        assert [frame.pts for frame in reader.frames()] == [Fraction(i, 5) for i in range(6)]
    again = annotate(source, output, session=fake, options=replace(RAW, output_fps=Fraction(5)), resume=True)
    assert [result.status for result in again.results] == ["skipped"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("start", -1, "--start '-1' is not a time: give seconds"),
        ("start", float("nan"), "--start 'nan' is not a time: give seconds"),
        ("end", 0, "--end is 0 s: give a time after 0"),
        ("output_fps", 0, "--output-fps '0' is not a frame rate: give a number such as 25"),
        ("picture_fps", -25, "--picture-fps '-25' is not a frame rate: give a number such as 25"),
        ("source_fps", Fraction(0), "--source-fps '0' is not a frame rate: give a number such as 25"),
    ],
)
def test_times_and_rates_that_are_none_are_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        AnnotateOptions(**{name: value})
    assert str(caught.value).startswith(words)


def test_the_report_is_the_json_of_the_command(tmp_path: Path, starts: list[SessionOptions]) -> None:
    source = video(tmp_path / "in.mp4", 4)
    sidecars = {"contact-sheet": tmp_path / "n.png", "csv": tmp_path / "n.csv"}
    report = annotate(source, tmp_path / "out.mp4", options=RAW, sidecars=sidecars)
    written = json.loads(json.dumps(report.to_json()))
    (file,) = written.pop("files")
    seconds, file_seconds, fps = written.pop("seconds"), file.pop("seconds"), file.pop("fps")
    assert 0 < file_seconds <= seconds
    assert fps > 0
    assert written.pop("version")
    assert written == {"schema": 1, "frames": 4, "stopped": False, "start_s": {}}
    assert list(file)[:5] == ["source", "output", "csv", "contact_sheet", "status"]
    assert file == {
        "source": str(source),
        "output": str(tmp_path / "out.mp4"),
        "csv": str(tmp_path / "n.csv"),
        "contact_sheet": str(tmp_path / "n.png"),
        "status": "done",
        "frames": 4,
        "explained": 4,
        "expected_frames": 4,
        "corrupt_packets": 0,
        "mended_frames": 0,
        "breaks": 0,
        "missing_seconds": 0,
        "encoder": "libx264",
        "converted": [],
        "left_out": [],
        "hdr": None,
        "begins_at": 0,
        "clock_jumps": 0,
        "clock_standing": 0,
        "notes": [],
    }


@pytest.mark.parametrize("workers", [2, "auto"])
def test_workers_do_not_choose_an_engine_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, workers: int | str
) -> None:
    """A file is by one engine: by the usual one, where none is asked for."""
    begun: list[SessionOptions] = []

    def begin(workers: Any, session: SessionOptions, options: AnnotateOptions) -> Any:
        begun.append(session)
        raise LiveGradcamError("that is all")

    monkeypatch.setattr("live_gradcam.annotating.annotate._workers", begin)
    source = make_video(tmp_path / "in.mp4", [numbered(1)], rate=10)
    for asked in (SessionOptions(engine="auto", precision="auto"), SessionOptions(engine="openvino", precision="bf16")):
        with pytest.raises(LiveGradcamError, match="that is all"):
            annotate(source, tmp_path / "out.mp4", session=asked, workers=workers)
    assert [(session.engine, session.precision) for session in begun] == [("xla", "f32"), ("openvino", "bf16")]
    assert caplog.messages == ["the precision is f32: where several processes work, none is chosen"]


@pytest.mark.slow
def test_two_workers_from_a_script(tmp_path: Path) -> None:
    """In a process of its own, whose workers import the script."""
    source = make_video(
        tmp_path / "in.mp4", [numbered(index % 256, width=48) for index in range(75)], codec_options={"g": "25"}
    )
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import fake_engine
from live_gradcam.attribution import session
session.start_session = fake_engine.start_fake_engine
from live_gradcam import annotate

if __name__ == "__main__":
    told = []
    report = annotate({str(source)!r}, workers=2, on_progress=told.append)
    (result,) = report.results
    print(result.status, result.summary.frames, [one.stage for one in told if one.stage != "annotating"])
"""
    )
    finished = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment())
    assert finished.stderr == ""
    assert finished.stdout == "done 75 ['starting', 'started', 'over']\n"


@pytest.mark.slow
def test_verbose_programs_are_told_how_long_the_start_took(
    caplog: pytest.LogCaptureFixture, quick_network: list[str]
) -> None:
    _, model, _, labels, *_ = quick_network
    options = SessionOptions(model, labels=labels, tune="off", fit="stretch")
    with caplog.at_level(logging.INFO, "live_gradcam"):
        session = sessions.start_session(options)
    assert session.options == options
    assert "quick.keras · grad-cam" in caplog.text
    other = session.variant(method="layercam", layer=session.layer)
    assert other.options is not None
    assert (other.options.method, other.options.layer, other.options.fit) == ("layercam", session.layer, "stretch")
