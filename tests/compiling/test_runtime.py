"""The compiler's flags are set wherever the package is used, and programs are kept, if TensorFlow still reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

pytestmark = pytest.mark.slow

COMPILE = """
import os
import tensorflow as tf

tf.function(lambda x: x @ x + 1, jit_compile=True)(tf.ones((4, 4)))
print(os.environ.get("TF_XLA_FLAGS", ""))
"""


def run_python(program: str, cache: Path) -> tuple[str, str]:
    """What a program prints on stdout and on stderr, with a cache of its own and no flags."""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(XDG_CACHE_HOME=str(cache), TF_CPP_MIN_LOG_LEVEL="3", TF_XLA_FLAGS="", XLA_FLAGS=""),
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout.strip(), finished.stderr


@pytest.mark.parametrize("before", ["", "import tensorflow"], ids=["first", "after TensorFlow"])
def test_a_python_users_programs_are_kept(tmp_path: Path, before: str) -> None:
    out, _ = run_python(f"{before}\nfrom live_gradcam import Explainer, load_classifier\n{COMPILE}", tmp_path)
    (folder,) = (tmp_path / "live-gradcam").glob("compiled-*")
    assert out == f"--tf_xla_persistent_cache_directory={folder}"
    assert list(folder.glob("*.pb"))


def test_after_tensorflow_has_computed_a_line_for_those_who_look_for_it(tmp_path: Path) -> None:
    program = (
        "import logging\nimport tensorflow as tf\ntf.zeros(1)\nlogging.basicConfig(level=logging.DEBUG)\n"
        f"from live_gradcam import Explainer\n{COMPILE}"
    )
    out, err = run_python(program, tmp_path)
    assert out == ""
    assert err.count("TensorFlow ran before live_gradcam was imported") == 1
    assert not list(tmp_path.glob("**/*.pb"))


def test_the_package_alone_imports_neither_tensorflow_nor_sets_its_flags(tmp_path: Path) -> None:
    program = (
        "import os, sys\nimport live_gradcam\nprint('tensorflow' in sys.modules, os.environ['TF_XLA_FLAGS'] == '')"
    )
    assert run_python(program, tmp_path)[0] == "False True"


#: Hides the package `tensorflow`, as where only another brings it, and says what is set.
_WITHOUT_METADATA = """
import importlib.metadata as metadata
import os

real = metadata.version

def version(name):
    if name == "tensorflow":
        raise metadata.PackageNotFoundError(name)
    return "2.21.0" if name == "tensorflow-cpu" else real(name)

metadata.version = version
metadata.packages_distributions = lambda: {others}
from live_gradcam import Levels, Target
from live_gradcam.compiling.runtime import describe_compiler
print(os.environ["XLA_FLAGS"], "compiled-" in os.environ["TF_XLA_FLAGS"], describe_compiler()["tensorflow"])
"""


@pytest.mark.parametrize(
    ("others", "printed"),
    [({"tensorflow": ["tensorflow-cpu"]}, "True tensorflow-cpu 2.21.0"), ({}, "False unknown")],
)
def test_of_another_package_of_tensorflow_no_flag_depends_on_the_version(
    tmp_path: Path, others: dict[str, list[str]], printed: str
) -> None:
    assert run_python(_WITHOUT_METADATA.replace("{others}", repr(others)), tmp_path)[0] == printed


@pytest.mark.parametrize("module", ["None", "types.ModuleType('context')"])
def test_a_tensorflow_that_does_not_say_whether_it_runs_gets_no_flags(tmp_path: Path, module: str) -> None:
    program = f"""
import os, sys, types

eager = types.ModuleType("tensorflow.python.eager")
sys.modules |= {{"tensorflow": types.ModuleType("tensorflow"), "tensorflow.python": types.ModuleType("python")}}
sys.modules |= {{"tensorflow.python.eager": eager, "tensorflow.python.eager.context": {module}}}
if {module} is not None:
    eager.context = {module}
from live_gradcam import Levels, Target
print(repr(os.environ["XLA_FLAGS"]), repr(os.environ["TF_XLA_FLAGS"]))
"""
    assert run_python(program, tmp_path) == ("'' ''", "")


_ATTENTION = """
from live_gradcam import Explainer
import numpy as np
import tensorflow as tf

queries, keys, values = np.random.default_rng(0).normal(size=(3, 2, 300, 32))

@tf.function(jit_compile=True)
def attend(queries, keys, values):
    return tf.nn.softmax(tf.matmul(queries, keys, transpose_b=True) / 32 ** 0.5) @ values

scores = np.exp(queries @ keys.transpose(0, 2, 1) / 32 ** 0.5)
expected = scores / scores.sum(axis=-1, keepdims=True) @ values
print(np.abs(attend(*(tf.constant(one, tf.float32) for one in (queries, keys, values))) - expected).max() < 1e-5)
"""


def test_what_the_users_process_compiles_is_right(tmp_path: Path) -> None:
    """YNN's products, which are faster, were wrong for attention over more than 256 places, the user's own too."""
    assert run_python(_ATTENTION, tmp_path)[0] == "True"
