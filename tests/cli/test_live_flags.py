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
