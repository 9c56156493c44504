"""Commands from a process that has the large libraries already: importing them takes longer than most commands do.

It imports nothing of ours. Each command is a fork of it, which imports the package and runs it as `python -m` does, to
the interpreter's own end. TensorFlow has no threads before it first computes, and reads XLA's flags only then.

What never needs TensorFlow is a fork of a second process, which has the other libraries alone: it starts and forks far
quicker.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from itertools import repeat
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

#: Whether it can be done here: elsewhere a fork of a process in which libraries have threads is not safe.
IS_POSSIBLE = sys.platform == "linux" and hasattr(os, "pidfd_open")


class ForkedProcess:
    """`live-gradcam ARGUMENTS`, in the folder in which this process is: what tests use of `subprocess.Popen`.

    Of what Python and the libraries read from the environment while they start, only `PYTHONPATH` is heeded.

    Args:
        arguments: of the command, or of the script.
        environment: of the process.
        script: a script to run in the place of the command, in a session of its own.
        with_tensorflow: whether TensorFlow is imported already, or only the other libraries.
        largest_file: how many bytes a file may have that the process writes; what it prints is a file too.

    Attributes:
        pid: of the process.
        returncode: as `subprocess` gives it, once it is known that the process has ended.
    """

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str],
        *,
        script: str | None = None,
        with_tensorflow: bool = True,
        largest_file: int | None = None,
    ) -> None:
        self._arguments = arguments
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        outputs = tuple(str(Path(self._folder.name, name)) for name in ("out", "err"))
        self._said: tuple[str, ...] | None = None
        self.returncode: int | None = None
        self._server = _server(with_tensorflow=with_tensorflow)
        self._server.send((arguments, environment, os.getcwd(), outputs, script, largest_file))
        self.pid: int = self._server.recv()
        self._end = os.pidfd_open(self.pid)
        self._outputs = outputs

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._wait(0)

    def wait(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._wait(None)

    def _wait(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            ends = select.poll()
            ends.register(self._end, select.POLLIN)
            if ends.poll(None if seconds is None else 1000 * seconds):
                os.close(self._end)
                self._server.send(self.pid)
                self.returncode = self._server.recv()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, ...]:
        """What it printed to stdout and to stderr, when it has ended.

        Raises:
            subprocess.TimeoutExpired: it goes on after so many seconds.
        """
        if self._wait(timeout) is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        if self._said is None:
            self._said = tuple(Path(output).read_text() for output in self._outputs)
            self._folder.cleanup()
        return self._said

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run_forked(
    arguments: list[str],
    environment: dict[str, str],
    seconds: float,
    *,
    script: str | None = None,
    with_tensorflow: bool = True,
) -> tuple[int, str, str]:
    """Run a `ForkedProcess` to its end.

    Args:
        arguments: as `ForkedProcess` takes them.
        environment: as well.
        seconds: how long it may take.
        script: as well.
        with_tensorflow: as well.

    Returns:
        Its exit code, and what it printed to stdout and to stderr.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    process = ForkedProcess(arguments, environment, script=script, with_tensorflow=with_tensorflow)
    try:
        out, err = process.communicate(seconds)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode is not None
    return process.returncode, out, err


@lru_cache(maxsize=2)
def _server(*, with_tensorflow: bool) -> Connection:
    """The other process, with TensorFlow or without, which is started where it is first needed."""
    ours, theirs = Pipe()
    own = ("PYTHONPATH", "XLA_FLAGS", "TF_XLA_FLAGS")  # those of each command are its own
    environment = {name: value for name, value in os.environ.items() if name not in own}
    server = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno()), *(["tensorflow"] if with_tensorflow else [])],
        pass_fds=[theirs.fileno()],
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"},  # as the program sets them
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def _serve() -> None:
    """Fork for each command, and wait for each fork that is said to have ended; in the fork, run the command."""
    connection = Connection(int(sys.argv[1]))
    libraries: list[str] = []
    # The interpreter's end takes modules apart, which would copy each page of the libraries: they are hidden from it.
    # What is registered first is called last. `deque` does it without a line of Python, so that no thread is let in
    # between that would import a library again. What was imported later, ours above all, comes to its end as ever.
    atexit.register(deque, map(sys.modules.pop, libraries, repeat(None)), 0)
    own = {*sys.modules}
    of_loggers, made = _import_libraries(with_tensorflow=len(sys.argv) > 2)
    libraries.extend(sys.modules.keys() - own)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object([sys.modules[name] for name in libraries]))  # nor do they end with it
    gc.freeze()  # so that no fork goes through all of it, which would copy it
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        if isinstance(asked, int):
            connection.send(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]))
            continue
        process = os.fork()
        if not process:
            break
        connection.send(process)
    connection.close()
    arguments, environment, folder, outputs, script, largest_file = asked
    for path, descriptors in zip(outputs, ([1], [2, of_loggers]), strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in descriptors:
            os.dup2(file, descriptor, inheritable=descriptor < 3)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update({**made, **environment})
    sys.argv[1:] = arguments
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    if script is None:
        runpy.run_module("live_gradcam", run_name="__main__", alter_sys=True)
        return
    os.setsid()
    if largest_file is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        # Python says nothing of bytecode that it could write a part of only, and no later start can read that.
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    sys.argv[0], sys.path[0] = script, str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


def _import_libraries(*, with_tensorflow: bool) -> tuple[int, dict[str, str]]:
    """Import what takes long, in the silence in which the program does it.

    Args:
        with_tensorflow: or the other libraries alone.

    Returns:
        The file descriptor to which loggers write that are made meanwhile, and what was set in the environment.
    """
    before = dict(os.environ)
    stderr = os.dup(2)
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    with redirect_stderr(terminal), redirect_stdout(terminal):
        import cv2  # noqa: F401

        # isort: split
        import av  # noqa: F401  after OpenCV: where PyAV's own X11 is there first, OpenCV's windows wait for ever
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401
        import rich.progress  # noqa: F401
        import typer  # noqa: F401

        if with_tensorflow:
            import keras  # noqa: F401
            import tensorflow as tf  # noqa: F401
    os.dup2(stderr, 2)
    for descriptor in (stderr, nowhere):
        os.close(descriptor)
    return terminal.fileno(), dict(os.environ.items() - before.items())


if __name__ == "__main__":
    _serve()
