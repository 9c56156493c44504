"""What an annotated file says of itself, and a batch that goes on where it was left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
from command_line import Finished
from fake_engine import FakeEngine, annotated, start_fake_engine, statement_of
from video_files import cut, make_video, numbered

from live_gradcam import annotate as annotate_all
from live_gradcam.annotating import provenance
from live_gradcam.annotating.jobs import AnnotateJob, check_jobs, plan_jobs
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import Provenance, made_with
from live_gradcam.attribution import session as engine_module
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.cli import app
from live_gradcam.errors import OutputError
from live_gradcam.explanations.boxes import BoxOptions
from live_gradcam.flow.stopping import StopRequest
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sources.levels import Levels
from live_gradcam.sources.reader import VideoReader

OUTPUTS = ("out.mp4", "out.mkv", "out.webm", "out.gif", "out")


def pictures(count: int) -> list[Any]:
    return [numbered(index, width=48) for index in range(count)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve frames, with sound."""
    return make_video(tmp_path / "in.mp4", pictures(12), rate=10, audio_codec="aac", audio_seconds=1.2)


@pytest.fixture
def fake() -> Any:
    return FakeEngine()


def options_for(name: str, **changes: Any) -> AnnotateOptions:
    return AnnotateOptions(layout="raw", encoding=Encoding(None if "." in name else "png"), **changes)


def annotate(source: Path, output: Path, options: AnnotateOptions, **more: Any) -> None:
    fields = {name: getattr(options, name) for name in ("layout", "encoding", "smooth")}
    annotated(source, output, **fields, **more)


def is_done(job: AnnotateJob, options: AnnotateOptions, *, resume: bool = True, overwrite: bool = False) -> bool:
    made = Provenance.of(job.source, made_with(SessionOptions(), options))
    return check_jobs([(job, made)], options, overwrite=overwrite, resume=resume)[0]


class StopAfter(StopRequest):
    """Ctrl-C when so many frames were looked at."""

    def __init__(self, frames: int) -> None:
        self._left = frames
        super().__init__()

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0

    @requested.setter
    def requested(self, _: bool) -> None:
        pass


# --- recognised ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_finished_file_is_recognised_by_its_source_options_and_version(
    tmp_path: Path, source: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, job = options_for(name), AnnotateJob(source, tmp_path / name)
    assert not is_done(job, options)  # it is not there
    annotate(source, job.output, options)
    assert is_done(job, options)
    assert is_done(job, replace(options, batch=4))  # of no effect
    for other in (replace(options, smooth=0.5), replace(options, start=1), replace(options, layout="overlay")):
        with pytest.raises(OutputError, match="exists already"):
            is_done(job, other)
    elsewhere = tmp_path / "elsewhere" / "in.mp4"
    elsewhere.parent.mkdir()
    shutil.copy(source, elsewhere)
    assert is_done(replace(job, source=elsewhere), options)  # the same recording
    make_video(elsewhere, pictures(13), rate=10)
    with pytest.raises(OutputError, match="exists already"):
        is_done(replace(job, source=elsewhere), options)
    monkeypatch.setattr(provenance, "version", lambda name: "99")
    with pytest.raises(OutputError, match="exists already"):
        is_done(job, options)


def test_a_batch_goes_on_whichever_engine_was_chosen(tmp_path: Path, source: Path) -> None:
    """Where none is asked for, each gives what the usual one gives, by which files were made before one was chosen."""
    options = options_for("out.mp4")
    for made_by in ("xla", "auto"):
        job = AnnotateJob(source, tmp_path / f"{made_by}.mp4")
        annotate(source, job.output, options)
        text = (statement_of(job.output) or "").replace('"engine": "xla"', f'"engine": "{made_by}"')
        assert json.loads(text)["options"]["engine"] == made_by
        for asked, is_same in (("auto", True), ("xla", True), ("openvino", None), ("graph", None)):
            made = Provenance.of(source, made_with(SessionOptions(engine=asked), options))
            assert made.compare(text) is is_same
            cut = text.replace('"complete": true', '"complete": false')
            assert made.compare(cut) is (False if is_same else None)
            assert json.loads(made.text(complete=True))["options"]["engine"] == asked
        half = Provenance.of(source, made_with(SessionOptions(engine="auto", precision="bf16"), options))
        assert half.compare(text) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_cut_short_begins_again(tmp_path: Path, source: Path, name: str) -> None:
    options, job = options_for(name), AnnotateJob(source, tmp_path / name, {"jsonl": tmp_path / "n.jsonl"})
    annotate(source, job.output, options, stop=StopAfter(6), **job.sidecars)
    assert len((tmp_path / "n.jsonl").read_text().splitlines()) == 6
    assert not is_done(job, options)
    with pytest.raises(OutputError, match="exists already"):
        is_done(job, options, resume=False)
    annotate(source, job.output, options, **job.sidecars)
    assert is_done(job, options)
    assert len((tmp_path / "n.jsonl").read_text().splitlines()) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", "n.jsonl", name])


