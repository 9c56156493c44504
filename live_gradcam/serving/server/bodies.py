"""What comes with a request, as far as it is taken."""

from __future__ import annotations

import asyncio

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


async def read_body(request: Request, most_bytes: int) -> bytes:
    """What comes with a request.

    Args:
        request: whose.
        most_bytes: how much is taken.

    Raises:
        BodyError: it is more, or takes too long.
    """
    too_large = BodyError(413, f"at most {most_bytes} bytes are taken")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > most_bytes:
        raise too_large
    parts, size = [], 0

    async def read() -> None:
        nonlocal size
        async for part in request.stream():
            size += len(part)
            if size > most_bytes:
                raise too_large
            parts.append(part)

    try:
        await asyncio.wait_for(read(), _READ_SECONDS)
    except asyncio.TimeoutError:
        raise BodyError(408, "the request took too long") from None
    except ClientDisconnect:
        raise BodyError(400, "the request was cut off") from None
    return b"".join(parts)
