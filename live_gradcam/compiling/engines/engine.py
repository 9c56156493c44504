"""What an engine is.

To add one: write a file beside this one whose `ENGINE` has what `Engine` asks for, give it a row in `choices.ENGINES`,
and test it against the others. Another package gives its `ENGINE` by an entry point of the group
`live_gradcam.engines`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from live_gradcam.choices import Precision

if TYPE_CHECKING:
    import numpy as np

#: Takes arrays in the order of the signature, gives the function's results by name.
CompiledFunction = Callable[..., "dict[str, np.ndarray]"]


class Engine(Protocol):
    """What runs a traced function. Every engine gets the same function and gives the same numbers.

    Importing an engine's module must not import the engine, nor TensorFlow: names are checked before that.

    Attributes:
        title: its name in messages.
        packages: the names of the packages that it needs besides those of live-gradcam.
        install: what pip installs them by, such as "live-gradcam[openvino]"; empty where there are none.
        precisions: in which numbers it can compute.
        is_xla: whether it runs what XLA compiles. Then the function is traced with `jit_compile`, programs are kept for
            the next start, layers take the forms that XLA runs best, bfloat16 products are a part of the function, and
            tiles share what they can.
    """

    title: str
    packages: tuple[str, ...]
    install: str
    precisions: tuple[Precision, ...]
    is_xla: bool

    def compile(self, traced: Any, names: Sequence[str], precision: Precision) -> CompiledFunction:
        """Compile a function.

        Args:
            traced: TensorFlow's ConcreteFunction, which returns a dict of tensors.
            names: of its arguments.
            precision: of its products.

        Returns:
            The compiled function. It is called from one thread at a time, unless the engine `TakesCallers`.

        Raises:
            Exception: whatever the engine raises for a function that it cannot compile.
        """


@runtime_checkable
class TakesCallers(Protocol):
    """An engine whose compiled functions several threads may call at a time.

    Attributes:
        most_callers: how many threads, as many as can be of use.
    """

    most_callers: int


@runtime_checkable
class KeepsFunctions(Protocol):
    """An engine whose compiled functions can be kept for the next start, which loads and checks no network then."""

    def program_of(self, compiled: CompiledFunction) -> bytes | memoryview:
        """A function that `compile` gave, with all that it needs, to be kept.

        Raises:
            Exception: whatever the engine raises for a function that it cannot give away.
        """

    def restore(self, program: memoryview, precision: Precision) -> CompiledFunction:
        """The function that `program_of` gave, by the same version of the engine on the same processor.

        Args:
            program: what `program_of` gave, unchanged.
            precision: the function was compiled for.

        Raises:
            Exception: whatever the engine raises for a program that it cannot take.
        """


@runtime_checkable
class KeepsPrograms(KeepsFunctions, Protocol):
    """An engine whose kept functions need no TensorFlow.

    Attributes:
        runs_alone: True.
    """

    runs_alone: bool