def test_a_file_of_a_long_name_is_cut_short_like_any_other(tmp_path: Path, source: Path) -> None:
    """A name has up to 255 bytes, and `.part` is 5 of them."""
    job = AnnotateJob(source, tmp_path / f"{'猫' * 82}.mp4")
    annotate(source, job.output, options_for("out.mp4"), stop=StopAfter(6))
    assert json.loads(statement_of(job.output) or "")["complete"] is False
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_cut_short_can_be_played_and_says_so(tmp_path: Path, source: Path, name: str) -> None:
    job = AnnotateJob(source, tmp_path / name)
    annotate(source, job.output, options_for(name), stop=StopAfter(6))
    made = json.loads(statement_of(job.output) or "")
    assert made["complete"] is False
    assert made["source"] == "in.mp4"
    assert made["options"]["model"] == "efficientnet-lite0"
    if name == "out":
        assert sorted(path.name for path in job.output.glob("*.png")) == [f"{n:06d}.png" for n in range(6)]
        return
    with VideoReader(job.output) as reader:
        times = [frame.pts for frame in reader.frames()]
        steps = {round(float(later - earlier), 2) for earlier, later in pairwise(times)}
        assert (len(times), steps) == (6, {0.1})
        assert not reader.loss
    if name != "out.gif":
        with av.open(str(job.output)) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) > 0.4 * 48_000


def test_a_request_to_stop_that_comes_after_the_last_frame_changes_nothing(tmp_path: Path, source: Path) -> None:
    stop = StopAfter(12)
    summary = annotated(source, tmp_path / "out.mp4", stop=stop)
    assert (summary.frames, summary.stopped) == (12, False)
    assert json.loads(statement_of(tmp_path / "out.mp4") or "")["complete"] is True


def test_a_recording_has_one_frame_at_least(tmp_path: Path, source: Path) -> None:
    summary = annotated(source, tmp_path / "out.mp4", stop=StopAfter(0))
    assert (summary.frames, summary.stopped) == (1, True)


def test_a_file_whose_numbers_are_missing_begins_again(tmp_path: Path, source: Path) -> None:
    options = options_for("out.mp4")
    names = {"jsonl": "n.jsonl", "csv": "n.csv", "heatmaps": "n.npz"}
    job = AnnotateJob(source, tmp_path / "out.mp4", {kind: tmp_path / name for kind, name in names.items()})
    annotate(source, job.output, options, **job.sidecars)
    assert is_done(job, options)
    for path in job.sidecars.values():
        kept = path.read_bytes()
        path.unlink()
        assert not is_done(job, options)
        path.write_bytes(kept)
    assert is_done(job, options)


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_is_not_ours_is_kept(tmp_path: Path, source: Path, name: str) -> None:
    job, options = AnnotateJob(source, tmp_path / name), options_for(name)
    if name == "out":
        job.output.mkdir()
        (job.output / "precious.png").write_text("precious")
    elif name == "out.gif":
        make_video(job.output, pictures(2), codec="gif", pix_fmt="rgb8")
    elif name == "out.webm":
        make_video(job.output, pictures(2), codec="libvpx-vp9")
    else:
        make_video(job.output, pictures(2))
    for resume in (False, True):
        with pytest.raises(OutputError, match="exists already"):
            is_done(job, options, resume=resume)
    if name != "out":
        assert not is_done(job, options, overwrite=True)
        return
    with pytest.raises(OutputError) as failure:  # nobody wants a folder of something else to be replaced
        is_done(job, options, overwrite=True)
    assert str(failure.value) == f"{job.output} is a folder that live-gradcam did not write: choose another name"
    (job.output / "precious.png").unlink()
    assert not is_done(job, options, overwrite=True)


