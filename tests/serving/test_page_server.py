"""The page's server with real sockets and real worker processes, whose worker has no network."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_worker import MAP, MODEL, FakeWorker
from page_server import SECONDS, TOKEN, RunningServer, jpeg, running_server

from live_gradcam import serving
from live_gradcam.drawing.overlay import COLORMAPS, colours_against
from live_gradcam.errors import LiveGradcamError
from live_gradcam.serving.hello import PAGE_COMMANDS
from live_gradcam.serving.messages import NEW_SOURCE, Answer, FrameBytes, pack_frame, parse_answer, parse_posted
from live_gradcam.serving.server import keeping
from live_gradcam.sources.opening import open_source


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 10 frames in 0.4 seconds, which become brighter: 20, 40, …, 200."""
    path = tmp_path_factory.mktemp("clip") / "brighter.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for step in range(10):
        writer.write(np.full((48, 64, 3), 20 * (step + 1), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for what visitors save."""
    return tmp_path_factory.mktemp("kept") / "visitors"


@pytest.fixture(scope="module")
def server(clip: Path, kept: Path) -> Iterator[RunningServer]:
    """A server with a source, which keeps what visitors save."""
    with running_server([str(clip)], keep=kept) as server:
        with server.client() as client:
            client.until("ready")
        yield server


def test_what_a_viewer_is_told_first(server: RunningServer) -> None:
    with server.client() as client:
        hello = client.receive()
        assert isinstance(hello, dict)
        assert hello["type"] == "hello"
        assert hello["version"] == 1
        assert len(hello["viewer"]) >= 20
        assert hello["limits"] == {"message_bytes": 1 << 20, "pixels": 1 << 22, "in_flight": 2}
        assert hello["sources"] == [{"index": 0, "name": "brighter.avi"}]
        assert hello["keeps"] is True
        assert hello["defaults"] == {
            "view": "overlay",
            "colormap": "turbo",
            "alpha": 0.5,
            "mirror": None,
            "boxes": False,
        }
        commands = {row["name"]: row for row in hello["commands"]}
        assert commands["pin-place"]["keys"] == "1234567890"
        assert commands["pin-place"]["key_arguments"] == list(range(1, 11))
        assert commands["teach-undo"]["teaching"] is True
        assert "quit" not in commands
        assert set(hello["page_commands"]) <= set(commands)
        ready, state = client.receive(), client.receive()
        assert isinstance(ready, dict)
        assert isinstance(state, dict)
        assert (ready["type"], ready["model"]) == ("ready", "fake")
        assert state == {"type": "state", "revision": 1, "state": {"pinned": -1}}


def test_the_description_names_what_the_page_does_itself() -> None:
    description = (Path(__file__).parents[2] / "docs" / "page-messages.md").read_text(encoding="utf-8")
    found = re.search(r"\(`PAGE_COMMANDS`: ([^)]*)\)", description)
    assert found is not None
    assert tuple(found[1].split(", ")) == PAGE_COMMANDS


def test_a_frame_and_its_answer(server: RunningServer) -> None:
    with server.client() as client:
        number = client.send_frame(jpeg(120, (36, 64)), NEW_SOURCE)
        answer = client.answer()
        assert answer.id == number
        assert answer.is_watched is False
        assert answer.facts == {
            "revision": 1,
            "frame": {"width": 64, "height": 36},
            "brightness": 120.0,
            "pinned": -1,
            "flags": NEW_SOURCE,
        }
        assert answer.maps == MAP.tobytes()
        assert answer.jpeg == b""


def test_commands_are_the_viewers_own(server: RunningServer) -> None:
    with server.client() as one, server.client() as other:
        one.send(type="command", name="pin", argument=281)
        assert one.until("state", lambda state: state["revision"] == 2)["state"] == {"pinned": 281}
        assert one.explained(50).facts["pinned"] == 281
        assert other.explained(50).facts["pinned"] == -1
        one.send(type="refresh")
        assert one.until("state")["state"] == {"pinned": 281}
        one.send(type="command", name="fly")
        notice = one.until("notice")
        assert notice == {"type": "notice", "text": "there is no command 'fly'", "is_error": True}
        one.send(type="command", name="stumble")
        assert one.until("notice")["text"] == "unexpected ZeroDivisionError: a mistake"
        assert one.explained(60).facts["brightness"] == 60


def test_what_changes_without_a_frame_is_asked_for(server: RunningServer) -> None:
    with server.client() as client:
        client.send(type="command", name="wait")
        assert client.until("notice")["text"] == "it is done"


def test_frames_of_two_viewers_are_explained_at_a_time() -> None:
    """Neither is answered before the worker has both: so it has them at the same time."""
    with (
        running_server(worker=FakeWorker(threads=2)) as server,
        server.client() as one,
        server.client() as other,
    ):
        for client in (one, other):
            client.until("state")
        for level in (40, 80):
            numbers = [client.send_frame(jpeg(level)) for client in (one, other)]
            answers = [client.answer() for client in (one, other)]
            assert [answer.id for answer in answers] == numbers
            assert [answer.facts["brightness"] for answer in answers] == [level, level]


def test_the_newest_frame_takes_the_place_of_those_that_wait(server: RunningServer) -> None:
    """Of ten frames that come while the worker stands still, it has two; of the others the last is explained."""
    with server.client() as client:
        worker = client.until("ready")["process"]
        client.until("state")
        os.kill(worker, signal.SIGSTOP)
        try:
            numbers = [client.send_frame(jpeg(level)) for level in range(10, 110, 10)]
            client.send(type="refresh")
            client.until("state")  # which the server answers by itself, after the frames
        finally:
            os.kill(worker, signal.SIGCONT)
        levels = dict(zip(numbers, range(10, 110, 10), strict=True))
        answered = []
        while not answered or answered[-1] != numbers[9]:  # an answer that is not sent yet gives way to a newer one
            answer = client.answer()
            answered.append(answer.id)
            assert answer.facts["brightness"] == levels[answer.id]
        assert answered == sorted(answered)
        assert set(answered) <= {numbers[0], numbers[1], numbers[9]}


@pytest.mark.slow
def test_a_source_is_explained_once_for_all_who_watch(server: RunningServer) -> None:
    with server.client() as one, server.client() as other:
        for client in (one, other):
            client.until("state")
            client.send(type="watch", source=0)
        states = [client.until("state") for client in (one, other)]
        assert states[0] == states[1]
        both = {}
        for client in (one, other):
            answers = []
            for _ in range(8):
                answers.append(client.answer())
                client.send(type="ready")
            assert all(answer.is_watched for answer in answers)
            for answer in answers:
                picture = cv2.imdecode(np.frombuffer(answer.jpeg, np.uint8), cv2.IMREAD_COLOR)
                assert picture.shape == (48, 64, 3)
                assert abs(picture.mean() - answer.facts["brightness"]) < 0.1
                assert (
                    answer.facts["brightness"] % 20 == pytest.approx(0, abs=2) or answer.facts["brightness"] % 20 > 18
                )
                assert both.setdefault(answer.id, answer.jpeg) == answer.jpeg
        assert answers[-1].facts["viewers"] in (1, 2)
        one.send(type="command", name="pin", argument=7)
        assert other.until("state")["state"] == {"pinned": 7}
        one.send(type="watch", source=None)
        assert one.until("state", lambda state: state["state"]["pinned"] == -1)
        assert one.explained(30).facts["pinned"] == -1


@pytest.mark.slow
def test_who_does_not_draw_gets_no_more_frames(server: RunningServer) -> None:
    with server.client() as slow, server.client() as quick:
        slow.send(type="watch", source=0)
        quick.send(type="watch", source=0)
        first = slow.answer()
        seen = []
        for _ in range(12):  # more than a round of the recording
            seen.append(quick.answer())
            quick.send(type="ready")
        slow.send(type="ready")
        second = slow.answer()
        assert second.id >= seen[-2].id > first.id + 5
        with pytest.raises(TimeoutError):
            slow.connection.recv(0.3)


@pytest.mark.slow
def test_a_recording_begins_again(server: RunningServer) -> None:
    with server.client() as client:
        client.send(type="watch", source=0)
        begun, answers = 0, 0
        while begun < 2:
            begun += client.answer().facts["flags"] == NEW_SOURCE
            client.send(type="ready")
            answers += 1
        assert answers <= 22  # of two rounds of ten frames


def test_the_stream_is_read_back(server: RunningServer) -> None:
    """As `live http://…/stream.mjpg?token=…` reads it: with the red corner that says that it is drawn."""
    with open_source(f"http://127.0.0.1:{server.port}/stream.mjpg?token={TOKEN}") as source:
        for frame, _ in zip(source.frames(), range(5), strict=False):
            assert frame.image.shape == (48, 64, 3)
            assert frame.image[3:8, 3:8, 2].min() > 200
            assert frame.image[3:8, 3:8, 0].max() < 60


def test_the_streams_boundary_is_in_no_picture(server: RunningServer) -> None:
    import http.client

    boundaries = []
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        connection.request("GET", f"/stream.mjpg?token={TOKEN}")
        response = connection.getresponse()
        found = re.fullmatch(
            r"multipart/x-mixed-replace;boundary=(live-gradcam-[0-9a-f]{48})", response.headers["content-type"]
        )
        assert found is not None
        boundaries.append(found[1])
        content = response.read1(200)
        assert content.startswith(f"--{found[1]}\r\nContent-Type: image/jpeg\r\nContent-Length: ".encode())
        connection.close()
    assert boundaries[0] != boundaries[1]


def test_the_same_messages_by_post(server: RunningServer) -> None:
    def messages(path: str) -> list[Any]:
        status, _, content = server.ask(path, "POST")
        assert status == 200
        return [json.loads(one) if isinstance(one, str) else parse_answer(one) for one in parse_posted(content)]

    first = messages("/post/open")
    assert first[0]["type"] == "hello"
    viewer = first[0]["viewer"]
    while not any(isinstance(one, dict) and one["type"] == "state" for one in first):
        first += messages(f"/post/receive?viewer={viewer}")
    frame = pack_frame(FrameBytes(5, 0, 0.5, jpeg(77)))
    binary, text = {"Content-Type": "application/octet-stream"}, {"Content-Type": "application/json"}
    assert server.ask(f"/post/send?viewer={viewer}", "POST", frame, binary)[0] == 204
    answers: list[Any] = []
    while not any(isinstance(one, Answer) for one in answers):
        answers += messages(f"/post/receive?viewer={viewer}")
    assert answers[-1].id == 5
    assert answers[-1].facts["brightness"] == 77
    command = b'{"type": "command", "name": "pin", "argument": 3}'
    assert server.ask(f"/post/send?viewer={viewer}", "POST", command, text)[0] == 204
    assert messages(f"/post/receive?viewer={viewer}")[-1]["state"] == {"pinned": 3}
    assert server.ask(f"/post/send?viewer={viewer}", "POST", b"\xff", text)[0] == 400
    assert server.ask(f"/post/send?viewer={viewer}", "POST", bytes((1 << 20) + 1), binary)[0] == 413
    assert server.ask(f"/post/close?viewer={viewer}", "POST")[0] == 204
    for path in (f"/post/receive?viewer={viewer}", f"/post/send?viewer={viewer}", "/post/receive"):
        assert server.ask(path, "POST")[0] == 404


def test_the_colours(server: RunningServer) -> None:
    for name in ("turbo", "viridis"):
        status, headers, content = server.ask(f"/colours/{name}")
        assert status == 200
        assert headers["content-type"] == "application/octet-stream"
        levels = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], COLORMAPS[name])[:, 0]
        assert np.array_equal(np.frombuffer(content, np.uint8).reshape(256, 3), levels[:, ::-1])
    against = np.frombuffer(server.ask("/colours/against")[2], np.uint8).reshape(256, 3)
    assert np.array_equal(against, colours_against()[:, 0, ::-1])
    assert server.ask("/colours/plaid")[0] == 404


def test_the_taught_model(server: RunningServer) -> None:
    with server.client() as client:
        hello = client.until("hello")
        client.until("state")
        status, _, content = server.ask(f"/model?viewer={hello['viewer']}")
        assert (status, content) == (409, b"nothing was taught\n")
        client.send(type="command", name="pin", argument=1)
        client.until("state")
        status, headers, content = server.ask(f"/model?viewer={hello['viewer']}")
        assert (status, content) == (200, MODEL[1])
        assert headers["content-disposition"] == 'attachment; filename="taught.keras"'
    assert server.ask("/model?viewer=somebody")[0] == 404


def test_what_visitors_keep(server: RunningServer, kept: Path) -> None:
    with server.client() as client:
        viewer = client.until("hello")["viewer"]
        names = []
        for _ in range(2):
            status, _, content = server.ask(f"/keep?viewer={viewer}&name=cat.json", "POST", b'{"a": 1}')
            assert status == 200
            names.append(json.loads(content)["name"])
        assert names[0] != names[1]
        assert all((kept / name).read_bytes() == b'{"a": 1}' for name in names)
        assert len(list(kept.glob("*-cat.json"))) == 2
        assert all(re.fullmatch(r"live-gradcam-[0-9]{8}-[0-9]{6}-[0-9]{3}-cat\.json", name) for name in names)
        for name in ("../cat.json", "cat.py", ".json", "", "a/b.png", "a%00.png", "CON", "x" * 200 + ".png"):
            assert server.ask(f"/keep?viewer={viewer}&name={name}", "POST", b"x")[0] == 400
    assert server.ask("/keep?viewer=somebody&name=cat.json", "POST", b"x")[0] == 404


@contextmanager
def upload(server: RunningServer, viewer: str, name: str) -> Iterator[socket.socket]:
    """A file of eight bytes to be kept, of which nothing but the name was sent."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as connection:
        head = f"POST /keep?viewer={viewer}&name={name} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        connection.sendall(f"{head}Authorization: Bearer {TOKEN}\r\nContent-Length: 8\r\n\r\n".encode())
        yield connection


def test_a_slow_visitor_does_not_hold_up_what_others_keep(server: RunningServer, kept: Path) -> None:
    with server.client() as client:
        viewer = client.until("hello")["viewer"]
        with upload(server, viewer, "slow.webm") as slow:
            slow.sendall(b"half")
            begun = time.monotonic()
            assert server.ask(f"/keep?viewer={viewer}&name=quick.json", "POST", b"{}")[0] == 200
            assert time.monotonic() - begun < 20
            slow.sendall(b"half")
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
    (film,) = kept.glob("*-slow.webm")
    assert film.read_bytes() == b"halfhalf"


@pytest.mark.slow
@pytest.mark.parametrize(("silent", "most", "status"), [(5.0, 60.0, 200), (0.05, 60.0, 408), (5.0, 0.5, 408)])
def test_who_goes_on_sending_has_time_but_not_for_ever(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, silent: float, most: float, status: int
) -> None:
    monkeypatch.setattr(keeping, "_SILENT_SECONDS", silent)
    monkeypatch.setattr(keeping, "_MOST_SECONDS", most)
    with server.client() as client, upload(server, client.until("hello")["viewer"], "film.webm") as slow:
        with suppress(ConnectionError):  # the server has answered, and closed it
            for _ in range(8):
                time.sleep(0.2)
                slow.sendall(b"x")
        assert slow.recv(100).startswith(f"HTTP/1.1 {status}".encode())


def test_what_could_not_be_written_takes_no_room(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_MOST_BYTES_IN_ALL", 1000)
    write = keeping._write
    with server.client() as client:
        path = f"/keep?viewer={client.until('hello')['viewer']}&name=small.json"

        def fail(*_: object) -> str:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(keeping, "_write", fail)
        status, _, content = server.ask(path, "POST", bytes(900))
        assert (status, content) == (507, b"it cannot be written: No space left on device\n")
        monkeypatch.setattr(keeping, "_write", write)
        assert server.ask(path, "POST", bytes(900))[0] == 200
        assert server.ask(path, "POST", bytes(101))[2] == b"this server keeps no more\n"
        assert server.ask(path, "POST", bytes(10))[0] == 200


def test_a_file_that_breaks_off_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        keeping._write(tmp_path, "cat.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def test_two_files_of_one_moment_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["now", "now", "later"])
    monkeypatch.setattr(keeping, "timestamped_name", lambda suffix: next(names) + suffix)
    assert [keeping._write(tmp_path, "cat.json", b"{}") for _ in range(2)] == ["now-cat.json", "later-cat.json"]


def test_a_picture_is_explained_for_a_program(server: RunningServer) -> None:
    status, headers, content = server.ask("/api/explain?class=cat&class=7", "POST", jpeg(9, (20, 30)))
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(content) == {"width": 30, "height": 20, "classes": ["cat", "7"]}
    status, _, content = server.ask("/api/explain?class=nobody", "POST", jpeg())
    assert (status, json.loads(content)) == (400, {"error": "there is no class 'nobody'"})
    status, _, content = server.ask(f"/api/explain?clas=cat&token={TOKEN}", "POST", jpeg())
    assert (status, json.loads(content)) == (
        400,
        {"error": "there is no parameter 'clas': give class, which may be repeated"},
    )
    assert server.ask(f"/api/explain?token={TOKEN}&class=cat", "POST", jpeg())[0] == 200
    assert server.ask("/api/explain", "POST", b"GIF89a")[0] == 400
    assert server.ask("/api/explain", "POST", bytes((1 << 20) + 1))[0] == 413
    assert server.ask("/api/explain")[0] == 405
    described = json.loads(server.ask("/api/openapi.json")[2])
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {"/api/explain"}
    (parameter,) = described["paths"]["/api/explain"]["post"]["parameters"]
    assert "maxItems" not in parameter["schema"]  # how many there may be is what serve was told


def test_the_files_of_the_page(server: RunningServer) -> None:
    folder = Path(serving.__file__).parent / "page"
    for path, name, kind in (
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/page/main.js", "main.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "style.css", "text/css; charset=utf-8"),
        ("/favicon.ico", "icon.svg", "image/svg+xml"),
    ):
        status, headers, content = server.ask(path)
        assert (status, headers["content-type"], headers["cache-control"]) == (200, kind, "no-cache")
        assert content == (folder / name).read_bytes()
        assert server.ask(path, headers={"If-None-Match": headers["etag"]})[0] == (
            304 if path.startswith("/page") else 200
        )
    _, headers, content = server.ask("/page/style.css", headers={"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(content) == (folder / "style.css").read_bytes()


def test_what_is_not_there(server: RunningServer) -> None:
    assert server.ask("/nothing")[0] == 404
    assert server.ask("/page/../serve.py")[0] == 404
    assert server.ask("/page/%2e%2e/serve.py")[0] == 404
    assert server.ask("/ca.pem")[0] == 404
    assert server.ask("/stream.mjpg?source=1")[0] == 404
    assert server.ask("/stream.mjpg?source=-1")[0] == 404
    assert server.ask("/colours/turbo", "HEAD")[::2] == (200, b"")


def test_a_server_that_keeps_nothing_says_so() -> None:
    with running_server() as server, server.client() as client:
        hello = client.until("hello")
        assert hello["keeps"] is False
        assert server.ask(f"/keep?viewer={hello['viewer']}&name=a.png", "POST", b"x")[0] == 403
        assert server.ask("/stream.mjpg")[0] == 404


@pytest.mark.slow
def test_the_page_is_there_before_the_network() -> None:
    with running_server(worker=FakeWorker(starting=1.0)) as server, server.client() as client:
        client.until("starting")
        number = client.send_frame(jpeg(40))
        status, _, content = server.ask("/api/explain", "POST", jpeg())
        assert status == 503
        assert b"starting" in content
        client.send(type="command", name="pin", argument=3)
        assert "starting" in client.until("notice")["text"]
        client.until("ready")
        assert client.answer().id == number


def test_a_network_that_does_not_start_ends_the_server() -> None:
    with pytest.raises(LiveGradcamError, match=r"there is no model cat\.keras"):  # noqa: SIM117
        with running_server(worker=FakeWorker(fails="there is no model cat.keras")) as server:
            server.thread.join(SECONDS)


@pytest.mark.alone
def test_the_end_is_told_and_quick() -> None:
    """The page hears that it may come back; whoever streams or owes an answer does not hold the server up."""
    with running_server(worker=FakeWorker(seconds=5)) as server, server.client() as client:
        client.until("state")
        client.send_frame(jpeg())
        asked = time.monotonic()
        server.stop.set()
        assert client.until("bye") == {"type": "bye", "text": "The server has stopped.", "reconnect": True}
        server.thread.join(SECONDS)
        assert time.monotonic() - asked < 3
