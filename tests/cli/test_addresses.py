"""Nothing that is shown or written lets others into a camera."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from command_line import run
from mjpeg_server import MjpegServer
from video_files import numbered

from live_gradcam.addresses import masked, masked_values
from live_gradcam.sources.capture import Capture


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@host/stream", "rtsp://user:***@host/stream"),
        ("rtsp://user:secret@10.0.0.8:554/h264?ch=1", "rtsp://user:***@10.0.0.8:554/h264?ch=1"),
        ("RTSP://Admin:S3cr3t!#$%@Host/", "RTSP://Admin:***@Host/"),
        ("rtsp://user:se@cret@host/stream", "rtsp://user:***@host/stream"),
        ("rtsp://user:se/cret@host/stream", "rtsp://user:***@host/stream"),
        ("rtsp://user:12/34@host/stream", "rtsp://user:***@host/stream"),
        ("rtsp://user:se?cr#et@host/stream", "rtsp://user:***@host/stream"),
        ("rtsp://user:s%40cret@[::1]:554/a", "rtsp://user:***@[::1]:554/a"),
        ("rtsp://user:@host/", "rtsp://user:***@host/"),
        ("rtsp://:secret@host/", "rtsp://:***@host/"),
        ("https://ghp_token@host/a.mp4", "https://***@host/a.mp4"),
        ("https:/user:secret@host/a.mp4", "https:/user:***@host/a.mp4"),
        ("http://h/a?password=secret", "http://h/a?password=***"),
        ("http://h/a?user=me&PassWord=se/c?r=et&ch=1", "http://h/a?user=me&PassWord=***&ch=1"),
        ("http://h/a?access_token=secret&x=1", "http://h/a?access_token=***&x=1"),
        ("http://h/a?token=secret", "http://h/a?token=***"),
        ("http://h/a?x=1&api_key=secret", "http://h/a?x=1&api_key=***"),
        ("http://h/a?loginuse=admin&loginpas=secret", "http://h/a?loginuse=admin&loginpas=***"),
        ("http://h/a?usr=admin&pwd=secret&n=2", "http://h/a?usr=admin&pwd=***&n=2"),
        ("http://h/a?u=admin&pw=secret", "http://h/a?u=admin&pw=***"),
        (
            "https://s3/a?X-Amz-Credential=secret&X-Amz-Signature=secret",
            "https://s3/a?X-Amz-Credential=***&X-Amz-Signature=***",
        ),
        (
            "https://h/a?Expires=17&Signature=secret&Key-Pair-Id=secret",
            "https://h/a?Expires=17&Signature=***&Key-Pair-Id=***",
        ),
        ("srt://h:9000?mode=caller&passphrase=secret", "srt://h:9000?mode=caller&passphrase=***"),
        ("rtsp://h:554/user=admin&password=secret&channel=1", "rtsp://h:554/user=admin&password=***&channel=1"),
        ("rtsp://h:554/user=admin_password=secret_channel=1", "rtsp://h:554/user=admin_password=***"),
        ("http://u:secret@h/a?token=secret", "http://u:***@h/a?token=***"),
    ],
)
def test_what_lets_others_in_is_hidden(address: str, shown: str) -> None:
    assert masked(address) == shown
    assert masked(shown) == shown
    assert masked(f"the stream {address} does not open: why?") == f"the stream {shown} does not open: why?"
    assert "secret" not in masked(f"one {address}, two ({address}), three '{address}'")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "rtsp://host/stream",
        "rtsp://host:554/stream?channel=1&subtype=0",
        "http://10.0.0.8:8080/video@2x.mjpg",
        "http://localhost:8080/video@2x.mjpg",
        "http://host/a@b",
        "http://host/a?mail=me@there",
        "udp://@:5000",
        "udp://239.0.0.1:1234",
        "C:/Users/me@home/key=1.mp4",
        "/home/me@work/password=1.mp4",
        "talk.mp4: 12:30 / 13:00 me@there",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert masked(text) == text


def test_texts_in_json() -> None:
    content = {"a": ["rtsp://u:secret@h/", 1, None, 2.5], "b": {"c": "plain"}, "d": ("http://h/?token=secret",)}
    assert masked_values(content) == {
        "a": ["rtsp://u:***@h/", 1, None, 2.5],
        "b": {"c": "plain"},
        "d": ["http://h/?token=***"],
    }


# --- everywhere ---------------------------------------------------------------------------------------------------


def _with_login(server: MjpegServer) -> tuple[str, str]:
    """A server's address with secrets, and as it may be shown."""
    scheme, _, rest = server.url.partition("://")
    return f"{scheme}://user:secret@{rest}?token=secret", f"{scheme}://user:***@{rest}?token=***"


def test_a_camera_that_is_switched_off_is_told_without_its_password() -> None:
    ended, reasons, came = threading.Event(), [], threading.Event()

    def end(reason: Exception | None) -> None:
        reasons.append(reason)
        ended.set()

    with MjpegServer([numbered(1)], fps=50) as server:
        address, shown = _with_login(server)
        with Capture(address, lambda frame: came.set(), end, reconnect=0) as capture:
            assert came.wait(60)
            server.stop()
            assert ended.wait(60)
    assert str(reasons[0]) == f"the source {shown} stopped after {capture.captured} frames"


def test_what_the_window_says_while_a_camera_is_away() -> None:
    came = threading.Event()
    with MjpegServer([numbered(1)], fps=50) as server:
        address, shown = _with_login(server)
        with Capture(address, lambda frame: came.set(), lambda reason: None) as capture:
            assert came.wait(60)
            server.stop()
            while capture.outage is None:
                capture._stop.wait(0.01)
            assert capture.outage.reason.startswith(f"the source {shown} ")


@pytest.mark.slow
def test_a_live_run_writes_no_password(tmp_path: Path, quick_network: list[str]) -> None:
    with MjpegServer([numbered(i) for i in range(10)], fps=25) as server:
        address, _ = _with_login(server)
        written = ["--record", tmp_path / "seen.mp4", "--json", tmp_path / "summary.json"]
        finished = run("live", address, "--headless", "--max-frames", 3, "-v", *written, *quick_network)
    assert finished.code == 0, finished.err
    assert "secret" not in finished.out + finished.err
    assert json.loads((tmp_path / "summary.json").read_text())["frames"] == 3
    for path in tmp_path.iterdir():
        assert b"secret" not in path.read_bytes(), path


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--debug"]])
def test_a_stream_that_is_refused_is_told_without_its_password(flags: list[str]) -> None:
    finished = run("live", "rtsp://user:secret@127.0.0.1:9/a?token=secret", "--headless", *flags)
    assert finished.code == 1
    assert "the stream rtsp://user:***@127.0.0.1:9/a?token=*** does not open" in finished.err
    assert ("Traceback" in finished.err) == bool(flags)
    assert "secret" not in finished.out + finished.err
