"""A corpus of damaged recordings: whatever is in a file, it is annotated as far as it goes, or refused in a line.

As a script, `test_annotate_damaged.py ENDING FOLDER`, it works on the corpus of one kind of file and prints a line of
JSON for each: FFmpeg may crash a process, or hang it, and both are failures that are to be told.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from command_line import environment
from fake_engine import annotated
from video_files import make_video, numbered

from live_gradcam.errors import LiveGradcamError

#: By ending: the codecs of pictures and sound.
KINDS = {
    "mp4": ("libx264", "aac"),
    "mkv": ("libx264", "aac"),
    "ts": ("libx264", "aac"),
    "webm": ("libvpx-vp9", "libopus"),
    "avi": ("mpeg4", "libmp3lame"),
    "gif": ("gif", None),
}
#: Of the whole file.
FRAMES = 30
#: Of each kind of file.
COPIES = 34
#: How long one may take; it takes a tenth of a second.
SECONDS = 30
#: A GIF takes seven times as long as an MP4.
_OUTPUTS = ("out.mp4", "out.mkv", "out.webm", "out.mp4", "out.mkv", "out.mp4", "out.mkv", "out.gif")


def make_whole(path: Path) -> Path:
    """More than a second, with sound, some key frames and pictures that refer to later ones."""
    codec, sound = KINDS[path.suffix[1:]]
    options = {"libx264": {"g": "12", "bf": "2"}, "mpeg4": {"g": "12"}, "libvpx-vp9": {"g": "12", "cpu-used": "8"}}
    return make_video(
        path,
        [numbered(index, width=48, noise=20) for index in range(FRAMES)],
        codec=codec,
        pix_fmt="rgb8" if codec == "gif" else "yuv420p",
        codec_options=options.get(codec),
        container_options={"movflags": "+faststart"} if path.suffix == ".mp4" else None,
        audio_codec=sound,
        audio_seconds=FRAMES / 25 if sound else 0,
    )


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _flip(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3, 10, 100])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _overwrite(content: bytearray, chance: random.Random) -> None:
    begin, length = chance.randrange(len(content)), chance.choice([4, 100, 2000])
    content[begin : begin + length] = chance.randbytes(len(content[begin : begin + length]))


def _blank(content: bytearray, chance: random.Random) -> None:
    begin, length = chance.randrange(len(content)), chance.choice([4, 100, 4096])
    content[begin : begin + length] = bytes(len(content[begin : begin + length]))


def _insert(content: bytearray, chance: random.Random) -> None:
    begin = chance.randrange(len(content))
    content[begin:begin] = chance.randbytes(chance.choice([1, 7, 500]))


def _lose(content: bytearray, chance: random.Random) -> None:
    begin = chance.randrange(len(content))
    del content[begin : begin + chance.choice([1, 13, 700])]


def _spoil_the_head(content: bytearray, chance: random.Random) -> None:
    """Where sizes, times and codecs are told."""
    for _ in range(chance.choice([1, 2, 5])):
        place = chance.randrange(min(2000, len(content)))
        content[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _cut,
    _flip,
    _overwrite,
    _blank,
    _insert,
    _lose,
    _spoil_the_head,
)


def damaged(content: bytes, number: int) -> bytes:
    """One of the corpus."""
    chance = random.Random(number)
    copy = bytearray(content)
    for _ in range(chance.choice([1, 1, 2])):
        DAMAGES[number % len(DAMAGES)](copy, chance)
        if not copy:
            break
    return bytes(copy)


def try_one(source: Path, number: int) -> dict[str, Any]:
    """Annotate a damaged file, alone in a folder, and look at what becomes of it."""
    folder = source.parent
    output, lines = folder / _OUTPUTS[number % len(_OUTPUTS)], folder / "n.jsonl"
    sheet = folder / "n.png" if number % 17 == 0 else None
    begun = time.monotonic()
    refused = ""
    try:
        summary = annotated(source, output, jsonl=lines, contact_sheet=sheet, stride=1 + number % 2)
    except LiveGradcamError as error:
        refused = str(error)
    seconds = time.monotonic() - begun
    if refused:
        assert len(refused.splitlines()) == 1, refused
        assert os.listdir(folder) == [source.name], os.listdir(folder)
        return {"became": "refused", "seconds": seconds}
    names = [source.name, output.name, lines.name, *([sheet.name] if sheet else [])]
    assert sorted(os.listdir(folder)) == sorted(names), os.listdir(folder)
    with av.open(str(output)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == summary.frames > 0, (frames, summary)
    assert len(lines.read_text().splitlines()) == summary.explained
    if source.suffix in (".mkv", ".webm"):
        assert frames == FRAMES or summary.loss, (frames, summary)
    for name in names[1:]:
        (folder / name).unlink()
    return {"became": "damaged" if summary.loss else "whole", "seconds": seconds, "frames": frames}


def try_all(ending: str, folder: Path) -> None:
    whole = make_whole(folder / f"whole.{ending}").read_bytes()
    place = folder / "one"
    for number in range(COPIES):
        place.mkdir()
        source = place / f"in.{ending}"
        source.write_bytes(damaged(whole, number))
        print(json.dumps({"begun": number}), flush=True)
        try:
            told = try_one(source, number)
        except BaseException as failure:  # told, and then judged by the test
            told = {"became": f"{type(failure).__name__}: {failure}"}
        print(json.dumps({"number": number, **told}), flush=True)
        for left in place.iterdir():
            left.unlink()
        place.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("ending", KINDS)
def test_damaged_recordings(tmp_path: Path, ending: str) -> None:
    process = subprocess.Popen(
        [sys.executable, __file__, ending, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
    )
    watch: threading.Timer | None = None
    found: dict[int, dict[str, Any]] = {}
    begun = -1
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if watch is not None:
                watch.cancel()
            told = json.loads(line)
            begun = told.get("begun", begun)
            if "number" in told:
                found[told["number"]] = told
            watch = threading.Timer(SECONDS, process.kill)
            watch.start()
    finally:
        if watch is not None:
            watch.cancel()
        process.kill()
        _, errors = process.communicate()
    assert begun == COPIES - 1, f"{ending} {begun} crashed or hung the process ({process.returncode}): {errors[-500:]}"
    wrong = {number: told for number, told in found.items() if told["became"] not in ("whole", "damaged", "refused")}
    assert wrong == {}
    assert sorted(found) == list(range(COPIES))
    became = Counter(told["became"] for told in found.values())
    assert became["whole"] + became["damaged"] >= COPIES / 3, became
    assert became["damaged"] + became["refused"] >= 1, became
    assert max(told["seconds"] for told in found.values()) < SECONDS


def test_the_corpus_is_large_and_every_file_of_it_is_damaged(tmp_path: Path) -> None:
    whole = make_whole(tmp_path / "whole.mkv").read_bytes()
    copies = {damaged(whole, number) for number in range(COPIES)}
    assert len(copies) == COPIES
    assert whole not in copies
    assert COPIES * len(KINDS) >= 200


if __name__ == "__main__":
    try_all(sys.argv[1], Path(sys.argv[2]))
