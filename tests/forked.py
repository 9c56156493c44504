"""Commands from a process that has the large libraries already: importing them takes longer than most commands do.

It imports nothing of ours. Each command is a fork of it, which imports the package and runs it as `python -m` does, to
the interpreter's own end. TensorFlow has no threads before it first computes, and reads XLA's flags only then.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

#: Whether it can be done here: elsewhere a fork of a process in which libraries have threads is not safe.
IS_POSSIBLE = sys.platform == "linux"


def run_forked(arguments: list[str], environment: dict[str, str], seconds: float) -> tuple[int, str, str]:
    """Run `live-gradcam ARGUMENTS` to its end, in the folder in which this process is.

    Of what Python and the libraries read from the environment while they start, only `PYTHONPATH` is heeded.

    Returns:
        Its exit code, as `subprocess` gives it, and what it printed to stdout and to stderr.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    server = _server()
    with tempfile.TemporaryDirectory(prefix="forked-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        server.send((arguments, environment, os.getcwd(), (str(out), str(err))))
        process = server.recv()
        in_time = server.poll(seconds)
        if not in_time:
            os.kill(process, signal.SIGKILL)
        code = server.recv()
        if not in_time:
            raise subprocess.TimeoutExpired(arguments, seconds)
        return code, out.read_text(), err.read_text()


@lru_cache(maxsize=1)
def _server() -> Connection:
    """The other process, which is started where it is first needed."""
    ours, theirs = Pipe()
    own = ("PYTHONPATH", "XLA_FLAGS", "TF_XLA_FLAGS")  # those of each command are its own
    environment = {name: value for name, value in os.environ.items() if name not in own}
    server = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
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
    """Fork for each command until nobody is left to send one; in the fork, run it."""
    connection = Connection(int(sys.argv[1]))
    of_loggers, made = _import_libraries()
    gc.freeze()  # so that no fork goes through all of it, which would copy it
    while True:
        try:
            arguments, environment, folder, outputs = connection.recv()
        except EOFError:
            return
        process = os.fork()
        if not process:
            break
        connection.send(process)
        connection.send(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    connection.close()
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
    runpy.run_module("live_gradcam", run_name="__main__", alter_sys=True)


def _import_libraries() -> tuple[int, dict[str, str]]:
    """Import what takes long, in the silence in which the program does it.

    Returns:
        The file descriptor to which loggers write that are made meanwhile, and what was set in the environment.
    """
    before = dict(os.environ)
    stderr = os.dup(2)
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    with redirect_stderr(terminal), redirect_stdout(terminal):
        import av  # noqa: F401
        import cv2  # noqa: F401
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401
        import typer  # noqa: F401
    os.dup2(stderr, 2)
    for descriptor in (stderr, nowhere):
        os.close(descriptor)
    return terminal.fileno(), dict(os.environ.items() - before.items())


if __name__ == "__main__":
    _serve()
