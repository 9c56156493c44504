"""`GradCAMCallback` for Keras: what a network looks at, epoch by epoch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from live_gradcam.errors import OutputError, UsageError
from live_gradcam.explanations import faithfulness
from live_gradcam.explanations.fits import enlarged
from live_gradcam.sources.labelled import class_of
from live_gradcam.training.maps import EpochCost, Faithfulness, PictureMaps, TrainingMaps
from live_gradcam.training.material import Material
from live_gradcam.training.model import ModelInTraining
from live_gradcam.training.options import CallbackOptions
from live_gradcam.training.outlets import Outlet, ToFolder, ToFunction, ToTensorBoard

_log = logging.getLogger(__name__)


class GradCAMCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Makes maps of some pictures while a model is trained, for the true class and for the prediction.

    The model is not changed, and its training comes to the same weights as without the callback. What makes the maps is
    traced once, when the training begins, and reads the weights of the moment each time. Dropout, augmentation and
    batch norms work as in `predict`.

    Args:
        pictures: what the model takes, best of the validation data: (pictures, labels), an array of pictures, or a
            `tf.data.Dataset` of such. The first `options.count` are used. They are read once, when the training
            begins. Labels are numbers, or one number for each class.
        tensorboard: a log folder: the maps are its run "gradcam".
        folder: a folder of pictures: `picture-01/epoch-001.png` and so on.
        function: called with the `TrainingMaps` each time.
        labels: names of the classes, in their order; empty for numbers.
        options: what is explained, and how.

    Attributes:
        costs: what the maps cost, epoch by epoch.
        start_seconds: what it took to get ready, once.

    Raises:
        UsageError: nobody takes the maps, or Keras runs with another backend than TensorFlow. When the training begins:
            pictures or labels that the model cannot take, a layer or a method that is not there for the model.
        ModelError: when the training begins: a model that cannot be explained.
    """

    def __init__(
        self,
        pictures: Any,
        *,
        tensorboard: str | Path | None = None,
        folder: str | Path | None = None,
        function: Callable[[TrainingMaps], Any] | None = None,
        labels: Sequence[str] = (),
        options: CallbackOptions | None = None,
    ) -> None:
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise UsageError(
                f"GradCAMCallback works with the TensorFlow backend of Keras, and this is {keras.backend.backend()}: "
                "set KERAS_BACKEND=tensorflow before Keras is imported"
            )
        self._outlets: list[Outlet] = []
        if tensorboard is not None:
            self._outlets.append(ToTensorBoard(Path(tensorboard)))
        if folder is not None:
            self._outlets.append(ToFolder(Path(folder)))
        if function is not None:
            self._outlets.append(ToFunction(function))
        if not self._outlets:
            raise UsageError("nobody takes the maps: give tensorboard=FOLDER, folder=FOLDER or function=FUNCTION")
        self.costs: list[EpochCost] = []
        self.start_seconds = 0.0
        self._options = options or CallbackOptions()
        self._pictures, self._labels = pictures, labels
        self._material: Material | None = None
        self._explained: ModelInTraining | None = None
        self._explained_model: keras.Model | None = None
        self._truths: list[int | None] = []
        self._epoch, self._batches = 0, 0
        self._epoch_start, self._spent = 0.0, 0.0

    @property
    def trace_count(self) -> int:
        """How often TensorFlow has traced a function for the maps of this model."""
        return 0 if self._explained is None else self._explained.trace_count

    # --- as Keras calls it ----------------------------------------------------------------------------------------

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Get ready: once for a model, however often it is trained."""
        if self._explained is not None and self._explained_model is self.model:
            return
        start = time.perf_counter()
        if self._material is None:
            self._material = Material.read(self._pictures, self._options)
        material = self._material
        explained = ModelInTraining(self.model, material.images, self._labels, self._options)
        classes = explained.classes
        self._truths = [class_of(label, classes) if classes else None for label in material.labels]
        explained.prepare()
        self._explained, self._explained_model = explained, self.model
        self.start_seconds = time.perf_counter() - start

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the clock."""
        self._epoch, self._spent, self._epoch_start = epoch, 0.0, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Make maps after so many batches, where that was asked for."""
        self._batches += 1
        if self._options.every is not None and self._batches % self._options.every == 0:
            self._make_maps(batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Make maps, and note what they cost."""
        if self._options.every is None:
            self._make_maps(None)
        elapsed = time.perf_counter() - self._epoch_start
        self.costs.append(EpochCost(epoch, self._spent, elapsed - self._spent))

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Say what the maps cost."""
        for outlet in self._outlets:
            outlet.close()
        if self._options.verbose and self.costs:
            seconds = sum(cost.seconds for cost in self.costs)
            share = seconds / max(1e-9, sum(cost.training_seconds for cost in self.costs))
            print(
                f"Grad-CAM: {len(self._truths)} pictures, {seconds / len(self.costs):.2f} s per epoch, "
                f"{100 * share:.1f} % of the training, and {self.start_seconds:.1f} s once"
            )

    # --- maps -----------------------------------------------------------------------------------------------------

    def _make_maps(self, batch: int | None) -> None:
        start = time.perf_counter()
        assert self._explained is not None  # the training began
        assert self._material is not None
        explanations = self._explained.explain(self._truths)
        shown = zip(self._material.shown, explanations, self._truths, strict=True)
        pictures = tuple(PictureMaps.of(number, *one) for number, one in enumerate(shown, 1))
        step = self._epoch if batch is None else self._batches
        maps = TrainingMaps(self._epoch, batch, step, pictures, self._faithfulness(pictures))
        for outlet in list(self._outlets):
            try:
                outlet.take(maps)
            except OutputError as error:  # which must not end a long training
                _log.warning("%s. The training goes on, and no more maps are written there", error)
                self._outlets.remove(outlet)
        self._spent += time.perf_counter() - start

    def _faithfulness(self, pictures: Sequence[PictureMaps]) -> Faithfulness | None:
        """Deletion and insertion of the predictions' maps, of what the model takes."""
        if not self._options.steps or not self._explained or not self._material or not self._explained.classes:
            return None
        areas = []
        for one, image in zip(pictures, self._material.images, strict=True):
            order = faithfulness.pixel_order(enlarged(one.prediction.heatmaps[0], image.shape[:2]))
            nothing = np.zeros(image.shape[-1], np.float32)  # what is nothing to the network
            for before, by in ((image, nothing), (faithfulness.blurred(image), image)):
                changed = faithfulness.replaced(before, by, order, self._options.steps)
                probabilities = self._explained.probabilities(changed)[:, one.prediction.target]
                areas.append(faithfulness.area_under_curve(probabilities))
        deletion, insertion = np.reshape(areas, (-1, 2)).mean(axis=0)
        return Faithfulness(float(deletion), float(insertion))
