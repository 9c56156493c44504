"""JupyterLab in a real browser."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("anywidget", reason="anywidget is not installed: pip install 'live-gradcam[notebook]'")

sys.path.append(str(Path(__file__).parents[1] / "serving" / "browser"))  # Chromium with a camera
