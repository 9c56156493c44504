"""The methods against pytorch-grad-cam's maps of the same network: see `benchmarks/reference/README.md`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from live_gradcam import Classifier, Explainer

#: Method to the name that its maps have in the fixture.
REFERENCES = {
    "grad-cam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "elementwise": "GradCAMElementWise",
    "xgrad-cam": "XGradCAM",
}
TOLERANCE = 2e-5
#: XGrad-CAM divides by a channel's sum over space: where negative and positive activations nearly cancel out, as a
#: channel's at the second layer do, it divides float32's rounding, too.
TOLERANCES = {("xgrad-cam", 1): 1e-2}


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "fixtures" / "pytorch_grad_cam.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def frames(reference: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The photographs that the reference explains, uint8 BGR (224, 224, 3)."""
    windows = []
    for name, (row, column), digest in zip(reference["names"], reference["corners"], reference["sha256"], strict=True):
        window = np.ascontiguousarray(getattr(data, str(name))()[row : row + 224, column : column + 224])
        assert hashlib.sha256(window.tobytes()).hexdigest() == digest, f"{name} is not the reference's input"
        windows.append(window[..., ::-1])
    return windows


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("method", REFERENCES)
def test_the_map_is_pytorch_grad_cams(
    lite0: Classifier, reference: dict[str, np.ndarray], frames: list[np.ndarray], method: str, layer: int
) -> None:
    maps = reference[REFERENCES[method]]
    if layer >= maps.shape[1]:
        pytest.skip("too slow for the reference at this layer")
    # As a graph and not rewritten, which takes the least time before the first map. That the other engines and the
    # rewritten network explain the same is tested in test_backends and test_lowering.
    explainer = Explainer(
        lite0, method=method, layer=str(reference["layers"][layer]), maps=1, engine="graph", lowering=False
    )
    tolerance = TOLERANCES.get((method, layer), TOLERANCE)
    for name, frame, classes, raw_maps in zip(
        reference["names"], frames, reference["classes"], maps[:, layer], strict=True
    ):
        for target, raw_map in zip(classes[: len(raw_maps)], raw_maps, strict=True):
            explanation = explainer(frame, target=int(target))
            positive = np.maximum(raw_map, 0)
            heatmap = positive / positive.max() if positive.any() else positive
            where = f"{name}, class {target}"
            np.testing.assert_allclose(explanation.evidence[0], positive.max(), rtol=tolerance, err_msg=where)
            np.testing.assert_allclose(explanation.heatmaps[0], heatmap, atol=tolerance, err_msg=where)
