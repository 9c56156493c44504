"""What several tests need: the default network, loaded once, and real photographs."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from skimage import data

from live_gradcam import Classifier, Explainer, load_classifier


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