def test_numbers_that_are_not_ours_are_kept_too(tmp_path: Path, source: Path) -> None:
    (tmp_path / "n.csv").write_text("precious")
    job = AnnotateJob(source, tmp_path / "out.mp4", sidecars={"csv": tmp_path / "n.csv"})
    with pytest.raises(OutputError, match=r"n\.csv exists already"):
        is_done(job, options_for("out.mp4"))


def test_pictures_that_were_changed_are_another_source(tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), numbered(number, width=48))
    options = options_for("out.mp4")
    for source in (folder, folder / "%d.png"):
        annotate(source, tmp_path / "out.mp4", options)
        assert is_done(AnnotateJob(source, tmp_path / "out.mp4"), options)
        cv2.imwrite(str(folder / "9.png"), numbered(9, width=48))
        with pytest.raises(OutputError, match="exists already"):
            is_done(AnnotateJob(source, tmp_path / "out.mp4"), options)
        (folder / "9.png").unlink()


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_a_video_inside_its_folder_of_pictures_can_be_made_again(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), numbered(number, width=48))
    output, options = folder / name, options_for(name)
    (job,) = plan_jobs([folder], output, options)
    annotate(folder, output, options)
    assert plan_jobs([folder], output, options) == [job]
    assert is_done(job, options)
    assert not is_done(job, options_for(name, smooth=1.0), overwrite=True, resume=False)


def test_a_video_beside_pictures_that_is_no_output_is_no_output(tmp_path: Path, source: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), numbered(0, width=48))
    jobs = plan_jobs([tmp_path], source, options_for("x.mp4"))
    assert [job.source for job in jobs] == [source]  # not the pictures, written over it


def test_what_the_recording_says_of_itself_is_replaced_by_how_it_was_made(tmp_path: Path, source: Path) -> None:
    first = AnnotateJob(source, tmp_path / "first.mp4")
    annotate(source, first.output, options_for("x.mp4"))
    again = AnnotateJob(first.output, tmp_path / "again.mkv")
    annotate(first.output, again.output, options_for("x.mkv"))
    assert json.loads(statement_of(again.output) or "")["source"] == "first.mp4"
    assert is_done(again, options_for("x.mkv"))


def test_a_source_whose_name_says_much(tmp_path: Path) -> None:
    """A comment of several blocks in a GIF, with all kinds of characters."""
    source = make_video(tmp_path / ("猫 !'\"\\ü" * 12 + ".mp4"), pictures(3), rate=10)
    for name in OUTPUTS:
        annotate(source, tmp_path / name, options_for(name))
        assert is_done(AnnotateJob(source, tmp_path / name), options_for(name))
        assert json.loads(statement_of(tmp_path / name) or "")["source"] == source.name


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b'\x21\xfe\x09{"made by', b'{"made by"', b'\x21\xfe\xff{"made by"\xff']
)
def test_a_damaged_gif_says_nothing(tmp_path: Path, source: Path, content: bytes) -> None:
    (tmp_path / "out.gif").write_bytes(content)
    with pytest.raises(OutputError, match="exists already"):
        is_done(AnnotateJob(source, tmp_path / "out.gif"), options_for("out.gif"))


# --- what was written before ---------------------------------------------------------------------------------------

#: As version 0.1.0 wrote them, of a file with the content "any recording".
_BY_DEFAULT = (
    '{"made by": "live-gradcam 0.1.0", "source": "in.mp4", "fingerprint": "13 '
    '497772909c0f29c868f98dd863cd386cffd5a460691fc225a36bd97b1c9bfc7f", "options": {"model": '
    '"efficientnet-lite0", "weights": "imagenet", "labels": null, "preprocessing": null, "output": null, '
    '"head": null, "feed": [], "layer": null, "classes": [], "topk": 5, "score": "logit", "fit": "auto", '
    '"tiles": null, "names": null, "lowering": true, "engine": "xla", "precision": "f32", "method": '
    '"grad-cam", "input_size": null, "methods": [], "custom_objects": null, "start": null, "end": null, '
    '"stride": 1, "output_fps": null, "picture_fps": 25.0, "size": null, "layout": "overlay", "smooth": '
    '0.0, "boxes": {"threshold": 0.15, "drawn": false}, "colormap": "turbo", "alpha": 0.5, "encoding": '
    '{"codec": null, "crf": null, "preset": null, "hardware": false}}, "complete": true}'
)
_WITH_ALL_OPTIONS = (
    '{"made by": "live-gradcam 0.1.0", "source": "in.mp4", "fingerprint": "13 '
    '497772909c0f29c868f98dd863cd386cffd5a460691fc225a36bd97b1c9bfc7f", "options": {"model": '
    '"efficientnet-lite0", "weights": "imagenet", "labels": null, "preprocessing": "tf", "output": '
    '"labels", "head": "h", "feed": ["age=3"], "layer": "x,y", "classes": ["5", "tiger cat>tabby"], '
    '"topk": 3, "score": "margin", "fit": "letterbox", "tiles": null, "names": "everyday", "lowering": '
    'false, "engine": "graph", "precision": "bf16", "method": "layercam", "input_size": [320, 384], '
    '"methods": [], "custom_objects": null, "start": 1.0, "end": 4.5, "stride": 3, "output_fps": '
    '29.97002997002997, "picture_fps": 25.0, "source_fps": 25.0, "levels": {"low": 0, "high": 4095}, '
    '"size": [1280, null], "layout": "grid", "smooth": 0.5, "boxes": {"threshold": 0.4, "drawn": true}, '
    '"colormap": "jet", "alpha": 0.25, "encoding": {"codec": "hevc", "crf": 24, "preset": "slow", '
    '"hardware": true}}, "complete": false}'
)


