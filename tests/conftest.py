"""What several tests need: the default network, loaded once, and real photographs."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Timings and compiled programs of the tests, and of the commands that they start, stay out of the user's cache.
# Processes that share the tests share them too.
os.environ["XDG_CACHE_HOME"] = (
    os.environ["XDG_CACHE_HOME"]
    if "PYTEST_XDIST_WORKER" in os.environ
    else tempfile.mkdtemp(prefix="live-gradcam-tests-")
)

import numpy as np
import pytest
from skimage import data

from live_gradcam import Classifier, Explainer, load_classifier

if "PYTEST_XDIST_WORKER" not in os.environ:
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def lite0() -> Classifier:
    """EfficientNet-Lite0 with its ImageNet weights."""
    return load_classifier("efficientnet-lite0")


@pytest.fixture(scope="session")
def explainer(lite0: Classifier) -> Explainer:
    """The default explainer, warmed up, one map."""
    explainer = Explainer(lite0, maps=1)
    explainer.warm_up()
    return explainer


@pytest.fixture(scope="session")
def chelsea() -> np.ndarray:
    """A cat's head, uint8 BGR (300, 451, 3)."""
    return np.ascontiguousarray(data.chelsea()[..., ::-1])


@pytest.fixture(scope="session")
def coffee() -> np.ndarray:
    """A cup of espresso on a saucer, uint8 BGR (400, 600, 3)."""
    return np.ascontiguousarray(data.coffee()[..., ::-1])
