"""What the commands print: tables and JSON on stdout, everything else on stderr."""

import json
import logging
import os
import re
import select
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from live_gradcam.addresses import masked, masked_values
from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.errors import UsageError
from live_gradcam.flow.threads import detached_threads

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from rich.status import Status
    from rich.table import Table

    from live_gradcam.attribution.fit_choice import Look
    from live_gradcam.fitting.teacher import Teacher

PROCESS_START = time.perf_counter()
FAILED, INTERRUPTED = 1, 130
_PIPE_WIDTH = 200
#: C0 without tabs and ends of lines, DEL, and C1.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: For threads that are about to end when the program does.
_LAST_SECONDS = 1.0


@cache
def terminal() -> "Console":
    """What draws on stderr. Rich is imported for the first that asks for it: the window's first picture is not one."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def status(what: str) -> "Status":
    """A line on a terminal that says what is being done, while it is entered. `what` is any text."""
    from rich.markup import escape

    return terminal().status(escape(what))


def set_up_logging(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and TensorFlow's own messages.")] = False,
) -> None:
    """Have what the package logs written to stderr, a line each."""
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("live-gradcam: %(message)s"))
    logger = logging.getLogger("live_gradcam")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    if not debug:
        warnings.simplefilter("ignore")  # libraries' notes to programmers


def is_debugging() -> bool:
    """Whether `--debug` was given."""
    return logging.getLogger("live_gradcam").level == logging.DEBUG


class _StderrHandler(logging.Handler):
    """Logs to `sys.stderr` as it is at the time, which TensorFlow's start replaces for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.exc_info is None:  # a name in it may have several
            text = " ".join(text.splitlines())
        _print_on_stderr(masked(text))


def print_traceback() -> None:
    """Print the traceback of the exception in hand, without passwords."""
    _print_on_stderr(masked(traceback.format_exc()).rstrip())


def complain(message: str) -> None:
    """Print a line on stderr, without passwords."""
    _print_on_stderr(masked(f"live-gradcam: {' '.join(message.split())}"))


def _print_on_stderr(text: str) -> None:
    """Print a text there. A stderr that cannot be written, such as on a full disk, stops nothing."""
    with suppress(OSError):
        print(visible(text), file=sys.stderr)


def say(text: str) -> None:
    """Print a line on stdout, for a person as `visible`: a program that reads it gets names as they are."""
    print(visible(text) if sys.stdout.isatty() else text)


def visible(text: str) -> str:
    """A text with its control characters as Python writes them: those of a file's name would change the terminal."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def complain_of_stdout(error: Exception) -> bool:
    """If an error came of stdout, which cannot be written, print why; nobody tries to write there again.

    Where a pipe is closed, nothing is printed: who reads it has seen enough, as `head` has.

    Returns:
        Whether it came of that.
    """
    if not isinstance(error, OSError):
        return False
    fault: OSError | None = error if isinstance(error, BrokenPipeError) and _nobody_reads_stdout() else None
    try:
        print(end="", flush=True)
    except OSError as found:
        fault = found
    if fault is None:
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(fault, BrokenPipeError):
        complain(f"cannot write stdout: {fault.strerror}")
    return True


def _nobody_reads_stdout() -> bool:
    """Whether stdout is a pipe whose other end is closed. Python's buffer may be empty after what failed."""
    if not hasattr(select, "poll"):  # on Windows
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def renamed_flag(old: str, old_value: str | None, new: str, new_value: str | None) -> str | None:
    """The value of a flag that had another name before; a line on stderr names the new one.

    Raises:
        UsageError: both names are given.
    """
    if old_value is None:
        return new_value
    if new_value is not None:
        raise UsageError(f"{old} is the old name of {new}: give {new} alone")
    complain(f"{old} is now called {new}, and the old name will be removed: please write {new} {old_value}")
    return old_value


def start_session(options: SessionOptions, *, look: "Look | None" = None) -> Session:
    """Load, build and warm up, with a line on a terminal while it takes."""
    from live_gradcam.attribution.session import start_session

    with status(f"starting {options.model}"):
        return start_session(options, look=look, let_tensorflow_talk=is_debugging())


def start_teaching(
    options: SessionOptions, *, fit: str | None = None, look: "Look | None" = None
) -> "tuple[Teacher, Session]":
    """Load a network and make it ready to be taught, with a line on a terminal while it takes."""
    from live_gradcam.fitting.taught_session import start_teaching

    with status(f"starting {options.model}"):
        return start_teaching(options, fit=fit, look=look, let_tensorflow_talk=is_debugging())


def is_stdout(path: Path | None) -> bool:
    """Whether the path of `--json` means stdout, on which nothing else is printed then."""
    return str(path) == "-"


def write_json(content: Any, path: Path) -> None:
    """Write JSON to a file, or to stdout for "-"."""
    from live_gradcam.files import write_whole

    text = json.dumps(masked_values(content), indent=2, ensure_ascii=False)
    if is_stdout(path):
        print(text)
        return
    # A name that is no UTF-8 has surrogates, which JSON can say: \udce9.
    write_whole(path, f"{text}\n".encode("utf-8", "backslashreplace"))


def check_json_path(path: Path | None, *, overwrite: bool) -> None:
    """Make sure that the file of `--json` can be written."""
    from live_gradcam.files import check_output

    if path is not None and not is_stdout(path):
        check_output(path, overwrite=overwrite)


def print_table(table: "Table") -> None:
    """Print a table: as wide as the terminal, or unbroken into a pipe or file."""
    from rich.console import Console

    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    console.print(table)


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """A line on a terminal that says what is being done, from the first call on."""
    from rich.markup import escape

    with ExitStack() as shown:
        line = status("")
        shown.callback(line.stop)

        def show(what: str) -> None:
            line.update(escape(what))
            line.start()

        yield show


@contextmanager
def passes_bar() -> Iterator[Callable[[Path, int, int], None]]:
    """A bar for the picture in hand, where it takes many passes, on a terminal."""
    if not terminal().is_terminal:  # before 14.3 rich ends even a disabled bar with an empty line
        yield lambda picture, done, total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} passes")
    with ExitStack() as shown:
        bars: dict[Path, tuple[Progress, TaskID]] = {}

        def close() -> None:
            shown.close()
            bars.clear()

        def show(picture: Path, done: int, total: int) -> None:
            if picture not in bars:
                close()  # that of a picture that failed between its passes
                bar = shown.enter_context(Progress(*columns, console=terminal(), transient=True))
                bars[picture] = bar, bar.add_task(visible(picture.name), total=total)
            bar, task = bars[picture]
            bar.update(task, completed=done)
            if done == total:  # what is printed of the picture comes after its bar is gone
                close()

        yield show


def end_process(code: int) -> None:
    """End with an exit code, also where a driver or a compiler does not come back. All files must be finished.

    Raises:
        typer.Exit: for a code that is not 0.
    """
    if detached_threads(_LAST_SECONDS):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        raise typer.Exit(code)
