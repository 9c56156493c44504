"""A live window on a source of 30 frames per second with a network slowed to 5: prints the summary as JSON.

A script, not a test: the window needs a process with a display of its own. The argument is the number of seconds.
"""

from __future__ import annotations

import json
import sys

from fake_live import camera, fake_session
from frame_sources import GivenFrames

from live_gradcam import LiveOptions, live

_EXPLAIN_SECONDS = 0.2


if __name__ == "__main__":
    options = LiveOptions(max_frames=round(float(sys.argv[1]) / _EXPLAIN_SECONDS))
    slow = fake_session(seconds=_EXPLAIN_SECONDS)
    print(json.dumps(live("0", session=slow, options=options, opener=lambda _: GivenFrames(camera())).to_json()))
