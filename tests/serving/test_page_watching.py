"""Sources of the server that go wrong, and those that are not recordings."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from mjpeg_server import MjpegServer
from page_server import running_server

from live_gradcam.errors import SourceError
from live_gradcam.serving.messages import STILL
from live_gradcam.serving.server.feed import title_of
from live_gradcam.serving.server.watching import _jpeg


def grey(level: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


@pytest.mark.slow
def test_a_camera_that_stops_and_comes_back() -> None:
    with MjpegServer([grey(90)], fps=20) as camera:
        port = camera.port
        with running_server([camera.url]) as server, server.client() as client:
            assert client.until("hello")["sources"] == [{"index": 0, "name": "127.0.0.1"}]
            client.until("ready")
            client.send(type="watch", source=0)
            assert client.answer().facts["brightness"] == pytest.approx(90, abs=1)
            camera.stop()
            assert client.until("notice") == {
                "type": "notice",
                "text": "127.0.0.1 has stopped.",
                "is_error": True,
                "words": "{source} has stopped.",
                "values": {"source": "127.0.0.1"},
            }
            with server.client() as late:
                late.until("ready")
                late.send(type="watch", source=0)
                assert late.until("notice")["text"] == "127.0.0.1 has stopped."
            with MjpegServer([grey(200)], fps=20, port=port):
                back = client.until("notice")
                assert (back["text"], back["is_error"]) == ("127.0.0.1 is back.", False)
                brightness = 0.0
                while brightness != pytest.approx(200, abs=1):
                    client.send(type="ready")
                    brightness = client.answer().facts["brightness"]


def test_a_picture_stays(tmp_path: Path) -> None:
    """It has one frame, which whoever comes later sees too, and which is explained again when something is chosen."""
    cv2.imwrite(str(tmp_path / "cat.png"), grey(70))
    with running_server([str(tmp_path / "cat.png")]) as server:
        for _ in range(2):
            with server.client() as client:
                client.until("ready")
                client.send(type="watch", source=0)
                assert client.answer().facts["brightness"] == pytest.approx(70, abs=1)
                client.send(type="ready")
                client.send(type="command", name="pin", argument=3)
                assert client.until("state")["state"] == {"pinned": 3}
                client.send(type="ready")
                while (answer := client.answer()).facts["pinned"] != 3:
                    client.send(type="ready")
                assert answer.facts["flags"] == STILL


def test_a_source_that_does_not_open_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"broken\.mp4"), running_server([str(tmp_path / "broken.mp4")]):
        pass


@pytest.mark.parametrize(
    ("uri", "title"),
    [
        ("0", "camera 0"),
        ("/dev/video2", "camera 2"),
        ("/home/ann/private/tour.mp4", "tour.mp4"),
        ("shots/", "shots"),
        ("rtsp://ann:secret@cam.example:554/live?token=abc", "cam.example"),
        ("udp://@:5000", "udp"),
    ],
)
def test_visitors_learn_no_folders_and_no_passwords(uri: str, title: str) -> None:
    assert title_of(uri) == title


@pytest.mark.parametrize(
    ("size", "shown"),
    [((360, 640), (360, 640)), ((2160, 3840), (720, 1280)), ((1440, 1080), (720, 540)), ((10, 9000), (1, 1280))],
)
def test_large_frames_are_made_smaller(size: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = cv2.imdecode(np.frombuffer(_jpeg(grey(120, size)), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == shown
    assert abs(int(picture[0, 0, 0]) - 120) <= 1
