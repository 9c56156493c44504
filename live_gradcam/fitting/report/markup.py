"""HTML out of Python: what is not HTML already is escaped."""

from __future__ import annotations

import base64
import html

import cv2
import numpy as np

_VOID = ("img", "br", "meta", "link")
_JPEG_QUALITY = 85

Attribute = str | int | float | bool | None


class Html(str):
    """A text that is HTML."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: Attribute) -> Html:
    """An element.

    Args:
        name: such as "p".
        children: what is in it; a text that is no `Html` is escaped.
        attributes: a trailing underscore is cut off, others become hyphens. None and False leave one out, and True
            gives one without a value.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Html:
    """Parts one after the other; what is no `Html` is escaped."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def picture(image: np.ndarray, alt: str, **attributes: Attribute) -> Html:
    """A picture, uint8 (height, width, 3) BGR, inside the page."""
    height, width = image.shape[:2]
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    source = f"data:image/jpeg;base64,{base64.b64encode(encoded).decode('ascii')}"
    return tag("img", src=source, alt=alt, width=width, height=height, **attributes)
