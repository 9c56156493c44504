"""What a format is that models are exported to.

To add one: write a file beside this one whose `FORMAT` has what `ExportFormat` asks for, give it a row in
`choices.EXPORTS`, and test it. Another package gives its `FORMAT` by an entry point of the group
`live_gradcam.exports`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from live_gradcam.exporting.program import Program


class ExportFormat(Protocol):
    """A format that a program of pixels in and probabilities out can be written in, and run from.

    Importing a format's module must not import what writes it, nor TensorFlow: names are checked before that.

    Attributes:
        title: its name in messages.
        packages: the names of the packages that it needs besides those of live-gradcam.
        install: what pip installs them by, such as "live-gradcam[onnx]"; empty where there are none.
        endings: of what is written. Each is a file or a folder, which is called like the model. The first one is what
            other programs open.
        example: lines of Python, for a reader, that run `FILE` on `pixels` and give `numbers`.
    """

    title: str
    packages: tuple[str, ...]
    install: str
    endings: tuple[str, ...]
    example: str

    def write(self, program: Program, path: Path) -> None:
        """Write a program.

        Args:
            program: what to write.
            path: where, with the first ending. The others go beside it.

        Raises:
            Exception: whatever the format's own library raises.
        """
        ...

    def run(self, path: Path, pixels: np.ndarray) -> np.ndarray:
        """Run what was written, by the library that its users run it by.

        Args:
            path: as for `write`.
            pixels: float32 (pictures, height, width, 3), RGB, 0…255.

        Returns:
            What the program gives: float32 (pictures, entries).

        Raises:
            Exception: as `write`.
        """
        ...
