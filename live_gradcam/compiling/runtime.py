"""Starting TensorFlow: its settings."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import platform
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar

from live_gradcam.compiling import xla_programs
from live_gradcam.errors import UsageError
from live_gradcam.files import cache_folder

_log = logging.getLogger(__name__)

_CACHE_FLAG = "--tf_xla_persistent_cache_directory"

#: From so many programs for each processor that want to run, the machine is busy.
_BUSY = 0.75

#: How many threads compute where TensorFlow is not there to be told; 0: as many as an engine likes.
_threads = 0

Compiled = TypeVar("Compiled")


def set_compiler_flags() -> None:
    """Set where XLA keeps compiled programs for the next start.

    XLA's own flags stay as they are, although YNN's matrix products (`--xla_cpu_experimental_ynn_fusion_type=dot`) save
    a sixth of the time of small networks: in TensorFlow 2.21 a product of n × k and k × n numbers with something after
    it is wrong from n = 257 on, which is self-attention, and the flag holds for all that the user's process compiles.

    To be called before TensorFlow computes anything: it reads them when it first asks for its devices. Later this
    changes nothing. What the user has set in `TF_XLA_FLAGS` stays. Where the version of TensorFlow is
    not known, or whether it runs already, nothing is set.
    """
    reads_flags, version = _reads_flags(), _tensorflow_version()
    if reads_flags is None or version is None:
        return
    if not reads_flags:
        if _CACHE_FLAG not in os.environ.get("TF_XLA_FLAGS", ""):
            _say_that_flags_are_read()
        return
    folder = _programs_folder()
    if folder in _own_programs:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if any(character.isspace() for character in str(folder)):
        return
    room = xla_programs.hold_room(folder)
    if room is not None:
        _add_flag("TF_XLA_FLAGS", _CACHE_FLAG, str(folder))
        _own_programs[folder] = room


@lru_cache(maxsize=1)
def _tensorflow_version() -> str | None:
    """The version of TensorFlow, after the package's name where that is another ("tensorflow-cpu 2.21.0"); or None."""
    try:
        return importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        names = sorted(set(importlib.metadata.packages_distributions().get("tensorflow", ())))
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names) or None


def _reads_flags() -> bool | None:
    """Whether TensorFlow has still to read its flags: it is not imported, or has not asked for its devices yet.

    None where this version of TensorFlow does not say so.
    """
    if "tensorflow" not in sys.modules:
        return True
    try:
        from tensorflow.python.eager import context  # no public function says so without asking for the devices

        return context.context_safe() is None
    except (ImportError, AttributeError):
        return None


@lru_cache(maxsize=1)
def _say_that_flags_are_read() -> None:
    _log.debug("TensorFlow ran before live_gradcam was imported: XLA keeps no programs for the next start")


#: How the names of the folders begin in which XLA keeps programs.
_COMPILED = "compiled-"


def _programs_folder() -> Path:
    """Of this machine alone: a program must never be run on another processor, in a home folder that machines share."""
    of_this_machine = hashlib.sha256(repr(sorted(describe_compiler().items())).encode()).hexdigest()[:16]
    return cache_folder() / f"{_COMPILED}{of_this_machine}"


def compiled_folders() -> list[Path]:
    """The folders in which XLA keeps programs, of all machines that share the user's cache folder."""
    return sorted(cache_folder().glob(f"{_COMPILED}*"))


#: The folder into which XLA is told to write, with the room that is held there: empty where there is none. What lies
#: elsewhere is not ours.
_own_programs: dict[Path, IO[bytes]] = {}
#: The folders whose programs were looked at in this process.
_looked_at: set[Path] = set()
_looking = threading.Lock()
#: How often XLA was helped where it had failed in this process.
_generation = 0


def compiled_soundly(
    compile_: Callable[[], Compiled], is_right: Callable[[Compiled], bool] = lambda compiled: True
) -> Compiled:
    """What `compile_` returns. Programs that XLA keeps are looked at before, and vouched for afterwards.

    What XLA did not read, but compiled now, is only kept if `is_right`.

    Where it fails and XLA keeps programs, they are thrown away and it is called once more: XLA fails for ever at some
    that are damaged (by a full disk, or a machine that went down). It fails where it cannot write one, too: on a disk
    that has become full, room is given back that was held.
    """
    folder = _folder_in_use()
    with _looking:
        if folder is not None and folder not in _looked_at:
            xla_programs.remove_damaged(folder)
            _looked_at.add(folder)
    try:
        compiled = compile_()
    except Exception:  # XLA's for a damaged file is of no type of its own
        if folder is None or not _help(folder):
            raise
        compiled = compile_()
    if folder is None:
        is_right(compiled)
    elif xla_programs.are_new(folder):
        if is_right(compiled):
            xla_programs.vouch(folder)
            xla_programs.make_room(compiled_folders())
        else:
            xla_programs.remove_new(folder)
    return compiled


