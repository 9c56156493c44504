"""What every viewer is told first: commands, keys, views, colours, and how the page begins."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from live_gradcam.choices import VIEWS
from live_gradcam.drawing.overlay import COLORMAPS_TO_STEP_THROUGH
from live_gradcam.live_loop.commands import COMMANDS
from live_gradcam.live_loop.teaching_commands import TEACHING
from live_gradcam.serving.messages import IN_FLIGHT, MESSAGE_BYTES, VERSION
from live_gradcam.serving.options import ServeOptions
from live_gradcam.surfaces.commands import CommandRow

#: The commands that change only what is drawn: the page does them itself.
PAGE_COMMANDS = (
    "view",
    "colormap",
    "opacity",
    "more-opaque",
    "less-opaque",
    "mirror",
    "help",
    "hud",
    "timings",
    "pause",
    "snapshot",
    "record",
)
#: The page has no use for these: it is closed like any other.
_OF_THE_WINDOW = ("quit",)


def hello(options: ServeOptions, pixels: int) -> dict[str, Any]:
    """What every viewer is told first, besides the names of the viewer and the sources. See docs/page-messages.md.

    Args:
        options: how the page is served.
        pixels: how many a picture may have.
    """
    viewer = options.viewer
    return {
        "version": VERSION,
        "limits": {"message_bytes": MESSAGE_BYTES, "pixels": pixels, "in_flight": IN_FLIGHT},
        "page_commands": list(PAGE_COMMANDS),
        "commands": [
            *(_row(row, teaching=False) for row in COMMANDS if row.name not in _OF_THE_WINDOW),
            *(_row(row, teaching=True) for row in TEACHING),
        ],
        "views": dict(VIEWS.helps),
        "colormaps": list(dict.fromkeys((*COLORMAPS_TO_STEP_THROUGH, viewer.colormap))),
        "keeps": options.keep is not None,
        "defaults": {
            "view": viewer.view,
            "colormap": viewer.colormap,
            "alpha": viewer.alpha,
            "mirror": viewer.mirror,
            "boxes": viewer.boxes.drawn,
        },
        "package_version": version("live-gradcam"),
    }


def _row(row: CommandRow[Any], *, teaching: bool) -> dict[str, Any]:
    return {
        "name": row.name,
        "help": row.help,
        "argument": row.argument,
        "keys": row.keys,
        "keys_name": row.keys_name,
        "key_arguments": list(row.key_arguments),
        "teaching": teaching,
    }
