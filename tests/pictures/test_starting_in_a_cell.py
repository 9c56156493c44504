"""A session that starts in a cell: a bar is there meanwhile, and gone afterwards."""

from __future__ import annotations

import pytest

from live_gradcam import ModelError, SessionOptions, UsageError, start_session
from live_gradcam.attribution import session as sessions


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook shows, in order."""
    shown: list[str] = []
    output = "live_gradcam.drawing.cell_output.CellOutput"
    monkeypatch.setattr(f"{output}.update", lambda _, content: shown.append(repr(content)))
    monkeypatch.setattr(f"{output}.clear", lambda _: shown.append("nothing"))
    return shown


def test_a_bar_is_there_while_the_network_starts(shown, monkeypatch):
    def start(options, **keywords):
        assert (options, keywords) == (asked, {"look": None, "let_tensorflow_talk": True})
        shown.append("it starts")
        return "a session"

    monkeypatch.setattr(sessions, "start_session", start)
    asked = SessionOptions(model="efficientnet-lite0")
    assert start_session(asked, let_tensorflow_talk=True) == "a session"
    assert shown == ["efficientnet-lite0: The network is starting …", "it starts", "nothing"]


def test_the_bar_goes_after_an_error(shown, monkeypatch):
    def fail(options, **keywords):
        raise ModelError("the weights are damaged")

    monkeypatch.setattr(sessions, "start_session", fail)
    with pytest.raises(ModelError, match="damaged"):
        start_session(SessionOptions())
    assert shown[1:] == ["nothing"]


def test_a_wrong_name_shows_no_bar(shown):
    with pytest.raises(UsageError, match="efficientnet-lite9"):
        start_session(SessionOptions(model="efficientnet-lite9"))
    assert shown == []
