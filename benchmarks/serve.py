"""How many viewers the page's server keeps up with: explained frames per second, latency, processor time, memory.

    python benchmarks/serve.py                            # 1 to 64 viewers
    python benchmarks/serve.py --clients 1,4 --seconds 30
    python benchmarks/serve.py --clients 1,4,16 --workers 2
    python benchmarks/serve.py --clients 1,2,8 --callers  # one frame at a time and two, in turns, and their ratio
    python benchmarks/serve.py --browser                  # one viewer in a real browser on the same processors

Each viewer is a connection of its own that sends what a page sends of a 720p camera: JPEGs of 640 × 360 of the tour, 30
per second, two in flight at most, the newest wins. The viewers are in a process of their own. Processor time and memory
are those of the server and its workers; the rest of the cores is the viewers'. The last table says what other numbers
of cores would carry by the measured processor time per frame.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from websockets.asyncio.client import connect

from live_gradcam.serving.messages import IN_FLIGHT, FrameBytes, pack_frame, parse_answer
from live_gradcam.sources.reader import VideoReader

_ROOT = Path(__file__).parents[1]
_FPS = 30
_SIZE, _QUALITY = (640, 360), 80
#: The first seconds of each row are not counted.
_WARM_UP_SECONDS = 3.0
_CORES = (1, 2, 4, 8, 16, 32, 64)
#: The variable that says to a server's processes how many frames they explain at a time.
CALLERS_VARIABLE = "SERVE_BENCHMARK_CALLERS"
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="1,2,4,8,16,32,64", help="with commas")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--engine", default="xla")
    parser.add_argument("--fit", default="auto")
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--callers", action="store_true", help="compare one frame at a time with two")
    parser.add_argument("--rounds", type=int, default=3, help="of --callers")
    parser.add_argument("--browser", action="store_true", help="one viewer in Chromium instead")
    options = parser.parse_args()
    flags = ["--workers", str(options.workers), "--engine", options.engine, "--fit", options.fit]
    flags += ["--max-clients", "128", "--model", options.model]
    if options.callers:
        compare_callers(flags, [int(count) for count in options.clients.split(",")], options.rounds, options.seconds)
        return
    with serving(flags) as server:
        if options.browser:
            row = of_browser(server, options.seconds)
            print_rows([row])
            return
        rows = [of_clients(server, int(count), options.seconds) for count in options.clients.split(",")]
    print_rows(rows)
    print_cores(rows)


@dataclass
class Row:
    """What was measured.

    Attributes:
        clients: how many viewers there were.
        fps: explained frames per second of each.
        trips: seconds from sending to the answer.
        cpu: seconds of processor time of the server and its workers per explained frame, each.
        sent: bytes up per explained frame.
        received: bytes down per explained frame.
        memory: MiB of the server and its workers.
    """

    clients: int
    fps: list[float]
    trips: list[float]
    cpu: dict[str, float]
    sent: float
    received: float
    memory: dict[str, float]


@dataclass
class Server:
    """A server that runs.

    Attributes:
        address: of the page, with the token.
        pid: of its process.
    """

    address: str
    pid: int

    def processor_seconds(self) -> dict[str, float]:
        """Processor time of the server, and of all its workers together, so far."""
        return {"server": _seconds(self.pid), "workers": sum(map(_seconds, children(self.pid)))}

    def memory(self) -> dict[str, float]:
        """MiB in use."""
        return {"server": _mebibytes(self.pid), "workers": sum(map(_mebibytes, children(self.pid)))}


def children(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    direct = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*direct, *(grandchild for child in direct for grandchild in children(child))]


def _seconds(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / _TICKS


def _mebibytes(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@contextmanager
def serving(flags: list[str], callers: int | None = None) -> Iterator[Server]:
    """A server whose network is ready; with so many frames explained at a time, whatever is faster."""
    program = ["-m", "live_gradcam"] if callers is None else [__file__]
    command = [sys.executable, *program, "serve", "--port", "0", *flags]
    environment = os.environ if callers is None else {**os.environ, CALLERS_VARIABLE: str(callers)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        found = next(match for line in process.stdout if (match := re.search(r"https?://\S+", line)))
        server = Server(found.group(), process.pid)
        asyncio.run(_until_ready(server.address))
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def socket_address(page: str) -> str:
    """Where the page of an address has its socket."""
    return page.replace("http", "ws", 1).replace("/?", "/ws?")


async def _until_ready(page: str) -> None:
    async with connect(socket_address(page), max_size=None, compression=None) as socket:
        async for message in socket:
            if isinstance(message, str) and '"ready"' in message[:20]:
                return


# --- viewers ------------------------------------------------------------------------------------------------------


def of_clients(server: Server, count: int, seconds: float) -> Row:
    """What so many viewers get."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_view, args=(server.address, count, seconds, theirs), daemon=True)
    process.start()
    ours.recv()  # warmed up
    before = server.processor_seconds()
    results = ours.recv()
    after = server.processor_seconds()
    memory = server.memory()
    process.join()
    explained = max(1, sum(len(one["trips"]) for one in results))
    return Row(
        count,
        [len(one["trips"]) / seconds for one in results],
        [trip for one in results for trip in one["trips"]],
        {name: (after[name] - before[name]) / explained for name in after},
        sum(one["sent"] for one in results) / explained,
        sum(one["received"] for one in results) / explained,
        memory,
    )