def generation() -> int:
    """How often XLA was helped: what is compiled again needs a name at which XLA has not failed."""
    return _generation


def _help(folder: Path) -> bool:
    """Do what may help where XLA has failed. Returns whether there was something to do."""
    global _generation
    xla_programs.remove_unfinished(folder)
    held = _own_programs[folder]
    if not held.closed and xla_programs.hold_room(folder) is None:
        held.close()
        is_helped = True
    else:
        is_helped = xla_programs.remove_all(folder)
    _generation += is_helped
    return is_helped


def _folder_in_use() -> Path | None:
    """Our own folder, if that is the one in which XLA keeps programs."""
    flags = os.environ.get("TF_XLA_FLAGS", "").split()
    return next((folder for folder in _own_programs if f"{_CACHE_FLAG}={folder}" in flags), None)


def _add_flag(variable: str, flag: str, value: str) -> None:
    flags = os.environ.get(variable, "")
    if flag not in flags:
        os.environ[variable] = f"{flags} {flag}={value}".strip()


def set_threads(count: int) -> None:
    """Let TensorFlow, the other engines and OpenCV compute with this many threads each. Imports TensorFlow.

    By default each takes one a processor: on two cores, one thread takes 1.4 to 1.8 times as long for a frame, and
    three or four 1.05 to 1.15 times.

    Raises:
        UsageError: TensorFlow has computed something already, and keeps the threads that it has.
    """
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != count:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(count)
        except RuntimeError as error:
            raise UsageError("the number of threads cannot change once TensorFlow runs") from error
    use_threads(count)


def use_threads(count: int) -> None:
    """Let the engines other than TensorFlow, and OpenCV, compute with this many threads each."""
    import cv2

    global _threads
    _threads = count
    cv2.setNumThreads(count)


def threads() -> int:
    """How many threads an engine is to compute with; 0: its own choice. Does not import TensorFlow."""
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        return tf.config.threading.get_intra_op_parallelism_threads()
    return _threads


def describe_runtime() -> dict[str, Any]:
    """The device, the versions and the thread counts that a measurement depends on. Does not import TensorFlow.

    Where it is not imported, it is none that computes.
    """
    import av
    import cv2
    import numpy as np

    device, inter_op = f"CPU ({processor_name()})", 0
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        device = gpus[0].name if gpus else device
        inter_op = tf.config.threading.get_inter_op_parallelism_threads()
    return {
        "device": device,
        "versions": {
            "python": platform.python_version(),
            "tensorflow": (_tensorflow_version() or "").split(" ")[-1],
            "keras": importlib.metadata.version("keras"),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pyav": av.__version__,
        },
        "threads": {
            "cpus": os.cpu_count(),
            "tensorflow_intra_op": threads() or os.cpu_count(),
            "tensorflow_inter_op": inter_op or os.cpu_count(),
            "opencv": cv2.getNumThreads(),
        },
    }


def is_busy() -> bool:
    """Whether much else runs on this machine, or ran in the last minute."""
    if not hasattr(os, "getloadavg"):
        return False
    return os.getloadavg()[0] >= _BUSY * (os.cpu_count() or 1)


def processor_name() -> str:
    """What the processor is called."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor() -> str:
    """The processor and what it can do: two of one name can differ in their instructions."""
    details = [_cpuinfo(field) for field in ("cpu family", "model\t", "flags", "Features")]
    return " ".join([processor_name(), hashlib.sha256(repr(details).encode()).hexdigest()[:12]])


def _cpuinfo(field: str) -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return ""


def describe_compiler() -> dict[str, Any]:
    """What a compiled program and its speed depend on: versions, processor and flags. Does not import TensorFlow."""
    return {
        "tensorflow": _tensorflow_version() or "unknown",
        "processor": processor(),
        "cpus": os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }
