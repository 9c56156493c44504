"""How Keras reads files and tells errors: it goes by endings, and only warns where weights are missing. Not so here."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from live_gradcam.errors import first_line

#: The first bytes of `.keras` files, which are zip archives, and of `.h5` files.
ZIP_SIGNATURE = b"PK\x03\x04"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: What makes letters bold in a terminal.
_BOLD = re.compile("\x1b\\[[01]m")


def keras_reason(error: Exception) -> str:
    """Why something fails in Keras, in a line: it tells errors in errors, and says before in which layer."""
    innermost = str(error).rpartition("Exception encountered: ")[2].rpartition(".call().")[2]
    return first_line(ValueError(_BOLD.sub("", innermost)))


def first_bytes(path: Path) -> bytes:
    """The first 8 bytes of a file, which tell what it is; none of what is no file, or cannot be read."""
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError:
        return b""


@contextmanager
def named(path: Path, ending: str) -> Iterator[Path]:
    """The file, or a copy where its name has another ending: Keras goes by that."""
    if path.name.endswith(ending) and (ending != ".h5" or not path.name.endswith(".weights.h5")):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="live-gradcam-") as folder:
        copy = Path(folder) / f"model{ending}"
        shutil.copyfile(path, copy)
        yield copy


@contextmanager
def nothing_left_out() -> Iterator[None]:
    """Layers that a file has no weights for are an error; what Keras warns of besides is not the user's to mend.

    Raises:
        ValueError: Keras warned that layers keep random weights.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="(?s).*freshly-initialized weights")
        try:
            yield
        except UserWarning as warning:
            raise ValueError("it has no weights for some of the layers, which would keep random numbers") from warning
