"""What strangers send, and that it disturbs nobody else."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import environment
from page_server import SECONDS, TOKEN, Client, RunningServer, jpeg, running_server
from test_page_messages import FRAME, TEXTS, mutated
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from live_gradcam.serving.messages import MESSAGE_BYTES, FrameBytes, pack_frame
from live_gradcam.serving.server import listening, service


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        with server.client() as client:
            client.until("ready")
        yield server


@contextmanager
def undisturbed(server: RunningServer) -> Iterator[None]:
    """While this runs, another viewer gets right answers to all frames that it waits for."""
    ended, failures, explained = threading.Event(), [], []

    def look() -> None:
        try:
            with server.client() as client:
                for level in [10, 60, 110, 160, 210] * 1000:
                    if ended.is_set() and len(explained) >= 5:
                        return
                    explained.append(client.explained(level).facts["brightness"] == level)
        except BaseException as failure:  # raised again by the test
            failures.append(failure)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(SECONDS)
    assert not thread.is_alive()
    if failures:
        raise failures[0]
    assert all(explained)


def bomb() -> bytes:
    """A JPEG of a few bytes that would become 12 gigabytes."""
    small = jpeg()
    place = small.index(b"\xff\xc0") + 5
    return small[:place] + struct.pack(">HH", 65500, 65500) + small[place + 4 :]


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (bomb(), "the picture has 65500x65500 pixels: at most 4194304 are taken"),
        (cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes(), "the picture is no JPEG"),
        (b"GIF89a\1\0\1\0\0\0\0;", "the picture is no JPEG"),
        (jpeg()[:40], "the JPEG is cut off"),
        (b"\xff", "the picture is no JPEG"),
        (jpeg() + b"\xff\xda\0\3\0" * 50, "the JPEG has too many scans"),
        (jpeg()[:20] + b"\xff\xc0\0\x0b\x08\0\x08\0\x08\1\1\x11\0\xff\xd9", "the picture is damaged"),
    ],
)
def test_a_picture_that_is_refused_is_answered(server: RunningServer, picture: bytes, told: str) -> None:
    with undisturbed(server), server.client() as client:
        number = client.send_frame(picture)
        error = client.until("error")
        assert error == {"type": "error", "text": told, "id": number}
        assert client.explained(70).facts["brightness"] == 70


@pytest.mark.parametrize("message", [b"", b"\1", FRAME[:24], "", "{", "[]", '{"type": "quit"}', "\0", '"' * 4000])
def test_cut_and_empty_messages(server: RunningServer, message: bytes | str) -> None:
    with server.client() as client:
        client.connection.send(message)
        assert client.until("error")["id"] is None
        assert client.explained(70).facts["brightness"] == 70


@pytest.mark.parametrize("message", [bytes(MESSAGE_BYTES + 1), "x" * (MESSAGE_BYTES + 1)])
def test_a_message_that_is_too_large_ends_the_connection(server: RunningServer, message: bytes | str) -> None:
    with undisturbed(server), server.client() as client:
        assert end_after(client, message) == 1009


def end_after(client: Client, message: bytes | str | Iterable[bytes]) -> int | None:
    """The code with which the server ends the connection after a message."""
    try:
        client.connection.send(message)
        while True:
            client.receive()
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd else None


def test_a_message_in_parts_is_not_larger(server: RunningServer) -> None:
    with server.client() as client:
        assert end_after(client, (bytes(100_000) for _ in range(12))) == 1009
    with server.client() as client:
        frame = pack_frame(FrameBytes(1, 0, 0.0, jpeg(33)))
        client.connection.send([frame[:10], frame[10:30], frame[30:]])
        assert client.answer().facts["brightness"] == 33


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frames", "commands", "nonsense"])
def test_ten_thousand_messages_at_once(server: RunningServer, kind: str) -> None:
    """They are read as slowly as they may come: the connection fills up, and nothing of the server does."""
    frame = pack_frame(FrameBytes(1, 0, 0.0, jpeg()))
    message = {"frames": frame, "commands": TEXTS[0].decode(), "nonsense": b"\0" * 100}[kind]
    with undisturbed(server), server.client() as client:
        sending = threading.Thread(target=send_all, args=(client, message, 10_000), daemon=True)
        sending.start()
        sending.join(1.0)
        client.connection.socket.shutdown(socket.SHUT_RDWR)
        sending.join(SECONDS)
    assert not sending.is_alive()


def send_all(client: Client, message: bytes | str, count: int) -> None:
    with suppress(ConnectionClosed, OSError):
        for _ in range(count):
            client.connection.send(message)


def test_mutated_messages(server: RunningServer) -> None:
    """Seeded; as many as a viewer may send in a few seconds. The parser meets 10,000 in another test."""
    chance = random.Random(7)
    with undisturbed(server):
        for _ in range(6):
            with server.client() as client, suppress(ConnectionClosed):
                for _ in range(60):
                    whole = pack_frame(FrameBytes(chance.randrange(1, 9), 0, 0.0, jpeg()))
                    client.connection.send(mutated(whole, chance))
                    client.connection.send(mutated(chance.choice(TEXTS), chance).decode("utf-8", "replace"))
    with server.client() as client:
        assert client.explained(80).facts["brightness"] == 80


def raw_viewer(port: int, receive_bytes: int | None = None) -> socket.socket:
    """A viewer's connection of which nothing is read but the handshake."""
    connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(SECONDS)
    connection.connect(("127.0.0.1", port))
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    connection.sendall(
        f"GET /ws?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    while b"\r\n\r\n" not in connection.recv(1):
        if connection.recv(2, socket.MSG_PEEK).startswith(b"\x81"):
            break
    return connection


def masked_frame(message: bytes) -> bytes:
    """A binary WebSocket message of up to 64 KiB, masked with zeros."""
    return b"\x82\xfe" + struct.pack(">H", len(message)) + bytes(4) + message


@pytest.mark.slow
def test_who_never_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(listening, "_SEND_BUFFER_BYTES", 4096)
    with running_server(max_clients=2) as server, undisturbed(server):
        connection = raw_viewer(server.port, 4096)
        frame = masked_frame(pack_frame(FrameBytes(1, 0, 0.0, jpeg(size=(8, 8)))))
        connection.settimeout(0.5)
        until = time.monotonic() + SECONDS
        with suppress(TimeoutError, OSError):
            while time.monotonic() < until:
                connection.sendall(frame * 20)
        is_let_in = False
        while not is_let_in and time.monotonic() < until:
            with server.client() as client:
                is_let_in = client.receive()["type"] == "hello"  # type: ignore[index,call-overload]
        assert is_let_in  # there was room for two alone
        connection.close()


@pytest.mark.slow
def test_who_never_asks_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_SILENCE_SECONDS", 0.3)
    with running_server() as server:
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(20)]
            silent[0].sendall(b"GET / HTTP/1.1\r\nHost: 127.")
            for connection in silent:
                connection.settimeout(SECONDS)
                assert connection.recv(1) == b""
        with server.client() as client:  # who speaks WebSocket stays
            client.until("ready")
            time.sleep(0.8)
            assert client.explained(20).facts["brightness"] == 20


