"""`live` from Python: what it is given, what it gives back, and that it neither prints nor exits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fake_live import FakeSession, ThreadedSurface, camera, fake_session
from frame_sources import GivenFrames

from live_gradcam import LiveOptions, live
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import LiveGradcamError, OutputError, SourceError, UsageError
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.none import NoSurface


def run_script(script: Callable[[ThreadedSurface], None], session: Any, **options: Any) -> None:
    """Run with a surface that does what a script says, on a camera."""
    surface = ThreadedSurface(script)
    live("0", session=session, options=LiveOptions(surface=surface, **options), opener=lambda _: GivenFrames(camera()))
    if surface.failure:
        raise surface.failure


def test_a_ready_session_explains_a_source_and_nothing_is_printed(tmp_path: Path, capfd) -> None:
    recording = tmp_path / "seen.mp4"
    options = LiveOptions(surface="none", max_frames=20, record=recording)
    summary = live("0", session=fake_session(), options=options, opener=lambda _: GivenFrames(camera(rate=60)))
    assert capfd.readouterr() == ("", "")
    assert (summary.frames, summary.displayed, summary.left_out, summary.stopped) == (20, 0, 0, False)
    assert 0 <= summary.captured - summary.frames - summary.dropped <= 2  # one waits, and one may just have come
    assert summary.recordings == (recording,)
    with av.open(str(recording)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20
    assert list(summary.to_json()) == [
        *("schema", "explained_fps", "camera_fps", "displayed_fps", "dropped", "reconnects", "latency_ms", "stages_ms"),
        *("frames", "captured", "displayed", "seconds", "recordings", "left_out_of_recording"),
    ]
    assert list(summary.to_json()["latency_ms"]) == ["p50", "p95", "p99", "max"]
    assert list(summary.to_json()["stages_ms"]) == ["wait", "explain", "draw", "show", "encode"]
    assert json.loads(json.dumps(summary.to_json()))["recordings"] == [str(recording)]


def test_a_session_is_started_with_as_many_maps_as_the_surface_shows() -> None:
    asked: list[SessionOptions] = []
    looks: list[object] = []

    def start(options: SessionOptions, *, look: object) -> object:
        asked.append(options)
        looks.append(look)
        return fake_session()

    for surface in ("none", ThreadedSurface(lambda surface: surface.wait_for(lambda scene: scene.explained))):
        options = LiveOptions(surface=surface, max_frames=5)
        live("0", session=SessionOptions(topk=3), options=options, opener=lambda _: GivenFrames(camera()), start=start)
    assert [(options.maps, options.topk, options.is_live) for options in asked] == [(1, 3, True), (None, 3, True)]
    assert looks[0]().frame_size == (360, 640)


def test_every_frame_is_explained_where_none_may_be_dropped() -> None:
    options = LiveOptions(surface="none", every_frame=True)
    slow = fake_session(seconds=0.01)
    summary = live(
        "a.mp4",
        session=slow,
        options=options,
        opener=lambda _: GivenFrames(camera(rate=1000, frames=50), is_live=False),
    )
    assert (summary.frames, summary.captured, summary.dropped) == (50, 50, 0)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"surface": "windwo"}, UsageError, "there is no surface 'windwo'; did you mean window?"),
        ({"view": "gird"}, UsageError, "there is no view 'gird'; did you mean grid?"),
        ({"hud": "ful"}, UsageError, "there is no level of text 'ful'; did you mean full?"),
        ({"max_frames": 0}, UsageError, "--max-frames is 0: give a number from 1 on"),
        ({"smooth": -1}, UsageError, "--smooth is -1 s: give a time from 0 on"),
        ({"reconnect": -1}, UsageError, "--reconnect is -1: give a number from 0 on"),
        ({}, OutputError, "there is no display"),
        ({"surface": "none", "record": Path(__file__)}, OutputError, "exists already"),
        ({"surface": "none"}, SourceError, "camera 99 does not open"),
    ],
)
def test_what_is_wrong_is_raised_before_anything_starts(
    options: dict, kind: type[LiveGradcamError], words: str, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def start(options: SessionOptions, *, look: object) -> object:
        raise AssertionError("nothing may start")

    with pytest.raises(kind, match=words):
        live("99", options=LiveOptions(**options), start=start)
    assert capfd.readouterr() == ("", "")


def test_a_ready_session_whose_method_is_too_slow_is_refused() -> None:
    def opener(_: str) -> GivenFrames:
        raise AssertionError("nothing may open")

    with pytest.raises(UsageError, match=r"^score-cam is too slow for a camera"):
        live("0", session=fake_session(method="score-cam"), options=LiveOptions(surface="none"), opener=opener)


def test_a_ready_session_is_compiled_for_the_frames_while_a_banner_says_so() -> None:
    class Watched(FakeSession):
        def explain_frame(self, image: np.ndarray, targets: Any = None) -> Explanation:
            assert self.compiled_for == image.shape[:2]
            return super().explain_frame(image, targets)

    def script(surface: ThreadedSurface) -> None:
        scene = surface.wait_for(bool)
        assert scene.hud.banner == "starting the network"
        surface.wait_for(lambda later: later.frame.index > scene.frame.index and not later.explained)
        surface.wait_for(lambda scene: scene.explained and not scene.hud.banner)

    run_script(script, Watched(compiling=0.5))


@pytest.mark.slow
def test_the_time_of_a_recording_is_that_of_its_pictures(tmp_path: Path) -> None:
    def script(surface: ThreadedSurface) -> None:
        assert surface.wait_for(lambda scene: scene.frame.index > 5).hud.recording == "REC waits"
        assert surface.wait_for(lambda scene: scene.explained).hud.recording == "REC 00:00"
        surface.wait_for(lambda scene: scene.hud.recording == "REC 00:02")

    recording = tmp_path / "seen.mp4"
    run_script(script, FakeSession(compiling=1.5), record=recording)
    with av.open(str(recording)) as container:
        assert 1.9 < float(container.duration / 1_000_000) < 3


def test_a_snapshot_before_the_first_map_says_that_there_is_none(tmp_path: Path) -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(bool)
        surface.ask("snapshot")
        scene = surface.wait_for(lambda scene: scene.hud.notice)
        assert scene.hud.notice == "there is nothing to take a snapshot of yet: wait until a map is shown"

    run_script(script, FakeSession(compiling=1.0), snapshots=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_source_that_ends_before_its_first_frame_ends_the_run() -> None:
    options = LiveOptions(surface="none")
    summary = live("a.mp4", session=fake_session(), options=options, opener=lambda _: GivenFrames([], is_live=False))
    assert summary.frames == 0


def test_paths_can_be_given_as_texts(tmp_path: Path) -> None:
    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        surface.ask("snapshot")
        surface.wait_for(lambda scene: str(scene.hud.notice).startswith("snapshot saved"))
        surface.ask("record", False)
        surface.wait_for(lambda scene: not scene.hud.recording)
        surface.ask("record", True)
        surface.wait_for(lambda scene: scene.hud.recording)

    surface = ThreadedSurface(script)
    texts: dict[str, Any] = {"record": str(tmp_path / "seen.mp4"), "snapshots": str(tmp_path / "shots")}
    options = LiveOptions(surface=surface, **texts)
    summary = live("0", session=fake_session(), options=options, opener=lambda _: GivenFrames(camera()))
    assert surface.failure is None
    assert summary.recordings[0] == tmp_path / "seen.mp4"
    assert {path.suffix for path in (tmp_path / "shots").iterdir()} >= {".png", ".json"}


def test_what_goes_wrong_in_a_thread_is_raised_here() -> None:
    def broken() -> Iterator[Frame]:
        yield from camera(frames=3)
        raise SourceError("the source broke")

    with pytest.raises(SourceError, match="the source broke"):
        live(
            "a.mp4",
            session=fake_session(),
            options=LiveOptions(surface="none"),
            opener=lambda _: GivenFrames(broken(), is_live=False),
        )

    def start(options: SessionOptions, *, look: object) -> object:
        raise UsageError("there is no such class")

    with pytest.raises(UsageError, match="no such class"):
        live("0", options=LiveOptions(surface=NoSurface()), opener=lambda _: GivenFrames(camera()), start=start)


def test_a_black_frame_is_not_explained() -> None:
    def black() -> Iterator[Frame]:
        for frame in camera():
            frame.image[:] = 0
            yield frame

    def script(surface: ThreadedSurface) -> None:
        scene = surface.wait_for(lambda scene: scene.hud.banner == "BLACK PICTURE")
        assert scene.explained.explanation is None
        assert scene.explained.full_scale == 0

    surface = ThreadedSurface(script)
    live("0", session=fake_session(), options=LiveOptions(surface=surface), opener=lambda _: GivenFrames(black()))
    assert surface.failure is None


@pytest.mark.slow
@pytest.mark.parametrize("smooth_display", [False, True])
def test_with_smooth_display_frames_are_shown_between_two_maps(smooth_display: bool) -> None:
    seen: dict[int, set[int]] = {}

    def script(surface: ThreadedSurface) -> None:
        surface.wait_for(lambda scene: scene.explained)
        for _ in range(15):
            before = surface.wait_for(bool).frame.index
            scene = surface.wait_for(lambda scene: scene.frame.index > before)  # noqa: B023
            seen.setdefault(scene.explained.frame.index, set()).add(scene.frame.index)
            has_age = any(note.startswith("map ") for note in scene.hud.notes)
            assert has_age == smooth_display

    run_script(script, fake_session(seconds=0.2), smooth_display=smooth_display)
    of_one_map = max(len(frames) for frames in seen.values())
    assert (of_one_map > 2) == smooth_display
    if not smooth_display:
        assert all(frames == {index} for index, frames in seen.items())


def test_the_local_camera_is_a_mirror_unless_it_is_said() -> None:
    def mirrors(source: str, mirror: bool | None) -> bool:
        found: list[bool] = []
        surface = ThreadedSurface(lambda surface: found.append(surface.wait_for(bool).state["mirror"]))
        options = LiveOptions(surface=surface, mirror=mirror)
        live(source, session=fake_session(), options=options, opener=lambda _: GivenFrames(camera()))
        return found[0]

    assert mirrors("0", None)
    assert not mirrors("rtsp://host/a", None)
    assert not mirrors("0", False)
    assert mirrors("rtsp://host/a", True)


@pytest.mark.parametrize("source", [0, Path("talk.mp4"), "rtsp://host/a"])
def test_a_source_is_a_number_a_path_or_a_text(source: str | Path | int) -> None:
    opened: list[str] = []

    def opener(uri: str) -> GivenFrames:
        opened.append(uri)
        return GivenFrames(camera())

    live(source, session=fake_session(), options=LiveOptions(surface="none", max_frames=1), opener=opener)
    assert opened == [str(source)]


@pytest.mark.slow
def test_a_frame_of_another_size_is_shown_without_the_map_of_the_one_before() -> None:
    def changing() -> Iterator[Frame]:
        for frame in camera():
            image = frame.image if frame.index < 20 else np.full((100, 100, 3), 9, np.uint8)
            yield Frame(image, frame.index, frame.pts, frame.captured_at)

    def script(surface: ThreadedSurface) -> None:
        scene = surface.wait_for(lambda scene: scene.picture.shape == (100, 100, 3))
        assert scene.explained is None or scene.explained.frame.image.shape == (100, 100, 3)
        surface.wait_for(lambda scene: scene.explained and scene.explained.frame.image.shape == (100, 100, 3))

    surface = ThreadedSurface(script)
    options = LiveOptions(surface=surface, smooth_display=True)
    live("0", session=fake_session(seconds=0.05), options=options, opener=lambda _: GivenFrames(changing()))
    assert surface.failure is None