def pictures() -> list[bytes]:
    """JPEGs of the tour, as a page sends them."""
    with VideoReader(_ROOT / "videos" / "tour.mp4") as reader:
        images = [frame.image for frame in islice(reader.frames(), 0, 300, 3)]
    small = [cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA) for image in images]
    return [cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes() for image in small]


def _view(page: str, count: int, seconds: float, pipe: Any) -> None:
    asyncio.run(_view_all(page, count, seconds, pipe))


async def _view_all(page: str, count: int, seconds: float, pipe: Any) -> None:
    jpegs = pictures()
    begin, end = asyncio.Event(), asyncio.Event()
    viewers = [asyncio.create_task(_viewer(page, jpegs, place / count, begin, end)) for place in range(count)]
    await asyncio.sleep(_WARM_UP_SECONDS + 0.05 * count)
    begin.set()
    pipe.send(None)
    await asyncio.sleep(seconds)
    end.set()
    pipe.send([await viewer for viewer in viewers])


async def _viewer(page: str, jpegs: list[bytes], phase: float, begin: asyncio.Event, end: asyncio.Event) -> Any:
    """Send 30 frames per second, but for those that find two in flight; count what comes between `begin` and `end`."""
    in_flight: dict[int, float] = {}
    result: dict[str, Any] = {"trips": [], "sent": 0, "received": 0}

    async with connect(socket_address(page), max_size=None, compression=None) as socket:

        async def receive() -> None:
            async for message in socket:
                if isinstance(message, str):
                    continue
                number = parse_answer(message).id
                now, sent_at = time.perf_counter(), in_flight.get(number)
                for earlier in [one for one in in_flight if one <= number]:
                    del in_flight[earlier]
                if sent_at is not None and begin.is_set() and not end.is_set():
                    result["trips"].append(now - sent_at)
                    result["received"] += len(message)

        receiving = asyncio.create_task(receive())
        start = time.perf_counter() + phase / _FPS
        number = tick = 0
        while not end.is_set():
            tick += 1
            await asyncio.sleep(max(0.0, start + tick / _FPS - time.perf_counter()))
            if len(in_flight) >= IN_FLIGHT:
                continue
            number += 1
            message = pack_frame(FrameBytes(number, 0, tick / _FPS, jpegs[tick % len(jpegs)]))
            in_flight[number] = time.perf_counter()
            if begin.is_set():
                result["sent"] += len(message)
            await socket.send(message)
        receiving.cancel()
    return result


