"""What maps cost while a model is trained: `GradCAMCallback` beside tf-explain's, in the same `fit`.

    pip install --target /tmp/tfexplain --no-deps tf-explain
    python benchmarks/callback.py --tf-explain /tmp/tfexplain
    python benchmarks/callback.py                        # without tf-explain
    python benchmarks/callback.py --network mobilenet    # MobileNetV2 with random weights

A network is trained for three epochs on the 200 faces and other pictures of `make demo-fit`, at 96 × 96: without a
callback, with ours, and with tf-explain's. Each is a process of its own. The callbacks write the same eight validation
pictures into TensorBoard after each epoch. Ours makes a map of the true class and one of the prediction. tf-explain's
makes one map of one class for all pictures, with a new Keras model in each epoch; it is given the layer's name, as it
cannot find it with Keras 3. Seconds are those of the processor, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

_SIDE, _EPOCHS, _BATCH, _SHOWN = 96, 3, 16, 8
_KINDS = ("none", "ours", "tf-explain")
_LAYERS = {"small": "last", "mobilenet": "out_relu"}


def main() -> None:
    """Measure each kind, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(_LAYERS), default="small")
    parser.add_argument("--tf-explain", type=Path, metavar="FOLDER", help="where pip installed it")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=_KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--logs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(train(options.one, options.network, options.logs, options.tf_explain)))
        return
    found = {}
    for kind in _KINDS[: 3 if options.tf_explain else 2]:
        with tempfile.TemporaryDirectory() as logs:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", kind, "--logs", logs]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[kind] = json.loads(done.stdout.splitlines()[-1])
    print(f"{options.network}: processor seconds per epoch ({_EPOCHS} epochs, {_SHOWN} pictures)")
    for kind, one in found.items():
        if kind == "none":
            print(f"{'none':12}training {numbers(one['training'])}")
            continue
        later, of_training = np.mean(one["callback"][1:]), np.mean(one["training"][1:])
        print(
            f"{kind:12}training {numbers(one['training'])}   callback {numbers(one['callback'])}   "
            f"once {one['once']:.2f}   after the first epoch {100 * later / of_training:.1f} % of the training   "
            f"{one['built']}   same weights as without: {'yes' if one['weights'] == found['none']['weights'] else 'no'}"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def numbers(seconds: list[float]) -> str:
    """Some seconds in a line."""
    return " ".join(f"{one:.2f}" for one in seconds)


def train(kind: str, network: str, logs: Path, tf_explain: Path | None) -> dict[str, Any]:
    """Train with a callback, and say what it cost."""
    import keras

    images, labels = pictures()
    model = network_of(network)
    shown = images[-_SHOWN:], labels[-_SHOWN:]
    timed = timed_callback(callback_of(kind, _LAYERS[network], shown, logs, tf_explain))
    validation = images[-40:], labels[-40:]
    model.fit(images[:-40], labels[:-40], _BATCH, _EPOCHS, verbose=0, validation_data=validation, callbacks=[timed])
    weights = sum(float(np.abs(np.asarray(weight)).sum()) for weight in model.weights)
    ours = timed.inner if kind == "ours" else None
    built = f"{ours.trace_count} trace" if ours else f"{_EPOCHS} new Keras models"
    return {
        "training": timed.training,
        "callback": timed.spent,
        "once": timed.once,
        "built": built,
        "weights": weights,
        "keras": keras.__version__,
    }


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """The pictures float32 (n, 96, 96, 3) in 0…1 and their classes, mixed."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        maker = Path(__file__).parents[1] / "examples" / "make_faces.py"
        subprocess.run([sys.executable, maker, folder], check=True, stdout=subprocess.DEVNULL)
        files = sorted(Path(folder).rglob("*.png"))
        read = [cv2.resize(cv2.imread(str(file)), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for file in files]
    labels = np.array([file.parent.name == "face" for file in files], int)
    order = np.random.default_rng(0).permutation(len(files))
    return np.stack(read)[order].astype(np.float32) / 255, labels[order]


def network_of(name: str) -> Any:
    """A network with random weights, always the same."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    if name == "mobilenet":
        model = keras.applications.MobileNetV2((_SIDE, _SIDE, 3), weights=None, classes=2)
    else:
        x = image = keras.Input((_SIDE, _SIDE, 3))
        x = layers.RandomFlip("horizontal")(x)
        for filters in (16, 32, 64):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x)))
        x = layers.Conv2D(64, 3, padding="same", activation="relu", name="last")(x)
        x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
        model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def callback_of(
    kind: str, layer: str, shown: tuple[np.ndarray, np.ndarray], logs: Path, tf_explain: Path | None
) -> Any:
    """The callback that is measured; None for none."""
    if kind == "ours":
        from live_gradcam import CallbackOptions, GradCAMCallback

        return GradCAMCallback(shown, tensorboard=logs, options=CallbackOptions(verbose=False))
    if kind == "tf-explain":
        sys.path.append(str(tf_explain))
        from tf_explain.callbacks.grad_cam import GradCAMCallback as OfTfExplain

        return OfTfExplain(shown, class_index=1, layer_name=layer, output_dir=logs)
    return None


def timed_callback(inner: Any) -> Any:
    """A callback that hands everything on to another one, and times it."""
    import keras

    class Timed(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.once, self.training, self.spent = 0.0, list[float](), list[float]()
            self._start = 0.0

        def set_model(self, model: Any) -> None:
            super().set_model(model)
            if inner is not None:
                inner.set_model(model)

        def on_train_begin(self, logs: Any = None) -> None:
            start = time.process_time()
            if inner is not None:
                inner.on_train_begin(logs)
            self.once = time.process_time() - start

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if inner is not None:
                inner.on_epoch_begin(epoch, logs)
            self._start = time.process_time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            end = time.process_time()
            self.training.append(end - self._start)
            if inner is not None:
                inner.on_epoch_end(epoch, logs)
            self.spent.append(time.process_time() - end)

    return Timed()


if __name__ == "__main__":
    main()
