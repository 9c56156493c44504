"""Which form of a layer is fastest here: timed when a network is built, and remembered for the next time."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.choices import Tune
from live_gradcam.compiling.runtime import compiled_soundly, describe_compiler, threads
from live_gradcam.files import cache_folder, write_json

if TYPE_CHECKING:
    import tensorflow as tf

_log = logging.getLogger(__name__)

#: What `auto` may spend on one network; what is not timed by then goes by rule, until the next start.
_SECONDS = 8.0
#: How many frames at a time may be explained.
BATCHES = (1, 2, 4)
#: How many threads may explain at a time, and how many frames each is timed with.
CALLERS, _FRAMES_OF_CALLER = (1, 2), 2
#: How much faster than the form by rule another one must be: less may be chance.
_MARGIN = 0.95
#: A form this much slower than the best in its first run is not run again.
_HOPELESS = 1.5
#: Of a whole frame: for how long it is run again and again, and how often at most.
_RUN_SECONDS, _MOST_RUNS = 0.5, 25
_RUNS: dict[str, int] = {"auto": 5, "full": 15}

#: Takes a layer's input, gives its output.
Layer = Callable[["tf.Tensor"], "tf.Tensor"]


class Tuner:
    """Chooses between forms of a layer that compute the same.

    Args:
        tune: how much to time.
        folder: where choices are remembered; None for the user's cache folder. What cannot be read or written there
            is timed again.
    """

    def __init__(self, tune: Tune = "auto", folder: Path | None = None) -> None:
        self.tune = tune
        #: Seconds spent on timing.
        self.seconds = 0.0
        #: Whether all was timed that was to be: nothing is left for the next start.
        self.is_done = True
        runtime = _describe_runtime()
        name = hashlib.sha256(json.dumps(runtime, sort_keys=True).encode()).hexdigest()[:16]
        self._path = (folder or cache_folder()) / f"tuning-{name}.json"
        self._runtime = runtime
        self._timings: dict[str, dict[str, float]] = {} if tune == "off" else self._remembered()
        self._timed: set[str] = set()

    def choose(self, key: str, forms: Mapping[str, Callable[[], Layer]], shape: tuple[int, ...], default: str) -> str:
        """The fastest form of a layer.

        Args:
            key: what the layer is, shapes and all: layers of one key are timed once.
            forms: by name, what makes the layer in this form.
            shape: of its input, without the batch axis.
            default: the form by rule, which stays unless another one is faster beyond doubt.

        Returns:
            A name of `forms`.
        """
        if self.tune == "off" or len(forms) < 2:
            return default
        if not self._is_known(key, forms):
            if self.tune == "remembered" or (self.tune == "auto" and self.seconds >= _SECONDS):
                self.is_done = False
                return default
            start = time.perf_counter()
            runs = _RUNS[self.tune]
            self._timings[key] = compiled_soundly(lambda: _time_forms(forms, shape, runs=runs))
            self._timed.add(key)
            self.seconds += time.perf_counter() - start
        timings = {name: self._timings[key][name] for name in forms}
        best = min(timings, key=timings.__getitem__)
        return best if timings[best] < _MARGIN * timings[default] else default

    def choose_batch(self, key: str, run: Callable[[int], object]) -> int:
        """How many frames at a time take the least time each.

        Args:
            key: what is run: the network, its input size, the engine.
            run: runs a batch of this many frames.

        Returns:
            One of `BATCHES`; 1 where nothing is to be timed, or no other is faster beyond doubt.
        """
        return self._choose_count(f"batch of {key}", run, BATCHES)

    def choose_callers(self, key: str, run: Callable[[int, int], object]) -> int:
        """How many threads that explain at a time take the least time for a frame.

        Args:
            key: as for `choose_batch`.
            run: has so many threads explain so many frames each.

        Returns:
            One of `CALLERS`, as `choose_batch`.
        """
        return self._choose_count(f"callers of {key}", lambda callers: run(callers, _FRAMES_OF_CALLER), CALLERS)

    def _choose_count(self, key: str, run: Callable[[int], object], counts: tuple[int, ...]) -> int:
        """The count whose run takes the least time for each; 1 unless another one is faster beyond doubt."""
        if self.tune == "off":
            return 1
        if not self._is_known(key, map(str, counts)):
            if self.tune == "remembered":
                return 1
            start = time.perf_counter()
            self._timings[key] = _time_counts(run, counts, runs=_RUNS[self.tune])
            self._timed.add(key)
            self.seconds += time.perf_counter() - start
            self.remember()
        timings = {count: self._timings[key][str(count)] for count in counts}
        best = min(timings, key=timings.__getitem__)
        return best if timings[best] < _MARGIN * timings[1] else 1

    def time(self, key: str, run: Callable[[], object]) -> float:
        """The milliseconds of a run, as remembered or timed now, however much there is to be timed otherwise.

        Args:
            key: what is run, and how: as for `choose_batch`.
            run: runs it, compiled already.
        """
        key = f"time of {key}"
        if not self._is_known(key, ["run"]):
            start = time.perf_counter()
            self._timings[key] = {"run": _time_runs(run)}
            self._timed.add(key)
            self.seconds += time.perf_counter() - start
            if self.tune != "off":
                self.remember()
        return self._timings[key]["run"]

    def _is_known(self, key: str, names: Iterable[str]) -> bool:
        """Whether all of these are timed: for `full` by this tuner itself, which does so once."""
        return key in self._timed if self.tune == "full" else self._timings.get(key, {}).keys() >= set(names)

    def milliseconds(self, key: str) -> dict[str, float]:
        """The median time of each form of a layer, as far as known."""
        return dict(self._timings.get(key, {}))

    def remember(self) -> None:
        """Write what was timed to the user's cache folder."""
        if not self._timed:
            return
        timings = {**self._remembered(), **{key: self._timings[key] for key in self._timed}}
        try:
            write_json(self._path, {"runtime": self._runtime, "milliseconds": timings})
        except OSError as error:
            _log.info("timings are not remembered: %s", error)

    def _remembered(self) -> dict[str, dict[str, float]]:
        try:
            content: Any = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                str(key): {str(name): float(value) for name, value in timings.items()}
                for key, timings in content["milliseconds"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _describe_runtime() -> dict[str, Any]:
    """What timings depend on: the compiler's part of it, the forms themselves, and the threads that they run on."""
    return {
        **describe_compiler(),
        "live_gradcam": importlib.metadata.version("live-gradcam"),
        "threads": threads(),  # 0: as many as TensorFlow likes
    }


def _time_forms(forms: Mapping[str, Callable[[], Layer]], shape: tuple[int, ...], *, runs: int) -> dict[str, float]:
    """Milliseconds of each form, each compiled on its own: medians of runs in turn, a new input for each turn."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    signature = [tf.TensorSpec((1, *shape), tf.float32)]
    compiled = {
        name: tf.function(make(), signature, jit_compile=True, autograph=False).get_concrete_function()
        for name, make in forms.items()
    }
    times: dict[str, list[float]] = {name: [] for name in forms}
    racing = set(forms)
    for turn in range(-1, runs):
        x = tf.constant(generator.normal(size=(1, *shape)), tf.float32)
        for name in forms:
            if name in racing:
                start = time.perf_counter()
                compiled[name](x).numpy()
                if turn >= 0:  # the turn before compiles
                    times[name].append(1e3 * (time.perf_counter() - start))
        if turn == 0:
            best = min(times[name][0] for name in racing)
            racing = {name for name in racing if times[name][0] <= _HOPELESS * best}
    return {name: float(np.median(values)) for name, values in times.items()}


def _time_runs(run: Callable[[], object]) -> float:
    """The milliseconds of a run, after one that warms up: the lower quartile of 3 to 25, for half a second.

    Not the median: what else goes on while a program starts only makes runs longer.
    """
    run()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < _RUN_SECONDS and len(times) < _MOST_RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.quantile(times, 0.25))


def _time_counts(run: Callable[[int], object], counts: tuple[int, ...], *, runs: int) -> dict[str, float]:
    """Milliseconds for each one of a count, such as the frames of a batch: medians of runs in turn."""
    times: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(-1, 2 * runs):
        for count in counts:
            start = time.perf_counter()
            run(count)
            if turn >= 0:  # the turn before compiles
                times[count].append(1e3 * (time.perf_counter() - start) / count)
    return {str(count): float(np.median(values)) for count, values in times.items()}
