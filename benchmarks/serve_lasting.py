"""Whether the page's server lasts: its memory over many frames and visitors, and the pause when a worker is lost.

    python benchmarks/serve_lasting.py                                # 20,000 frames, 200 connections
    python benchmarks/serve_lasting.py --frames 2000 --connections 20
    python benchmarks/serve_lasting.py --lose --workers 2 --viewers 8
    python benchmarks/serve_lasting.py --lose --cluster local

Four viewers are there at a time. Each has its share of the frames explained, leaves, and the next one comes. With
`--lose`, one of several workers is killed while all are busy: printed is how long each of its viewers had no answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from serve import Server, children, pictures, serving, socket_address
from websockets.asyncio.client import connect

from live_gradcam.serving.messages import IN_FLIGHT, FrameBytes, pack_frame, parse_answer

_AT_A_TIME = 4
_ROWS = 10
_FPS = 30
#: Seconds of frames after a worker was killed.
_AFTER = 10.0


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--lose", action="store_true", help="kill a worker instead")
    parser.add_argument("--viewers", type=int, default=8, help="with --lose")
    parser.add_argument("--before", type=float, default=20, help="with --lose: seconds until all workers are there")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cluster", help="as of serve")
    options = parser.parse_args()
    where = ["--cluster", options.cluster] if options.cluster else ["--workers", str(options.workers)]
    flags = [*where, "--max-clients", "128"]
    with serving(flags) as server:
        if options.lose:
            asyncio.run(_lose(server, options.viewers, options.before))
        else:
            asyncio.run(_last(server, options.frames, options.connections))


# --- memory -------------------------------------------------------------------------------------------------------


async def _last(server: Server, frames: int, connections: int) -> None:
    jpegs = pictures()
    left = iter(range(connections))
    counts = {"frames": 0, "connections": 0}
    per_row, started = frames // _ROWS, time.perf_counter()
    print("frames  connections  seconds  MiB: workers + server")

    def row() -> None:
        memory = server.memory()
        seconds = time.perf_counter() - started
        mebibytes = f"{memory['workers']:7.0f} + {memory['server']:.0f}"
        print(f"{counts['frames']:6} {counts['connections']:12} {seconds:8.0f} {mebibytes:>12}", flush=True)

    async def come_and_go() -> None:
        for _ in left:
            await _visit(server, jpegs, frames // connections, answered)
            counts["connections"] += 1

    def answered() -> None:
        counts["frames"] += 1
        if counts["frames"] % per_row == 0:
            row()

    await asyncio.gather(*(come_and_go() for _ in range(_AT_A_TIME)))


async def _visit(server: Server, jpegs: list[bytes], frames: int, answered) -> None:  # type: ignore[no-untyped-def]
    """Have so many frames explained, with two in flight all the time."""
    async with connect(socket_address(server.address), max_size=None, compression=None) as socket:
        numbers: Iterator[int] = iter(range(1, frames + 1))

        async def send() -> None:
            number = next(numbers, None)
            if number is not None:
                await socket.send(pack_frame(FrameBytes(number, 0, number / _FPS, jpegs[number % len(jpegs)])))

        for _ in range(IN_FLIGHT):
            await send()
        done = 0
        async for message in socket:
            if isinstance(message, str):
                continue
            newest = parse_answer(message).id  # which stands for those before it
            for _ in range(newest - done):
                answered()
                await send()
            done = newest
            if done == frames:
                return


# --- a worker is lost -----------------------------------------------------------------------------------------------


async def _lose(server: Server, viewers: int, before: float) -> None:
    jpegs = pictures()
    times: list[list[float]] = [[] for _ in range(viewers)]
    lost: set[int] = set()
    tasks = [
        asyncio.create_task(_watch(server, jpegs, mine, lambda place=place: lost.add(place)))  # type: ignore[misc]
        for place, mine in enumerate(times)
    ]
    await asyncio.sleep(before)
    victim = max(_workers_of(server.pid), key=lambda pid: Path(f"/proc/{pid}/statm").read_text().split()[1].zfill(12))
    killed = time.perf_counter()
    os.kill(victim, signal.SIGKILL)
    await asyncio.sleep(_AFTER)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(f"{viewers} viewers, of whom {len(lost)} were with the worker that was killed")
    for name, places in (("lost their worker", lost), ("kept it", set(range(viewers)) - lost)):
        pauses = [_pause(times[place], killed) for place in sorted(places)]
        if pauses:
            worst = max(pauses)
            print(f"{name}: no answer for {np.median(pauses):.2f} s (median), {worst:.2f} s (longest)")


def _workers_of(pid: int) -> list[int]:
    """The processes that explain: of the server, or Ray's of this machine, which are nobody's children."""
    own = [one for one in children(pid) if b"multiprocessing" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return own or [
        int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if path.read_bytes().startswith(b"ray::")
    ]


def _pause(times: list[float], killed: float) -> float:
    """The longest time without an answer that ends after a moment."""
    before = [one for one in times if one <= killed][-1:]
    after = [one for one in times if one > killed]
    around = [*before, *after[: 3 * _FPS]]
    return max(np.diff(around)) if len(around) > 1 else float("inf")


async def _watch(server: Server, jpegs: list[bytes], times: list[float], on_lost) -> None:  # type: ignore[no-untyped-def]
    in_flight: dict[int, float] = {}
    async with connect(socket_address(server.address), max_size=None, compression=None) as socket:

        async def receive() -> None:
            async for message in socket:
                if isinstance(message, str):
                    if "Another one goes on" in message:
                        on_lost()
                    newest = json.loads(message).get("id", 0)  # of a frame that was lost, which is an answer too
                else:
                    times.append(time.perf_counter())
                    newest = parse_answer(message).id
                for earlier in [one for one in in_flight if one <= newest]:
                    del in_flight[earlier]

        receiving = asyncio.create_task(receive())
        number = 0
        try:
            while True:
                await asyncio.sleep(1 / _FPS)
                now = time.perf_counter()
                for old in [
                    one for one, sent_at in in_flight.items() if now - sent_at > 4
                ]:  # as the page gives them up
                    del in_flight[old]
                if len(in_flight) < IN_FLIGHT:
                    number += 1
                    in_flight[number] = now
                    await socket.send(pack_frame(FrameBytes(number, 0, number / _FPS, jpegs[number % len(jpegs)])))
        finally:
            receiving.cancel()


if __name__ == "__main__":
    main()