@pytest.mark.parametrize("options", ["none", "all"])
def test_what_0_1_0_wrote_is_still_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.setattr(provenance, "version", lambda name: "0.1.0")
    source = tmp_path / "in.mp4"
    source.write_bytes(b"any recording")
    annotating, session = AnnotateOptions(), SessionOptions()
    if options == "all":
        annotating = AnnotateOptions(
            start=Fraction(1),
            end=Fraction(9, 2),
            stride=3,
            output_fps=Fraction(30000, 1001),
            source_fps=Fraction(25),
            levels=Levels(0, 4095),
            size=(None, 1280),
            layout="grid",
            smooth=0.5,
            boxes=BoxOptions(0.4, drawn=True),
            batch=4,
            colormap="jet",
            alpha=0.25,
            encoding=Encoding("hevc", 24, "slow", True),
        )
        session = SessionOptions(
            preprocessing="tf",
            output="labels",
            head="h",
            feed=("age=3",),
            layer="x,y",
            classes=("5", "tiger cat>tabby"),
            topk=3,
            score="margin",
            fit="letterbox",
            names="everyday",
            lowering=False,
            engine="graph",
            tune="off",
            precision="bf16",
            threads=2,
            method="layercam",
            input_size=(320, 384),
            trust=True,
        )
    made = Provenance.of(source, made_with(annotating.for_session(session), annotating))
    text = _BY_DEFAULT if options == "none" else _WITH_ALL_OPTIONS
    assert made.text(complete=options == "none") == text
    assert made.compare(text) is (options == "none")


def test_an_output_of_0_1_0_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "version", lambda name: "0.1.0")
    source, output = tmp_path / "in.mp4", tmp_path / "out.gif"
    make_video(output, pictures(2), codec="gif", pix_fmt="rgb8")
    source.write_bytes(b"any recording")
    parts = [_BY_DEFAULT.encode()[at : at + 255] for at in range(0, len(_BY_DEFAULT), 255)]
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    output.write_bytes(output.read_bytes()[:-1] + b"\x21\xfe" + blocks + b"\x00\x3b")
    assert is_done(AnnotateJob(source, output), AnnotateOptions())


def test_custom_objects_that_were_changed_make_another_result(tmp_path: Path, source: Path, fake: Any) -> None:
    objects, output = tmp_path / "mine.py", tmp_path / "out.mp4"
    objects.write_text("class Twice: factor = 2")
    fake.options = SessionOptions(custom_objects=str(objects))
    options = options_for("out.mp4")

    def status(*, resume: bool = True, overwrite: bool = False) -> str:
        report = annotate_all(source, output, session=fake, options=options, resume=resume, overwrite=overwrite)
        return report.results[0].status

    assert (status(), status()) == ("done", "skipped")
    objects.write_text("class Twice: factor = 3")
    with pytest.raises(OutputError, match="exists already"):
        status()
    assert status(overwrite=True) == "done"
    assert status(overwrite=True) == "skipped"
    written = json.loads(statement_of(output) or "")["options"]
    assert list(written["files"]) == ["mine.py"]


# --- batches ------------------------------------------------------------------------------------------------------


