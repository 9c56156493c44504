"""What several tests need: the default network, loaded once, and real photographs."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Which engine is the fastest depends on what else runs: only the tests of that choice let it be made.
os.environ["LIVE_GRADCAM_ENGINE"] = "xla"
# Timings and compiled programs of the tests, and of the commands that they start, stay out of the user's cache.
# Processes that share the tests share them too.
os.environ["XDG_CACHE_HOME"] = (
    os.environ["XDG_CACHE_HOME"]
    if "PYTEST_XDIST_WORKER" in os.environ
    else tempfile.mkdtemp(prefix="live-gradcam-tests-")
)

# A shell has Ctrl-C ignored by what runs in its background, and `nohup` SIGHUP: what the tests start would go on
# ignoring them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import numpy as np
import pytest

from live_gradcam.compiling.runtime import set_compiler_flags

if TYPE_CHECKING:  # the process that only shares out the tests need not wait for TensorFlow
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Playwright

    from live_gradcam import Classifier, Explainer

#: XLA compiles in two thirds of the time without LLVM's optimisation of what it writes: only speed needs that. The
#: commands that tests start by `command_line` have it, as a user's have.
_UNOPTIMISED = "--xla_backend_optimization_level=0"

if _UNOPTIMISED not in os.environ.get("XLA_FLAGS", ""):  # processes that share the tests have it already
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_UNOPTIMISED}".strip()
# OpenVINO reports to Google Analytics what it converts, and forks the process for each try, unless this is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

set_compiler_flags()  # as a program's first use of the package does

_CACHE = Path(os.environ["XDG_CACHE_HOME"])
if "PYTEST_XDIST_WORKER" not in os.environ:
    atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)


def pytest_collection_finish() -> None:
    """Leave what the tests have imported out of every later search for garbage, which would go through all of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def lite0() -> Classifier:
    """EfficientNet-Lite0 with its ImageNet weights."""
    from live_gradcam import load_classifier

    return load_classifier("efficientnet-lite0")


@pytest.fixture
def lite0_is_loaded(lite0: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of this process that ask for the default network have it at once: to load it takes seconds."""
    from live_gradcam import SessionOptions
    from live_gradcam.attribution.session import loading

    usual, load = SessionOptions(), loading.load

    def at_once(options: SessionOptions, say: Callable[[str], None]) -> Classifier:
        is_usual = (options.model, options.of_model()) == (usual.model, usual.of_model())
        return lite0 if is_usual else load(options, say)

    monkeypatch.setattr(loading, "load", at_once)


@pytest.fixture(scope="session")
def explainer(lite0: Classifier) -> Explainer:
    """The default explainer, warmed up, one map."""
    from live_gradcam import Explainer

    explainer = Explainer(lite0, maps=1)
    explainer.warm_up()
    return explainer


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What starts browsers. A process can have one, so that all tests share it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def quick_network() -> list[str]:
    """The flags for a network that starts in a moment and has nothing to say, for commands that are not about it.

    It has five classes, a map that is not empty, and layers of the kinds whose forms are timed. Processes that share
    the tests share its file: what is kept for the next start is kept by the file's content.
    """
    folder = _CACHE / "quick"
    if not folder.exists():
        own = Path(tempfile.mkdtemp(dir=_CACHE))
        _write_quick_network(own)
        with suppress(OSError):  # another process was first
            own.rename(folder)
    return ["-m", str(folder / "quick.keras"), "--labels", str(folder / "names.txt"), "--fit", "stretch"]


def _write_quick_network(folder: Path) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    image = keras.Input((96, 96, 3))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(16, 1, activation="relu")(x)
    x = layers.Conv2D(8, 3, strides=4, activation="relu")(x)
    scores = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, scores).save(folder / "quick.keras")
    (folder / "names.txt").write_text("red\ngreen\nblue\nyellow\ngrey\n", "utf-8")


@pytest.fixture(scope="session")
def chelsea() -> np.ndarray:
    """A cat's head, uint8 BGR (300, 451, 3)."""
    from skimage import data

    return np.ascontiguousarray(data.chelsea()[..., ::-1])


@pytest.fixture(scope="session")
def coffee() -> np.ndarray:
    """A cup of espresso on a saucer, uint8 BGR (400, 600, 3)."""
    from skimage import data

    return np.ascontiguousarray(data.coffee()[..., ::-1])
