"""The shell completes the names of all choices, as Typer has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment


def completed(line: str) -> list[str]:
    """What bash is given for the last word of a command line."""
    finished = subprocess.run(
        [Path(sys.executable).with_name("live-gradcam")],
        env=environment(
            _LIVE_GRADCAM_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1)
        ),
        capture_output=True,
        text=True,
    )
    return finished.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("live-gradcam live --method grad", ["grad-cam", "grad-cam++"]),
        ("live-gradcam explain --fit s", ["stretch"]),
        ("live-gradcam annotate --engine o", ["openvino", "onnxruntime"]),
        ("live-gradcam live --surface n", ["none"]),
        ("live-gradcam bench --model EfficientNetV2B", [f"EfficientNetV2B{number}" for number in range(4)]),
        ("live-gradcam ev", ["evaluate"]),
    ],
)
def test_names_are_completed(line: str, names: list[str]) -> None:
    assert completed(line) == names
