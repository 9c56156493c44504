"""The methods against pytorch-grad-cam's maps of the same network: see `benchmarks/reference/README.md`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from live_gradcam import Classifier, Explainer

pytestmark = pytest.mark.slow

#: Method to the name that its maps have in the fixture.
REFERENCES = {
    "grad-cam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "elementwise": "GradCAMElementWise",
    "xgrad-cam": "XGradCAM",
    "eigen-cam": "EigenCAM",
    "eigengrad-cam": "EigenGradCAM",
    "finer-cam": "FinerCAM",
}
#: Whose reference comes with an arbitrary sign: the maps are those of one of the two.
OF_ANY_SIGN = ("eigen-cam", "eigengrad-cam")
TOLERANCE = 2e-5
#: XGrad-CAM divides by a channel's sum over space: where negative and positive activations nearly cancel out, as a
#: channel's at the second layer do, it divides float32's rounding, too.
TOLERANCES = {("xgrad-cam", 1): 1e-2}


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "fixtures" / "pytorch_grad_cam.npz") as archive:
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


@pytest.fixture(scope="module")
def explainers(lite0: Classifier, reference: dict[str, np.ndarray]) -> list[Explainer]:
    """For each layer one that has variants by all methods.

    As a graph and not rewritten, which takes the least time before the first map. That the other engines and the
    rewritten network explain the same is tested in test_engines and test_lowering.
    """
    return [Explainer(lite0, layer=str(name), maps=1, engine="graph", lowering=False) for name in reference["layers"]]


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("method", REFERENCES)
def test_the_map_is_pytorch_grad_cams(
    explainers: list[Explainer],
    reference: dict[str, np.ndarray],
    frames: list[np.ndarray],
    method: str,
    layer: int,
) -> None:
    maps = reference[REFERENCES[method]]
    explainer = explainers[layer].variant(method=method, layer=str(reference["layers"][layer]))
    tolerance = TOLERANCES.get((method, layer), TOLERANCE)
    for name, frame, classes, raw_maps in zip(
        reference["names"], frames, reference["classes"], maps[:, layer], strict=True
    ):
        for target, raw_map in zip(classes[: len(raw_maps)], raw_maps, strict=True):
            explanation = explainer(frame, target=int(target))
            if method in OF_ANY_SIGN and np.corrcoef(explanation.heatmaps[0].ravel(), raw_map.ravel())[0, 1] < 0:
                raw_map = -raw_map
            positive = np.maximum(raw_map, 0)
            heatmap = positive / positive.max() if positive.any() else positive
            where = f"{name}, class {target}"
            np.testing.assert_allclose(explanation.evidence[0], positive.max(), rtol=tolerance, err_msg=where)
            np.testing.assert_allclose(explanation.heatmaps[0], heatmap, atol=tolerance, err_msg=where)


def test_ablation_cams_map_is_pytorch_grad_cams(
    lite0: Classifier, reference: dict[str, np.ndarray], frames: list[np.ndarray]
) -> None:
    explainer = Explainer(lite0, method="ablation-cam", maps=1, engine="graph", lowering=False)
    explanation = explainer(frames[0], target=int(reference["classes"][0, 0]))
    positive = np.maximum(reference["AblationCAM"][0, 0, 0], 0)
    np.testing.assert_allclose(explanation.evidence[0], positive.max(), rtol=TOLERANCE)
    np.testing.assert_allclose(explanation.heatmaps[0], positive / positive.max(), atol=TOLERANCE)


def test_guided_backpropagation_is_pytorch_grad_cams(
    lite0: Classifier, reference: dict[str, np.ndarray], frames: list[np.ndarray]
) -> None:
    """Guided Grad-CAM is its strongest channel times the enlarged Grad-CAM; the reference has every third pixel."""
    grad_cam = Explainer(lite0, maps=1, engine="graph", lowering=False)
    guided = grad_cam.variant(method="guided-grad-cam", layer=grad_cam.layer)
    for frame, classes, gradients in zip(frames, reference["classes"], reference["guided_gradients"], strict=True):
        target = int(classes[0])
        actual = guided(frame, target=target)
        enlarged = cv2.resize(grad_cam(frame, target=target).heatmaps[0], (224, 224), interpolation=cv2.INTER_LINEAR)
        expected = np.abs(gradients).max(axis=-1) * enlarged[::3, ::3]
        raw_map = actual.heatmaps[0, ::3, ::3] * actual.evidence[0]
        error = np.abs(raw_map - expected) / expected.max()
        # A gate whose input is 0 but for rounding opens on one processor and not on another: few places, and not much.
        assert np.mean(error > 1e-4) < 2e-3
        assert error.max() < 1e-3
