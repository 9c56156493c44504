"""A long recording does not grow the process that annotates it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

pytestmark = pytest.mark.slow

FPS, SECONDS = 10, 4 * 60
FRAMES = FPS * SECONDS
CLASSES = 4096
#: What a frame's numbers are in memory: 4096 probabilities and logits, float32, and little else: 32 KiB. Of the frames
#: after the first quarter, 56 MiB, were they kept. A quarter of that is allowed: to the allocator, which takes up to 8
#: MiB more in the first thousands of frames and then no more, to the contact sheet's thousand samples, and to FFmpeg,
#: which keeps an MP4's index until its end: some 70 bytes for each packet.
MOST_MIB = 14

_ANNOTATE = """
import ctypes, json, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from fake_engine import FakeEngine, annotated
from memory import resident_mib

from live_gradcam.sinks.encoding import Encoding

folder = Path(sys.argv[1])
ends = FRAMES // 4, FRAMES // 2, FRAMES
measured = dict.fromkeys(ends, 1e9)

def note(done):
    for end in ends:
        if end - 200 < done.frames <= end and done.frames % 5 == 0:  # the least of 40: frames are under way
            ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is free already, and was not given back, is nobody's
            measured[end] = min(measured[end], resident_mib())

summary = annotated(
    folder / "in.mp4",
    folder / "out.mp4",
    engine=FakeEngine(classes=CLASSES),
    layout="overlay",
    encoding=Encoding(preset="ultrafast"),
    smooth=0.2,
    jsonl=folder / "n.jsonl",
    csv=folder / "n.csv",
    heatmaps=folder / "n.npz",
    contact_sheet=folder / "n.png",
    on_progress=note,
)
print(json.dumps([summary.frames, summary.explained, list(measured.values())]))
"""

_MAKE = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from video_files import make_video, numbered

class Pictures:
    def __getitem__(self, index):
        if index >= FRAMES:
            raise IndexError
        return images[index % 256]

images = [numbered(index) for index in range(256)]
options = {"preset": "ultrafast"}
make_video(
    Path(sys.argv[1], "in.mp4"), Pictures(), rate=FPS, codec_options=options, audio_codec="flac", audio_seconds=SECONDS
)
"""


def _run(script: str, folder: Path) -> str:
    head = f"FPS, SECONDS, FRAMES, CLASSES = {FPS}, {SECONDS}, {FRAMES}, {CLASSES}\n"
    command = [sys.executable, "-c", head + script, folder, Path(__file__).parents[1]]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_four_minutes(tmp_path: Path) -> None:
    """With all the numbers, the sound and the contact sheet."""
    _run(_MAKE, tmp_path)
    frames, explained, measured = json.loads(_run(_ANNOTATE, tmp_path))
    assert frames == explained == FRAMES == 2400
    quarter, half, last = measured
    assert abs(last - quarter) < MOST_MIB, measured
    assert abs(last - half) < MOST_MIB, measured
    assert len((tmp_path / "n.jsonl").read_text().splitlines()) == FRAMES
