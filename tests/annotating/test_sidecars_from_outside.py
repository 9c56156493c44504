"""A kind of sidecar that another package adds by an entry point: its flag, check, file, and place in the JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import finish, run
from fake_engine import start_fake
from other_packages import install, python_path
from video_files import make_video, numbered

pytestmark = pytest.mark.slow

_MEMBER = """
from live_gradcam.errors import UsageError
from live_gradcam.files import part_path

class TopClasses:
    ending = ".txt"
    as_drawn = False

    def is_folder(self, path):
        return False

    def check(self, path):
        if path.suffix != ".txt":
            raise UsageError(f"{path} does not end in .txt")

    def open(self, path, source, options):
        return Open(path, source)

class Open:
    def __init__(self, path, source):
        self.file = part_path(path).open("w")
        self.file.write(f"{source.name}\\n")

    def add(self, frame):
        self.file.write(f"{frame.index} {frame.json['target']}\\n")

    def finish(self):
        self.file.write("end\\n")
        self.close()

    def close(self):
        self.file.close()

SIDECAR = TopClasses()
"""

_GROUP = "live_gradcam.sidecars"


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a sidecar, and with one that cannot be imported, as pip installs it."""
    points = ["top-classes = stranger:SIDECAR", "broken = not_there:SIDECAR", "csv = stranger:SIDECAR"]
    site = install(tmp_path / "site", "stranger", groups={_GROUP: points}, modules={"stranger": _MEMBER})
    monkeypatch.setenv("PYTHONPATH", python_path(site))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    images = [numbered(index, width=48) for index in range(60)]
    return make_video(tmp_path / "in.mp4", images, codec_options={"g": "25"})


@pytest.mark.usefixtures("stranger")
def test_it_has_a_flag() -> None:
    text = " ".join(run("annotate", "--help", COLUMNS="200").out.split())
    assert "--top-classes PATH From the package stranger. Several videos: a folder." in text
    assert "--csv PATH A table with a row per frame. Several videos: a folder." in text  # no one takes ours
    assert "--contact-sheet PATH The classes over time, as NAME.png. Several videos: a folder." in text


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_it_is_written(tmp_path: Path, source: Path, workers: list[object]) -> None:
    classes, output = tmp_path / "classes.txt", tmp_path / "out.mp4"
    command = ["annotate", source, "-o", output, "--top-classes", classes, "--csv", tmp_path / "n.csv", *workers]
    finished = finish(start_fake(*command, "--json", "-"))
    assert finished.code == 0, finished
    lines = [f"{index} {index}" for index in range(60)]
    assert classes.read_text().splitlines() == ["in.mp4", *lines, "end"]
    assert (tmp_path / "n.csv").read_text().startswith("schema,frame,time")
    (file,) = json.loads(finished.out)["files"]
    assert list(file)[:5] == ["source", "output", "csv", "top_classes", "status"]
    assert file["top_classes"] == str(classes)
    finished = finish(start_fake(*command, "--resume"))
    assert (finished.code, finished.out) == (0, f"{output} is done already\n")
    classes.unlink()
    assert finish(start_fake(*command, "--resume")).code == 0
    assert classes.exists()


@pytest.mark.usefixtures("stranger")
def test_of_several_recordings_it_is_a_folder(tmp_path: Path, source: Path) -> None:
    (tmp_path / "again.mp4").write_bytes(source.read_bytes())
    out = tmp_path / "out"
    finished = finish(start_fake("annotate", source, tmp_path / "again.mp4", "-o", out, "--top-classes", out))
    assert finished.code == 0, finished
    assert sorted(os.listdir(out)) == ["again-gradcam.mp4", "again.txt", "in-gradcam.mp4", "in.txt"]


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--top-classes", "x.md"], 2, "x.md does not end in .txt"),
        (
            ["--broken", "x"],
            1,
            "the sidecar broken from the package stranger cannot be loaded: No module named 'not_there'",
        ),
    ],
)
def test_what_is_wrong_with_it_is_a_line(
    tmp_path: Path, source: Path, flags: list[str], code: int, message: str
) -> None:
    finished = finish(start_fake("annotate", source, "-o", tmp_path / "out.mp4", *flags))
    assert (finished.code, finished.out, finished.err) == (code, "", f"live-gradcam: {message}\n")
    assert not (tmp_path / "out.mp4").exists()


#: Names that are no flags, or whose flags are taken, and the reason.
_IN_THE_WAY = {
    **dict.fromkeys(("3d", "my.side car", "Upper", "a_b", "no--good", "ends-"), "cannot be a flag"),
    **dict.fromkeys(
        ("debug", "engine", "overwrite", "size", "output", "json", "verbose", "help", "class", "no-box"),
        "is another flag",
    ),
}


@pytest.fixture
def in_the_way(stranger: None, tmp_path: Path) -> None:
    names = (*_IN_THE_WAY, "top-classes", "lambda", "json-path", "source")  # these can all be flags
    install(tmp_path / "site", "stranger", groups={_GROUP: [f"{name} = stranger:SIDECAR" for name in names]})


@pytest.mark.usefixtures("in_the_way")
def test_a_name_that_cannot_be_a_flag_is_left_out_with_a_line(tmp_path: Path, source: Path) -> None:
    paths = {name: tmp_path / f"{name}.txt" for name in ("top-classes", "lambda", "json-path", "source")}
    flags = [part for name, path in paths.items() for part in (f"--{name}", path)]
    finished = finish(start_fake("annotate", source, "-o", tmp_path / "out.mp4", "--json", "-", *flags))
    assert finished.code == 0, finished
    assert sorted(finished.err.splitlines()) == sorted(
        f"live-gradcam: the sidecar {name} from the package stranger is left out: --{name} {why}"
        for name, why in _IN_THE_WAY.items()
    )
    (file,) = json.loads(finished.out)["files"]
    assert (file["frames"], file["source"], file["lambda"]) == (60, str(source), str(paths["lambda"]))
    assert all(path.read_text().endswith("end\n") for path in paths.values())


@pytest.mark.usefixtures("in_the_way")
def test_such_a_name_hinders_no_other_command() -> None:
    helped, cameras = run("annotate", "--help", COLUMNS="300"), run("cameras")
    assert (helped.code, helped.err) == (0, "")
    assert "--size WxH" in " ".join(helped.out.split())
    assert "live-gradcam: the sidecar" not in cameras.err
    assert "Traceback" not in cameras.err
