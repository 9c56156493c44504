"""The first signal asks to stop, a second one interrupts, and one that is ignored goes on being ignored."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from live_gradcam.flow.stopping import StopRequest

pytestmark = pytest.mark.skipif(not hasattr(os, "setsid"), reason="signals are another thing there")


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal, whose handler is put back."""
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_the_first_one_asks_and_the_second_one_interrupts(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    with StopRequest() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP on Windows")
def test_a_closed_terminal_may_say_so_twice() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
            assert stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_one_that_is_ignored_goes_on_being_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with StopRequest() as stop:
        signal.raise_signal(number)
        assert not stop.requested
    assert signal.getsignal(number) is signal.SIG_IGN
