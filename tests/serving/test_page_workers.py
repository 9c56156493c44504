"""Workers in processes: they share viewers, a lost one's viewers go on with another, and it is started again."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_worker import FakeWorker
from page_server import SECONDS, Client, RunningServer, jpeg, running_server

#: How soon a viewer goes on when the worker is lost.
GOES_ON_SECONDS = 2.0


@pytest.fixture
def pair() -> Iterator[RunningServer]:
    """A server with two workers, both ready."""
    with running_server(workers=2) as server:
        with server.client() as first:
            wait_for_another(server, process_of(first))
        yield server


def wait_for_another(server: RunningServer, process: int) -> None:
    """Wait until new viewers, who go where the fewest are, go to another process."""
    until = time.monotonic() + SECONDS
    while True:
        with server.client() as client:
            if process_of(client) != process:
                return
        assert time.monotonic() < until
        time.sleep(0.1)


def process_of(client: Client) -> int:
    """The process that explains for a viewer, as far as the viewer knows."""
    return int(client.until("ready")["process"])


@pytest.mark.slow
def test_viewers_are_shared_and_stay(pair: RunningServer) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(pair.client()) for _ in range(4)]
        processes = [process_of(client) for client in clients]
        assert sorted(Counter(processes).values()) == [2, 2]
        for level in (20, 90, 200):
            assert [client.explained(level).facts["brightness"] for client in clients] == [level] * 4


@pytest.mark.alone
def test_the_viewers_of_a_lost_worker_go_on_with_another(pair: RunningServer) -> None:
    """With what they chose, within two seconds; the others notice nothing."""
    with pair.client() as one, pair.client() as two:
        first, second = process_of(one), process_of(two)
        assert first != second
        one.send(type="command", name="pin", argument=5)
        one.until("state", lambda state: state["state"] == {"pinned": 5})
        two.send(type="command", name="pin", argument=8)
        two.until("state", lambda state: state["state"] == {"pinned": 8})
        lost_at = time.monotonic()
        os.kill(first, signal.SIGKILL)
        assert one.until("notice") == {
            "type": "notice",
            "text": "The network stopped. Another one goes on.",
            "is_error": True,
        }
        assert process_of(one) == second
        assert one.explained(50).facts["pinned"] == 5
        assert time.monotonic() - lost_at < GOES_ON_SECONDS
        assert two.explained(60).facts["pinned"] == 8
        wait_for_another(pair, second)  # the lost one is started again


@pytest.mark.slow
def test_frames_of_a_lost_worker_are_answered(pair: RunningServer) -> None:
    """No frame in flight is left without an answer: else the page would wait for ever."""
    with pair.client() as client:
        process = process_of(client)
        client.send(type="command", name="pin", argument=5)
        client.until("state", lambda state: state["state"] == {"pinned": 5})
        os.kill(process, signal.SIGSTOP)
        numbers = [client.send_frame(jpeg(level)) for level in (10, 20)]
        time.sleep(0.3)  # both are with the worker
        os.kill(process, signal.SIGKILL)
        answered: set[Any] = set()
        while not answered.issuperset(numbers):
            message = client.receive()
            if isinstance(message, dict):
                answered.add(message.get("id"))
        assert client.explained(30).facts["pinned"] == 5


@pytest.mark.slow
def test_the_only_worker_is_started_again() -> None:
    with running_server() as server, server.client() as client:
        first = process_of(client)
        client.send(type="command", name="pin", argument=4)
        client.until("state", lambda state: state["state"] == {"pinned": 4})
        client.send(type="command", name="die")
        assert client.until("starting")["text"] == "The network stopped. It is starting again."
        assert process_of(client) != first
        assert client.explained(44).facts["pinned"] == 4


@pytest.mark.slow
def test_a_worker_that_is_ready_takes_its_share() -> None:
    """Viewers who come while the first worker starts are not all left to it."""
    with running_server(workers=2) as server, ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(4)]
        processes: dict[int, int] = {}
        until = time.monotonic() + SECONDS
        while sorted(Counter(processes.values()).values()) != [2, 2]:
            assert time.monotonic() < until
            for number, client in enumerate(clients):
                try:
                    message = client.connection.recv(0.05)
                except TimeoutError:
                    continue
                if isinstance(message, str) and '"ready"' in message[:20]:
                    processes[number] = int(message.partition('"process":')[2].rstrip("}"))
        assert [client.explained(70).facts["brightness"] for client in clients] == [70] * 4


@pytest.mark.slow
def test_a_second_worker_that_does_not_start_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    worker = FakeWorker(only_one=str(tmp_path / "started"))
    told = "a network does not start, and is tried again: there is memory for one network alone"
    with running_server(workers=2, worker=worker) as server, server.client() as client:
        process_of(client)
        until = time.monotonic() + SECONDS
        while told not in caplog.messages:
            assert client.explained(50).facts["brightness"] == 50
            assert time.monotonic() < until


@pytest.mark.slow
def test_workers_in_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors of Ray on this machine. A killed one is started again, and its viewer goes on."""
    pytest.importorskip("ray")
    folders = (str(Path(__file__).parents[2]), str(Path(__file__).parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))  # where actors find the worker of the tests
    from live_gradcam import SessionOptions

    with running_server(cluster="local", session=SessionOptions(threads=1)) as server, server.client() as client:
        first = process_of(client)
        client.send(type="command", name="pin", argument=6)
        client.until("state", lambda state: state["state"] == {"pinned": 6})
        assert client.explained(33).facts == {**client.explained(33).facts, "brightness": 33, "pinned": 6}
        os.kill(first, signal.SIGKILL)
        assert process_of(client) != first
        assert client.explained(44).facts["pinned"] == 6
