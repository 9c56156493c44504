"""A recording that grows while workers annotate it, or in whose place another one comes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from video_files import make_video, numbered
from worker_of_fake_engine import FakeWorker

from live_gradcam.annotating.batch import Planned
from live_gradcam.annotating.jobs import AnnotateJob
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import Provenance, made_with
from live_gradcam.annotating.report import AnnotateSummary
from live_gradcam.annotating.segmented import SegmentedRecording
from live_gradcam.annotating.segments import cut
from live_gradcam.annotating.tasks import Explain
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import SourceError

_OPTIONS = AnnotateOptions(layout="raw")


def _recording(path: Path, count: int) -> Path:
    return make_video(path, [numbered(index, width=48) for index in range(count)], codec_options={"g": "25"})


def _annotated(source: Path, explained: Callable[[], object]) -> AnnotateSummary | None:
    """Annotate as workers do; `explained` is called when the last part is explained and not yet drawn."""
    job, worker = AnnotateJob(source, source.with_name("out.mp4")), FakeWorker(SessionOptions(), _OPTIONS)
    planned = Planned.of(job, Provenance.of(source, made_with(SessionOptions(), _OPTIONS)))
    segments = cut(job, _OPTIONS, 2)
    recording = SegmentedRecording(planned, _OPTIONS, segments)
    try:
        while (task := recording.next_task()) is not None:
            result = task.run(worker)
            if isinstance(task, Explain) and task.segment.first == segments[-1].first:
                explained()
            recording.take(task, result)
        return recording.finish(complete=True)
    finally:
        recording.discard()


def test_what_a_recorder_adds_meanwhile_is_not_drawn_without_an_explanation(tmp_path: Path) -> None:
    whole = _recording(tmp_path / "whole.ts", 120).read_bytes()
    source = _recording(tmp_path / "in.ts", 60)
    summary = _annotated(source, lambda: source.write_bytes(whole))
    assert summary is not None
    assert (summary.frames, summary.explained) == (60, 60)


@pytest.mark.parametrize("count", [40, 120], ids=["shorter", "longer"])
def test_another_recording_in_its_place_is_not_drawn_under_its_maps(tmp_path: Path, count: int) -> None:
    source, other = _recording(tmp_path / "in.ts", 60), _recording(tmp_path / "other.ts", count)
    with pytest.raises(SourceError, match=r"in\.ts changed while it was annotated: annotate it again"):
        _annotated(source, lambda: os.replace(other, source))
    assert os.listdir(tmp_path) == ["in.ts"]
