"""A worker in threads of this process, which answers as one in a process does."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from fake_worker import FakeWorker

from live_gradcam.errors import UsageError
from live_gradcam.serving.messages import FrameBytes, parse_answer
from live_gradcam.serving.workers.threads import ThreadLink

_GREY = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the tests in a browser leave a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def test_it_explains_and_ends():
    async def use() -> None:
        link = await ThreadLink.start(FakeWorker)
        await link.call("start")
        await link.call("open", "v", None)
        damaged = await link.call("explain", "v", FrameBytes(3, 0, 0.0, b"no picture"))
        assert b'"the picture is damaged"' in damaged.texts[0]
        await link.call("command", "v", "pin", 2)
        reply = await link.call("command", "v", "pin", 4)
        assert reply.state == {"pinned": 4}
        await link.call("open", "w", None)
        with pytest.raises(UsageError, match="nothing was taught"):
            await link.call("model", "w")
        ending = asyncio.create_task(link.ended())
        await link.close()
        await link.close()
        await ending

    run(use())
    assert not [thread for thread in threading.enumerate() if thread.name == "explain"]


def test_what_is_logged_stays_where_it_was():
    log = logging.getLogger("live_gradcam")
    before = (log.propagate, list(log.handlers))

    async def use() -> None:
        link = await ThreadLink.start(FakeWorker)
        await link.call("start")
        await link.call("open", "v", None)
        reply = await link.call("explain", "v", FrameBytes(7, 0, 0.0, _GREY))
        answer = parse_answer(reply.answer)
        assert (answer.id, answer.facts["brightness"]) == (7, 90.0)
        await link.close()

    run(use())
    assert (log.propagate, list(log.handlers)) == before
