"""What is no source: an address where files are read, a pipeline of GStreamer. Each is told what to do instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run
from video_files import make_video, numbered

from live_gradcam.addresses import address_of
from live_gradcam.errors import UsageError
from live_gradcam.sinks.image import write_image
from live_gradcam.sources.opening import open_source
from live_gradcam.sources.playback import Playback

# --- where a file is wanted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("https://host/a/b.mp4?x=1", "https://host/a/b.mp4?x=1"),
        ("rtsp://user:secret@host", "rtsp://user:secret@host"),
        ("s3://bucket/b.mp4", "s3://bucket/b.mp4"),
        ("file:///home/me/b.mp4", "file:///home/me/b.mp4"),
        ("talk.mp4", None),
        ("/home/me/https:/b.mp4", None),
        ("a/b.mp4", None),
        ("12:30.mp4", None),
        ("12:30/b.mp4", None),
        ("C:/videos/b.mp4", None),
        ("https:", None),
        ("", None),
    ],
)
def test_an_address_in_the_place_of_a_path(path: str, address: str | None) -> None:
    assert address_of(Path(path)) == address


def test_a_folder_may_be_called_like_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("https:").mkdir()
    assert address_of(Path("https:/b.mp4")) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["annotate"], ["annotate", "--workers", "2"], ["annotate", "-o", "out.mp4"], ["explain"], ["evaluate"], ["bench"]],
)
def test_where_files_are_read_an_address_is_told_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = run(*command, "https://user:secret@host/talk.mp4?token=secret")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == (
        "live-gradcam: https://user:***@host/talk.mp4?token=*** is an address, and "
        f"{command[0]} reads files: download it first (curl -LO ADDRESS), "
        "or explain a stream as it comes with live-gradcam live ADDRESS\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "name"), [("-o", "output"), ("--json", "json"), ("--jsonl", "jsonl"), ("--contact-sheet", "contact-sheet")]
)
def test_what_is_written_goes_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("a.png", np.zeros((8, 8, 3), np.uint8))
    finished = run("annotate", "a.png", flag, "rtmp://host/live.mp4")
    assert (finished.code, finished.out) == (2, "")
    said = f"live-gradcam: rtmp://host/live.mp4 is an address, and --{name} takes a file or a folder\n"
    assert finished.err == said
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.slow
def test_of_the_address_of_a_file_the_path_is_wanted(tmp_path: Path) -> None:
    finished = run("annotate", f"file://{tmp_path}/talk.mp4")
    assert (finished.code, finished.out) == (2, "")
    said = f"live-gradcam: file://{tmp_path}/talk.mp4 is an address: give the path alone, without file://\n"
    assert finished.err == said


# --- GStreamer ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "pipeline",
    [
        "v4l2src ! videoconvert ! appsink",
        "rtspsrc location=rtsp://user:secret@host user-pw=secret ! decodebin ! videoconvert ! appsink drop=1",
    ],
)
def test_a_pipeline_is_told_what_to_do_instead(pipeline: str) -> None:
    finished = run("live", pipeline, "--headless")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == (
        "live-gradcam: GStreamer pipelines are not read. Give the camera (0, /dev/video0) or an address (rtsp://…), or "
        "end the pipeline in mpegtsmux ! udpsink port=5000, run it with gst-launch-1.0, and give "
        "udp://127.0.0.1:5000\n"
    )
    with pytest.raises(UsageError):
        open_source(pipeline)


def test_a_file_may_have_an_exclamation_mark(tmp_path: Path) -> None:
    path = make_video(tmp_path / "look ! here.mp4", [numbered(i) for i in range(3)])
    with open_source(str(path)) as source:
        assert len(list(Playback(source, paced=False))) == 3
