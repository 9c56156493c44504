"""A cache that is damaged, full, not ours, or used by several at once: the answer is right, and nobody complains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import SECONDS, Finished, begin, environment, run
from small_disk import small_disk

from live_gradcam.compiling.kept_files import KeptFiles

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def explain(tmp_path_factory: pytest.TempPathFactory, chelsea: np.ndarray, quick_network: list[str]) -> list[str]:
    picture = tmp_path_factory.mktemp("picture") / "cat.png"
    cv2.imwrite(str(picture), chelsea[::2, ::2])
    return ["explain", str(picture), *quick_network, "--tune", "off", "--json", "-"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, explain: list[str]) -> tuple[Path, dict]:
    """A cache that XLA has filled, and the answer."""
    cache = tmp_path_factory.mktemp("built")
    return cache, answer_of(run(*explain, "--engine", "xla", XDG_CACHE_HOME=str(cache)))


def answer_of(finished: Finished) -> dict:
    """What a command wrote, which had nothing to say."""
    assert (finished.code, finished.err) == (0, "")
    return json.loads(finished.out)


def assert_same(one: dict, other: dict) -> None:
    """The same classes, and numbers that differ by no more than XLA's rounding in another program."""
    assert [named["index"] for named in one["predictions"]] == [named["index"] for named in other["predictions"]]
    for mine, others in zip(one["predictions"], other["predictions"], strict=True):
        assert abs(mine["probability"] - others["probability"]) < 1e-5
    assert abs(one["evidence"] - other["evidence"]) <= 1e-4 * abs(one["evidence"])


def kept_in(cache: Path) -> Iterator[Path]:
    """All programs: ours, and those of XLA."""
    yield from (cache / "live-gradcam" / "programs").iterdir()
    for folder in (cache / "live-gradcam").glob("compiled-*"):
        yield from folder.iterdir()


@pytest.mark.parametrize("engine", ["openvino", "xla"])
def test_two_that_build_and_read_at_once(tmp_path: Path, explain: list[str], engine: str) -> None:
    changes = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    both = [begin(*explain, "--engine", engine, **changes) for _ in range(2)]
    finished = []
    for process in both:
        out, err = process.communicate(timeout=SECONDS)
        finished.append(answer_of(Finished(process.returncode, out, err)))
    third = answer_of(run(*explain, "--engine", engine, **changes))
    for one in finished:
        assert_same(third, one)
    kept = KeptFiles(tmp_path / "cache" / "live-gradcam" / "programs")
    names = {path.name for path in kept_in(tmp_path / "cache")}
    assert not [name for name in names if name.endswith(".part")]
    assert {one.key["kind"] for one in kept.files()} == {"network", "outline", "program"}
    assert all(kept.read(one.key) is not None for one in kept.files())


def _flipped(contents: list[bytes], place: float) -> list[bytes]:
    """Files in each of which a bit is another."""
    flipped = []
    for data in map(bytearray, contents):
        data[int(place * len(data))] ^= 4
        flipped.append(bytes(data))
    return flipped


@pytest.mark.parametrize(
    ("whose", "damage"),
    [
        ("all", lambda contents: _flipped(contents, 0.5)),
        ("XLA's", lambda contents: _flipped(contents, 0.97)),  # in what is compiled: XLA would run it
        ("XLA's", lambda contents: [data[: len(data) // 2] for data in contents]),
        ("all", lambda contents: [*contents[1:], contents[0]]),
    ],
    ids=["a bit", "a late bit", "cut", "another's"],
)
def test_programs_that_are_damaged(
    tmp_path: Path,
    explain: list[str],
    built: tuple[Path, dict],
    whose: str,
    damage: Callable[[list[bytes]], list[bytes]],
) -> None:
    cache, before = built
    shutil.copytree(cache, tmp_path / "cache")
    files = [path for path in kept_in(tmp_path / "cache") if whose == "all" or path.suffix == ".pb"]
    for path, content in zip(files, damage([path.read_bytes() for path in files]), strict=True):
        path.write_bytes(content)
    assert_same(answer_of(run(*explain, "--engine", "xla", XDG_CACHE_HOME=str(tmp_path / "cache"))), before)


def test_a_disk_that_is_full(tmp_path: Path, explain: list[str], built: tuple[Path, dict]) -> None:
    """No file may be larger than 4 KiB, as on a disk with so much room. Keras' Matplotlib says that it is."""
    command = [sys.executable, "-m", "live_gradcam", *explain, "--engine", "xla"]
    finished = subprocess.run(
        ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
        check=False,
    )
    err = "".join(line for line in finished.stderr.splitlines(keepends=True) if "font_manager" not in line)
    small = answer_of(Finished(finished.returncode, finished.stdout, err))
    assert not [path for path in (tmp_path / "cache" / "live-gradcam").rglob("*") if path.suffix in (".part", ".pb")]
    assert_same(small, built[1])


#: The command line, after whose start the disk of its cache has no room any more.
_FILLS_UP = """
import os
from contextlib import suppress
from live_gradcam.cli import main
from live_gradcam.compiling.runtime import set_compiler_flags

set_compiler_flags()
with suppress(OSError), open(os.environ["XDG_CACHE_HOME"] + "/filler", "wb", buffering=0) as filler:
    while True:
        filler.write(bytes(4096))
main()
"""


def test_a_disk_that_becomes_full_before_xla_writes(
    tmp_path: Path, explain: list[str], built: tuple[Path, dict]
) -> None:
    with small_disk(tmp_path / "cache", "40m") as cache:
        finished = subprocess.run(
            [sys.executable, "-c", _FILLS_UP, *explain, "--engine", "xla"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=environment(XDG_CACHE_HOME=str(cache), MPLCONFIGDIR=str(tmp_path)),
            check=False,
        )
        assert_same(answer_of(Finished(finished.returncode, finished.stdout, finished.stderr)), built[1])
        assert not list(cache.rglob("*.tmp"))


_READS_ONLY = """
import os, sys
from pathlib import Path
from live_gradcam.compiling.kept_files import KeptFiles
if os.geteuid() == 0:
    os.setuid(65534)
kept = KeptFiles(Path(sys.argv[1]))
kept.write({"model": "new"}, b"new")
print(bytes(kept.read({"model": "old"})), kept.read({"model": "new"}), len(list(kept.files())))
"""


def test_a_folder_that_may_only_be_read_is_read() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        KeptFiles(folder).write({"model": "old"}, b"old")
        folder.chmod(0o555)
        try:
            command = [sys.executable, "-c", _READS_ONLY, name]
            finished = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        finally:
            folder.chmod(0o755)
        assert (finished.stdout, finished.stderr) == ("b'old' None 1\n", "")
        assert len(os.listdir(folder)) == 1
