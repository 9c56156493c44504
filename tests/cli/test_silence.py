"""TensorFlow's start is silent, and what Python says comes through: in it, after it, and from loggers made in it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from command_line import environment

pytestmark = pytest.mark.versions

_IMPORTS = """
import logging, os, sys, threading
from live_gradcam.silence import in_notebook, quiet_in_notebooks, quiet_tensorflow
"""


def _run(script: str) -> tuple[str, str]:
    """What a script prints to stdout and stderr, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORTS + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    return finished.stdout, finished.stderr


def test_only_what_native_code_says_is_silenced() -> None:
    out, err = _run(
        """
        with quiet_tensorflow():
            os.write(2, b"native\\n")
            print("to stderr", file=sys.stderr)
            print("a download bar")
        os.write(2, b"native, afterwards\\n")
        print("a result")
        """
    )
    assert (out, err) == ("a result\n", "to stderr\na download bar\nnative, afterwards\n")


def test_a_logger_that_is_made_in_the_silence_goes_on_afterwards() -> None:
    _, err = _run(
        """
        log = logging.getLogger("of a library")
        for number in range(2):
            with quiet_tensorflow():
                log.addHandler(logging.StreamHandler())
                log.warning("during %s", number)
            log.warning("after %s", number)
            log.removeHandler(log.handlers[0])
        with quiet_tensorflow():
            log.addHandler(logging.StreamHandler(sys.stdout))
        log.warning("of stdout")
        """
    )
    assert err == "during 0\nafter 0\nduring 1\nafter 1\nof stdout\n"


@pytest.mark.slow
def test_tensorflows_own_warnings_come_after_the_silence() -> None:
    out, err = _run(
        """
        with quiet_tensorflow():
            import warnings
            warnings.simplefilter("ignore")  # TensorFlow's own, of Python
            import tensorflow as tf
            from absl import logging as absl
            tf.get_logger(), absl.get_absl_handler()
        tf.get_logger().warning("of TensorFlow")
        absl.warning("of absl")
        """
    )
    lines = err.splitlines()
    assert [line.split()[-1] for line in lines] == ["TensorFlow", "absl"], err
    assert out == ""


def test_a_silence_in_a_silence_ends_with_the_outer_one() -> None:
    _, err = _run(
        """
        with quiet_tensorflow():
            with quiet_tensorflow():
                os.write(2, b"native\\n")
                print("inner", file=sys.stderr)
            os.write(2, b"native\\n")
            print("outer", file=sys.stderr)
            beside = threading.Thread(target=quiet_tensorflow().__enter__)
            beside.start()
            beside.join()
        os.write(2, b"afterwards\\n")
        """
    )
    assert err == "inner\nouter\nafterwards\n"


def test_the_second_silence_goes_where_stderr_goes_by_then(tmp_path: Path) -> None:
    _, err = _run(
        f"""
        with quiet_tensorflow():
            print("first", file=sys.stderr)
        os.dup2(os.open({str(tmp_path / "said.txt")!r}, os.O_WRONLY | os.O_CREAT), 2)
        with quiet_tensorflow():
            print("second", file=sys.stderr)
        """
    )
    assert (err, (tmp_path / "said.txt").read_text()) == ("first\n", "second\n")


_IN_NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance()
"""


def test_only_notebooks_are_quiet_by_themselves() -> None:
    pytest.importorskip("IPython", reason="IPython is not installed: pip install ipython")
    say = """
        with quiet_in_notebooks():
            os.write(2, b"native\\n")
        print(in_notebook())
        """
    assert _run(say) == ("False\n", "native\n")
    assert _run(_IN_NOTEBOOK + textwrap.dedent(say)) == ("True\n", "")
    user_wants = 'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"\n'
    assert _run(_IN_NOTEBOOK + user_wants + textwrap.dedent(say)) == ("True\n", "native\n")
    is_imported = 'sys.modules["tensorflow"] = sys\n'
    assert _run(_IN_NOTEBOOK + is_imported + textwrap.dedent(say)) == ("True\n", "native\n")


@pytest.mark.slow
def test_a_network_loads_without_a_word_in_a_notebook() -> None:
    pytest.importorskip("IPython", reason="IPython is not installed: pip install ipython")
    load = """
import warnings
warnings.simplefilter("ignore")  # TensorFlow's own, of Python
from live_gradcam import load_classifier
print(load_classifier("efficientnet-lite0", weights=None).name)
"""
    out, err = _run(_IN_NOTEBOOK + load)
    assert (out, err) == ("efficientnet-lite0\n", "")


def test_an_error_ends_the_silence() -> None:
    _, err = _run(
        """
        try:
            with quiet_tensorflow():
                raise ValueError
        except ValueError:
            os.write(2, b"afterwards\\n")
        with quiet_tensorflow():
            os.write(2, b"native\\n")
        """
    )
    assert err == "afterwards\n"