@pytest.fixture
def here(capfd: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Run `live-gradcam annotate` in this process, with the fake engine."""

    def run_here(*arguments: object) -> Finished:
        capfd.readouterr()
        try:
            app(["annotate", *map(str, arguments)])
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return Finished(code, *capfd.readouterr())

    monkeypatch.setattr(engine_module, "start_session", start_fake_engine)
    return run_here


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Two good videos, one cut in the middle, and one that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    make_video(folder / "a.mp4", pictures(12), rate=10)
    images = [numbered(index, width=48, noise=20) for index in range(40)]
    fast = {"movflags": "+faststart"}
    cut(make_video(folder / "b.mp4", images, rate=10, codec_options={"g": "5"}, container_options=fast), 0.6)
    (folder / "c.avi").write_text("not a video")
    make_video(folder / "d.mkv", pictures(7), rate=10)
    return folder


def statuses(finished: Finished) -> dict[str, str]:
    return {Path(file["source"]).name: file["status"] for file in json.loads(finished.out)["files"]}


def test_one_bad_file_does_not_stop_a_batch(here, tmp_path: Path, batch: Path) -> None:
    finished = here(batch, "-o", tmp_path / "out", "--json", "-", "--jsonl", tmp_path / "out")
    assert finished.code == 1
    none, damaged = finished.err.splitlines()
    assert none.startswith(f"live-gradcam: {batch / 'c.avi'} is not a video that can be read")
    assert damaged.startswith(f"live-gradcam: {batch / 'b.mp4'} is damaged: the last ")
    summary = json.loads(finished.out)
    files = {Path(file["source"]).name: file for file in summary["files"]}
    assert statuses(finished) == {"a.mp4": "done", "b.mp4": "damaged", "c.avi": "failed", "d.mkv": "done"}
    assert (files["a.mp4"]["frames"], files["d.mkv"]["frames"], files["b.mp4"]["expected_frames"]) == (12, 7, 40)
    assert 5 < files["b.mp4"]["frames"] < 35
    assert f"; {files['b.mp4']['frames']} of 40 frames are in {tmp_path / 'out' / 'b-gradcam.mp4'}" in damaged
    assert files["b.mp4"]["missing_seconds"] == pytest.approx(4 - files["b.mp4"]["frames"] / 10, abs=0.2)
    assert files["c.avi"]["error"] == none.removeprefix("live-gradcam: ")
    assert summary["frames"] == 19 + files["b.mp4"]["frames"]
    assert (summary["schema"], summary["stopped"]) == (1, False)
    assert files["a.mp4"]["output"] == str(tmp_path / "out" / "a-gradcam.mp4")
    assert sorted(os.listdir(tmp_path / "out")) == [
        *("a-gradcam.mp4", "a.jsonl", "b-gradcam.mp4", "b.jsonl", "d-gradcam.mp4", "d.jsonl")
    ]


def test_a_batch_goes_on(here, tmp_path: Path, batch: Path) -> None:
    out = tmp_path / "out"
    arguments = (batch, "-o", out, "--json", "-", "--resume")
    assert here(*arguments).code == 1
    (out / "a-gradcam.mp4").unlink()
    written = (out / "d-gradcam.mp4").stat().st_mtime_ns
    finished = here(*arguments)
    assert statuses(finished) == {"b.mp4": "skipped", "d.mkv": "skipped", "c.avi": "failed", "a.mp4": "done"}
    assert finished.code == 1
    assert (out / "d-gradcam.mp4").stat().st_mtime_ns == written
    (batch / "c.avi").unlink()
    finished = here(batch, "-o", out, "--resume")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.splitlines() == [f"{out / name}-gradcam.mp4 is done already" for name in "abd"]
    finished = here(batch, "-o", out, "--resume", "--stride", 2)
    assert finished.code == 1
    assert finished.err == (
        f"live-gradcam: {out / 'a-gradcam.mp4'} exists already: give another name, or --overwrite to replace it\n"
    )


def test_the_summary_tells_of_a_single_file_that_is_no_video(here, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("nothing")
    finished = here(tmp_path / "a.mp4", "--json", tmp_path / "report.json")
    assert finished.code == 1
    assert len(finished.err.splitlines()) == 1
    (file,) = json.loads((tmp_path / "report.json").read_text())["files"]
    assert (file["status"], file["error"]) == ("failed", finished.err.strip().removeprefix("live-gradcam: "))
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "report.json"]
