"""The flags of `live-gradcam live`: what is refused before anything is opened, and old names."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run

pytestmark = pytest.mark.slow

TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"


def test_the_old_name_of_the_drivers_flag_works_and_says_the_new_one() -> None:
    new = run("live", "0", "--headless", "--driver", "v4l3")
    assert (new.code, new.err.count("\n")) == (2, 1)
    assert "there is no camera driver 'v4l3'" in new.err
    old = run("live", "0", "--headless", "--backend", "v4l3")
    notice, error = old.err.splitlines()
    assert (old.code, f"{error}\n") == (2, new.err)
    assert "--driver v4l3" in notice
    both = run("live", "0", "--headless", "--backend", "v4l2", "--driver", "v4l2")
    assert (both.code, both.err.count("\n")) == (2, 1)
    assert "give --driver alone" in both.err
    assert "--backend" not in run("live", "--help").out


def test_headless_means_no_surface() -> None:
    finished = run("live", TOUR, "--headless", "--surface", "window")
    assert (finished.code, finished.err.count("\n")) == (2, 1)
    assert "--headless means --surface none" in finished.err
    finished = run("live", TOUR, "--surface", "nome")
    assert (finished.code, finished.err) == (2, "live-gradcam: there is no surface 'nome'; did you mean none?\n")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ["live", "gone.mp4", "--headless", "--resolution", "640x360", "--camera-fps", "10"],
            ["--resolution and --camera-fps are for a camera of this machine, and no source is one: they are not used"],
        ),
        (
            ["live", "gone.mp4", "--headless", "--driver", "v4l2", "--reconnect", "3"],
            [
                "--driver is for a camera of this machine, and no source is one: it is not used",
                "--reconnect is for a camera or a stream, and gone.mp4 is none: it is not used",
            ],
        ),
        (
            ["live", "gone.mp4", "--headless", "--record-clean"],
            ["--record-clean is for a recording, and nothing is recorded: add --record FILE.mp4"],
        ),
        (
            ["serve", "gone.mp4", "--camera-fps", "10"],
            ["--camera-fps is for a camera of this machine, and no source is one: it is not used"],
        ),
        (
            ["bench", "gone.mp4", "--size", "640x360"],
            ["--size is for the synthetic stream, and gone.mp4 has its own size: it is not used"],
        ),
    ],
)
def test_a_flag_that_means_nothing_to_the_source_is_named(
    arguments: list[str], lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    *said, error = run(*arguments).err.splitlines()
    assert said == [f"live-gradcam: {line}" for line in lines]
    assert "gone.mp4" in error


def test_flags_that_mean_something_are_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["live", "99", "--headless", "--resolution", "640x360", "--reconnect", "0"],
        ["live", "http://127.0.0.1:9/", "--headless", "--reconnect", "0", "--record-clean", "--record", "a.mp4"],
        ["live", "gone.mp4", "--headless"],
        ["bench", "gone.mp4"],
    ):
        assert len(run(*arguments).err.splitlines()) == 1
