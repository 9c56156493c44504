"""What comes with a request, as far as it is taken."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

_READ_SECONDS = 30.0


class BodyError(Exception):
    """What comes with a request is not taken.

    Attributes:
        response: what to answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.response: Response = PlainTextResponse(f"{text}\n", status)


async def read_body(
    request: Request, most_bytes: int, *, seconds: float = _READ_SECONDS, silent_seconds: float = _READ_SECONDS
) -> bytes:
    """What comes with a request.

    Args:
        request: whose.
        most_bytes: how much is taken.
        seconds: how long it may take in all.
        silent_seconds: how long nothing may come.

    Raises:
        BodyError: it is more, or takes too long.
    """
    too_large = BodyError(413, f"at most {most_bytes} bytes are taken")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > most_bytes:
        raise too_large
    parts, size = [], 0
    deadline = time.monotonic() + seconds
    stream = request.stream()
    try:
        while True:
            left = min(silent_seconds, deadline - time.monotonic())
            part = await asyncio.wait_for(anext(stream), left)
            size += len(part)
            if size > most_bytes:
                raise too_large
            parts.append(part)
    except StopAsyncIteration:
        return b"".join(parts)
    except asyncio.TimeoutError:
        raise BodyError(408, "the request took too long") from None
    except ClientDisconnect:
        raise BodyError(400, "the request was cut off") from None