@pytest.mark.slow
def test_viewers_that_come_and_go_leave_nothing(server: RunningServer) -> None:
    with undisturbed(server):
        for _ in range(60):
            with server.client() as client:
                client.send_frame(jpeg())
    with server.client() as client:
        assert client.explained(90).facts["brightness"] == 90


_PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:3]
if __name__ == "__main__":
    from functools import partial
    from fake_worker import FakeWorker
    from live_gradcam.serving.options import ServeOptions
    from live_gradcam.serving.serve import serve
    stopped = serve([sys.argv[3]], options=ServeOptions(port=0, token=sys.argv[4]), worker=partial(FakeWorker, 0.2),
                    on_start=lambda address: print(address.port, flush=True))
    sys.exit(130 if stopped else 1)
"""


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_all_of_that_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    """It ends within 3 seconds, and no process is left."""
    clip = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(10):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    folders = (os.getcwd(), str(Path(__file__).parent))
    process = subprocess.Popen(
        [sys.executable, str(program), *folders, str(clip), TOKEN], stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with ExitStack() as stack:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            clients = [
                Client(stack.enter_context(connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers)))
                for _ in range(4)
            ]
            worker = clients[0].until("ready")["process"]
            unread = stack.enter_context(raw_viewer(port, 4096))
            unread.sendall(masked_frame(pack_frame(FrameBytes(1, 0, 0.0, jpeg()))))
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stream.sendall(f"GET /stream.mjpg?token={TOKEN} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            clients[1].send(type="watch", source=0)
            clients[2].send_frame(jpeg())
            clients[1].answer()
            clients[3].send(type="command", name="sleep", argument=30)
            asked = time.monotonic()
            process.send_signal(number)
            assert process.wait(SECONDS) == 130
            assert time.monotonic() - asked < 3
        while is_there(worker):
            assert time.monotonic() - asked < SECONDS
    finally:
        process.kill()
        process.wait()


def is_there(process: int) -> bool:
    try:
        return json.loads(f'"{Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]}"') != "Z"
    except OSError:
        return False