def of_browser(server: Server, seconds: float) -> Row:
    """What one viewer gets in Chromium, whose camera is a clip of the tour."""
    sys.path.insert(0, str(_ROOT / "tests" / "serving" / "browser"))
    from chromium import camera_page  # type: ignore[import-not-found]

    with camera_page(server.address) as page:
        time.sleep(_WARM_UP_SECONDS)
        bytes_of = "[liveGradcam.transport.sent, liveGradcam.transport.received]"
        page.evaluate("liveGradcam.viewing.trips.length = 0")
        sent_before, received_before = page.evaluate(bytes_of)
        before, start = server.processor_seconds(), time.perf_counter()
        time.sleep(seconds)
        trips = [milliseconds / 1000 for milliseconds in page.evaluate("liveGradcam.viewing.trips.slice()")]
        elapsed = time.perf_counter() - start
        after = server.processor_seconds()
        sent_after, received_after = page.evaluate(bytes_of)
    explained = max(1, len(trips))
    cpu = {name: (after[name] - before[name]) / explained for name in after}
    sent, received = (sent_after - sent_before) / explained, (received_after - received_before) / explained
    return Row(1, [len(trips) / elapsed], trips, cpu, sent, received, server.memory())


# --- tables -------------------------------------------------------------------------------------------------------


def print_rows(rows: list[Row]) -> None:
    """Print what was measured."""
    print(
        "viewers  FPS each: mean  least  in all   trip p50     p95, ms"
        "   CPU ms/frame: workers  server   kB up  down  MiB"
    )
    for row in rows:
        p50, p95 = np.percentile(row.trips or [float("nan")], (50, 95)) * 1e3
        print(
            f"{row.clients:7} {np.mean(row.fps):15.1f} {min(row.fps):6.1f} {sum(row.fps):7.1f} {p50:10.1f} {p95:11.1f} "
            f"{1e3 * row.cpu['workers']:23.1f} {1e3 * row.cpu['server']:7.2f} {row.sent / 1e3:7.1f} "
            f"{row.received / 1e3:5.2f} {row.memory['workers']:5.0f} + {row.memory['server']:.0f}"
        )


def print_cores(rows: list[Row]) -> None:
    """Print what so many cores would carry, computed from the processor time of the busiest row."""
    row = max(rows, key=lambda one: sum(one.fps))
    per_frame = sum(row.cpu.values())
    print(f"\ncomputed from {1e3 * per_frame:.1f} ms of processor time per frame, at 90 % of the cores:")
    print("cores  frames per second  viewers at 30  at 10  at 5")
    for cores in _CORES:
        frames = 0.9 * cores / per_frame
        print(f"{cores:5} {frames:18.0f} {frames / 30:14.1f} {frames / 10:6.1f} {frames / 5:5.0f}")


# --- one frame at a time, and two ---------------------------------------------------------------------------------


def compare_callers(flags: list[str], counts: list[int], rounds: int, seconds: float) -> None:
    """Measure two servers in turns, of which one waits while the other is measured. Print both, and their ratio."""
    with serving(flags, 1) as one, serving(flags, 2) as two:
        for count in counts:
            pairs = [(of_clients(one, count, seconds), of_clients(two, count, seconds)) for _ in range(rounds)]
            print(f"{rounds} rounds, one at a time and then two")
            print_rows([row for pair in pairs for row in pair])
            ratios = [sum(of_two.fps) / max(1e-9, sum(of_one.fps)) for of_one, of_two in pairs]
            trips = [np.median(of_two.trips) / np.median(of_one.trips) for of_one, of_two in pairs]
            costs = [of_one.cpu["workers"] / of_two.cpu["workers"] for of_one, of_two in pairs]
            print(
                f"two at a time: {np.median(ratios):.3f} × the frames of one ({min(ratios):.3f} to {max(ratios):.3f}), "
                f"{np.median(trips):.3f} × its time to the answer, {np.median(costs):.3f} × the frames per second of "
                "processor time\n",
                flush=True,
            )


def fix_callers(callers: int) -> None:
    """Have so many threads of this process explain."""
    from live_gradcam.attribution.session import Session

    Session.fastest_callers = lambda self, frame_size, batch=1: callers  # type: ignore[method-assign]


if __name__ in ("__main__", "__mp_main__") and CALLERS_VARIABLE in os.environ:  # of the server's workers, too
    fix_callers(int(os.environ[CALLERS_VARIABLE]))
if __name__ == "__main__":
    if CALLERS_VARIABLE in os.environ:
        from live_gradcam.cli import main as run_command

        run_command()
    else:
        main()
