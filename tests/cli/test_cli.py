"""The commands from outside: results on real pictures, and every kind of bad input as one clear line."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import keras
import numpy as np
import pytest
from command_line import AT_ONCE, Finished, begin, environment, finish, run, start
from keras import layers

from live_gradcam.cli import app
from live_gradcam.cli.terminal import set_up_logging
from live_gradcam.explanations.boxes import SteadyBoxes, find_boxes
from live_gradcam.explanations.explanation import Explanation, Prediction, Region
from live_gradcam.networks.custom_objects import read_custom_objects

pytestmark = pytest.mark.slow

TOUR = Path(__file__).parents[2] / "videos" / "tour.mp4"


@pytest.fixture
def here(capfd, monkeypatch):
    """Run a command in this process: the quickest, unless it compiles the default network.

    XLA keeps programs by what TensorFlow calls them, which it counts. A fork finds those of the fork before.
    """

    def run_here(*arguments: object) -> Finished:
        capfd.readouterr()
        try:
            app([str(argument) for argument in arguments])
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capfd.readouterr()
        return Finished(code, out, err)

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return run_here


def assert_one_line(finished: Finished, code: int, *words: str) -> None:
    """The error is one line of ours on stderr, with the exit code, and stdout is empty."""
    assert finished.code == code, finished
    assert re.fullmatch(r"live-gradcam: [^\n]+\n", finished.err), finished.err
    assert "Traceback" not in finished.err
    for word in words:
        assert word in finished.err


def tiny_video(path: Path, frames: int = 12, *, faststart: bool = True, size: tuple[int, int] = (64, 48)) -> Path:
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10", "g": "1"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(noise.integers(0, 256, (*size[::-1], 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@pytest.fixture
def picture(tmp_path: Path, chelsea: np.ndarray) -> Path:
    path = tmp_path / "chelsea.png"
    cv2.imwrite(str(path), chelsea)
    return path


# --- from outside -------------------------------------------------------------------------------------------------


def test_help_needs_no_tensorflow() -> None:
    code = """
import sys
from live_gradcam.cli import app
from live_gradcam.cli.terminal import set_up_logging
for command in ([], ["live"], ["annotate"], ["explain"], ["bench"], ["models"], ["layers"], ["cameras"]):
    try:
        app([*command, "--help"])
    except SystemExit as end:
        assert end.code == 0
    heavy = [name for name in ("tensorflow", "keras", "numpy", "cv2", "av") if name in sys.modules]
    assert not heavy, (command, heavy)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_commands_are_listed_without_their_modules() -> None:
    code = """
import sys
from live_gradcam.cli import COMMANDS, main
sys.argv = ["live-gradcam", "--help"]
try:
    main()
finally:
    assert not {f"live_gradcam.cli.{command}" for command in COMMANDS} & set(sys.modules)
"""
    listed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    code = "import sys; from live_gradcam.cli import app; app(['--help'], prog_name='live-gradcam')"
    whole = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert listed.stdout == whole.stdout


def test_a_command_that_there_is_not_is_told_the_closest(tmp_path: Path) -> None:
    finished = run("anotate")
    assert (finished.code, finished.out) == (2, "")
    assert "Did you mean 'annotate'?" in finished.err
    assert run("--", "cache", XDG_CACHE_HOME=str(tmp_path)).code == 0


def test_a_window_waits_for_nothing_that_its_first_picture_does_not_need() -> None:
    """The others' flags, what draws on a terminal, and what records. All is imported when there is no display."""
    code = """
import sys
from live_gradcam.cli import main
sys.argv = ["live-gradcam", "live", "0"]
try:
    main()
except SystemExit as end:
    assert end.code == 1
assert "live_gradcam.surfaces.window" in sys.modules
print(*sorted({"tensorflow", "keras", "av", "rich", "pydantic", "live_gradcam.cli.annotate"} & {*sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment())
    assert done.stdout == "\n"


def test_importing_the_package_needs_no_tensorflow() -> None:
    code = "import sys, live_gradcam; from live_gradcam import Explanation; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.versions
def test_nothing_is_printed_that_is_not_ours(picture: Path, tmp_path: Path) -> None:
    finished = finish(start("explain", picture, "-o", tmp_path / "out.png"))
    assert finished.code == 0
    assert finished.err == ""
    assert re.fullmatch(r"\S+chelsea\.png: Egyptian cat \d+\.\d %, [^\n]+ → \S+out\.png\n", finished.out)


def test_the_installed_command_and_the_module_are_the_same() -> None:
    script = Path(sys.executable).with_name("live-gradcam")
    answers = {
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout
        for command in ([script, "--version"], [sys.executable, "-m", "live_gradcam", "--version"])
    }
    assert len(answers) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_ends_it_as_later(
    picture: Path, tmp_path: Path, quick_network: list[str], number: signal.Signals
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import pathlib, time\npathlib.Path(__file__).with_suffix('.seen').touch()\ntime.sleep(60)")
    process = start("explain", picture, "--custom-objects", slow, *quick_network)
    while not slow.with_suffix(".seen").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    assert finish(process) == Finished(130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_command_line_is_imported_is_no_traceback(number: signal.Signals) -> None:
    program = (
        "import os, sys, live_gradcam.cli as cli\n"
        "sys.argv = ['live-gradcam', 'cache']\n"
        f"cli.program_with = lambda commands: os.kill(os.getpid(), {int(number)}) or (lambda: None)\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_in_a_destructor_ends_the_command_all_the_same() -> None:
    """Python raises nothing from there: it would print "Exception ignored in", and go on."""
    program = (
        "import signal, sys, time, live_gradcam.cli as cli\n"
        "class Interrupted:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "def command():\n"
        "    Interrupted()\n"
        "    for _ in range(400):\n"
        "        time.sleep(0.05)\n"
        "    print('it went on')\n"
        "sys.argv = ['live-gradcam', 'cache']\n"
        "cli.program_with = lambda commands: command\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_finishes_what_was_explained_so_far(tmp_path: Path, quick_network: list[str]) -> None:
    output, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    process = begin("annotate", TOUR, "-o", output, "--jsonl", lines, *quick_network)
    part = tmp_path / "out.jsonl.part"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    finished = finish(process)
    assert finished.code == 130
    assert "Traceback" not in finished.err
    written = len(frames_of(output))
    assert 0 < written < 360
    assert len(lines.read_text().splitlines()) == written
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture(scope="module")
def explained_twice(
    tmp_path_factory: pytest.TempPathFactory, chelsea: np.ndarray, quick_network: list[str]
) -> tuple[Path, Finished]:
    """A cache as two runs leave it, and what the second one printed.

    What is not timed any more is another program than what was compiled after timing.
    """
    folder = tmp_path_factory.mktemp("twice")
    cv2.imwrite(str(folder / "chelsea.png"), chelsea)
    for _ in range(2):
        finished = run(
            "explain", folder / "chelsea.png", "--json", "-", *quick_network, XDG_CACHE_HOME=str(folder / "cache")
        )
        assert (finished.code, finished.err) == (0, "")
    return folder / "cache", finished


@pytest.mark.parametrize("remembered", [True, False])
def test_damaged_programs_in_the_cache_are_made_again(
    tmp_path: Path,
    picture: Path,
    quick_network: list[str],
    explained_twice: tuple[Path, Finished],
    remembered: bool,
) -> None:
    sound = explained_twice[1]
    shutil.copytree(explained_twice[0], tmp_path / "cache")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    programs = list((tmp_path / "cache").glob("live-gradcam/compiled-*/*.pb"))
    assert programs
    for program in programs:
        program.write_bytes(program.read_bytes()[:1000])
    if not remembered:  # then it is the timing of the forms that meets the damaged ones first
        for timings in (tmp_path / "cache").glob("live-gradcam/tuning-*.json"):
            timings.unlink()
    finished = run("explain", picture, "--json", "-", *quick_network, **cache)
    assert (finished.code, finished.err) == (0, "")
    assert json.loads(finished.out)["predictions"] == json.loads(sound.out)["predictions"]


def boxes_above(threshold: float, numbers: dict) -> list[list[int]]:
    """The boxes of the heatmap in a picture's numbers."""
    size = numbers["height"], numbers["width"]
    heatmap = np.array(numbers["heatmap"], np.float32)
    return [list(box) for box in find_boxes(heatmap, Region(0, 0, size[1], size[0]), size, threshold=threshold)]


# --- results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "classes", "part"),
    [
        ("chelsea", {281, 282, 285}, (0.1, 0.05, 0.85, 0.95)),  # around the cat's head, by eye
        ("coffee", {967}, (0.25, 0.05, 0.75, 0.75)),  # around the cup, by eye
    ],
)
def test_photographs_are_explained(tmp_path: Path, request, name: str, classes: set[int], part) -> None:
    image = request.getfixturevalue(name)
    cv2.imwrite(str(tmp_path / "picture.png"), image)
    finished = run("explain", tmp_path / "picture.png", "--json", "-", *AT_ONCE)
    numbers = json.loads(finished.out)
    assert finished.code == 0
    assert numbers["predictions"][0]["index"] in classes
    assert numbers["target"] == numbers["predictions"][0]["index"]
    assert (numbers["width"], numbers["height"]) == (image.shape[1], image.shape[0])
    heatmap = np.array(numbers["heatmap"])
    assert heatmap.max() == 1
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    left, top, right, bottom = part
    assert left < (column + 0.5) / heatmap.shape[1] < right
    assert top < (row + 0.5) / heatmap.shape[0] < bottom
    assert numbers["boxes"] == boxes_above(0.15, numbers)
    assert numbers["box"] == numbers["boxes"][0]
    assert not (tmp_path / "picture-gradcam.png").exists()  # --json alone draws nothing


def test_several_pictures_of_all_kinds(tmp_path: Path, chelsea: np.ndarray) -> None:
    odd, grey, clear = tmp_path / "odd.png", tmp_path / "grey.png", tmp_path / "clear.png"
    cv2.imwrite(str(odd), chelsea[:299, :333])
    cv2.imwrite(str(grey), cv2.cvtColor(chelsea, cv2.COLOR_BGR2GRAY))
    cv2.imwrite(str(clear), np.dstack([chelsea, np.full(chelsea.shape[:2], 255, np.uint8)]))
    finished = run(
        *("explain", odd, grey, clear, "-o", tmp_path / "out", "--json", tmp_path / "numbers.json"),
        *("--box", "--box-threshold", 0.5, *AT_ONCE),
    )
    assert finished.code == 0, finished
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert [entry["predictions"][0]["index"] in (281, 282, 285) for entry in numbers] == [True] * 3
    for entry, name, width in zip(numbers, ("odd", "grey", "clear"), (333, 451, 451), strict=True):
        sheet = cv2.imread(str(tmp_path / "out" / f"{name}-gradcam.png"))
        assert sheet.shape[1] == 3 * width + 16
        assert entry["boxes"] == boxes_above(0.5, entry)
        left, top, right, bottom = entry["box"]
        row = sheet[sheet.shape[0] - entry["height"] + (top + bottom) // 2]
        assert row[[left, right - 1]].tolist() == [[255, 255, 255]] * 2


def test_the_class_can_be_pinned_by_its_label(picture: Path) -> None:
    finished = run("explain", picture, "--json", "-", "-c", "tiger cat", "-k", 3, *AT_ONCE)
    numbers = json.loads(finished.out)
    assert (numbers["target"], numbers["target_label"]) == (282, "tiger cat")
    assert len(numbers["predictions"]) == 3
    assert numbers["predictions"][0]["index"] == 285


@pytest.mark.versions
def test_a_video_is_annotated_frame_by_frame(tmp_path: Path) -> None:
    video = tiny_video(tmp_path / "in.mp4", size=(64, 48))
    output, lines, maps = tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "out.npz"
    finished = run(
        *("annotate", video, "-o", output, "--jsonl", lines, "--heatmaps", maps, "--fit", "letterbox"),
        *("--box-threshold", 0.4, *AT_ONCE),
    )
    assert finished.code == 0, finished
    assert finished.err == ""
    assert re.fullmatch(r"\S+out\.mp4: 12 frames in [\d.]+ s \([\d.]+ FPS\)\n", finished.out)
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [record["frame"] for record in records] == list(range(12))
    np.testing.assert_allclose([record["time"] for record in records], np.arange(12) / 10, atol=1e-6)
    with np.load(maps) as archive:
        assert archive["heatmaps"].shape == (12, 1, 7, 7)
        assert archive["target"].tolist() == [[record["target"]] for record in records]
        np.testing.assert_allclose(archive["time"], np.arange(12) / 10, atol=1e-9)
        heatmaps = archive["heatmaps"]
    steady, region = SteadyBoxes(threshold=0.4), Region(0, -8, 64, 64)
    for record, heatmap in zip(records, heatmaps, strict=True):
        best = (Prediction(record["target"], record["target_label"], 1.0),)
        explanation = Explanation(best, heatmap, best, np.ones(1), np.ones(1), np.ones(1), region)
        (boxes,) = steady.steady(explanation, (48, 64), record["time"]).boxes
        assert record["boxes"] == [list(box) for box in boxes]
        assert record["box"] == record["boxes"][0]
        assert record["target"] == record["predictions"][0]["index"]
        left, top, right, bottom = record["box"]
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 48
    assert len(frames_of(output)) == 12
    assert frames_of(output)[0].shape == (48, 64, 3)


def test_a_folder_of_videos_goes_into_a_folder(here, tmp_path: Path, quick_network: list[str]) -> None:
    (tmp_path / "in").mkdir()
    for name in ("one.mp4", "two.mkv"):
        tiny_video(tmp_path / "in" / name, frames=3)
    (tmp_path / "in" / "bad.avi").write_text("not a video")
    (tmp_path / "in" / "notes.txt").write_text("not looked at")
    finished = here("annotate", tmp_path / "in", "-o", tmp_path / "out", "--jsonl", tmp_path / "out", *quick_network)
    left_out, failed = finished.err.splitlines(keepends=True)
    assert left_out == f"live-gradcam: not used from the folder {tmp_path / 'in'}: 1 other file (notes.txt)\n"
    assert_one_line(Finished(finished.code, "", failed), 1, "bad.avi", "not a video")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "one-gradcam.mp4",
        "one.jsonl",
        "two-gradcam.mp4",
        "two.jsonl",
    ]


def test_the_bench_reports_every_figure(here, quick_network: list[str]) -> None:
    flags = [*quick_network, "--engine", "graph"]  # which two threads may call
    finished = here("bench", "-n", 4, "--size", "320x240", "--json", "-", *flags)
    assert finished.code == 0, finished
    report = json.loads(finished.out)
    for name in ("forward_ms", "explain_ms", "gradcam_overhead", "compile_s", "time_to_first_frame_s", "fps"):
        assert report[name] > 0, name
    assert report["frames"] == 4
    assert report["model"] == "quick.keras"
    assert set(report["stages_ms"]) == {"read", "explain", "draw", "write"}
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p95"] <= report["latency_ms"]["p99"]
    assert report["versions"]["tensorflow"]
    assert report["threads"]["opencv"] >= 1
    table = here("bench", TOUR, "-n", 2, *flags)
    if report["threads"]["cpus"] > 1:
        two = report["two_at_a_time"]
        assert two["gain"] == pytest.approx(two["fps"] / two["fps_of_one"])  # of one turn
        assert "× one at a time" in table.out
    assert "throughput" in table.out
    assert "1280×720" in table.out


def test_the_bench_says_how_well_bf16_agrees(here, quick_network: list[str]) -> None:
    report = json.loads(
        here("bench", TOUR, "-n", 6, "--precision", "bf16", "--tune", "off", "--json", "-", *quick_network).out
    )
    assert report["precision"] == "bf16"
    assert report["agreement"]["top1"] >= 0.8
    assert 0.99 < report["agreement"]["map_correlation_min"] <= report["agreement"]["map_correlation"] < 1


def test_batches_give_what_single_frames_give(here, tmp_path: Path, quick_network: list[str]) -> None:
    video = tiny_video(tmp_path / "clip.mp4", 11)
    records = []
    for batch in ("1", "4"):
        output, lines = tmp_path / f"{batch}.mp4", tmp_path / f"{batch}.jsonl"
        assert here("annotate", video, "-o", output, "--jsonl", lines, "--batch", batch, *quick_network).code == 0
        assert len(frames_of(output)) == 11
        records.append([json.loads(line) for line in lines.read_text().splitlines()])
    for single, batched in zip(*records, strict=True):
        assert (single["frame"], single["time"], single["target"]) == (
            batched["frame"],
            batched["time"],
            batched["target"],
        )
        assert batched["evidence"] == pytest.approx(single["evidence"], rel=1e-3)
    assert_one_line(here("annotate", video, "-o", tmp_path / "x.mp4", "--batch", "0"), 2, "batch '0'", "auto")


def test_what_the_lowering_does_is_shown(here) -> None:
    shown = here("models", "--explain-lowering", "--tune", "off").out
    assert re.search(r"stem_conv +Conv2D +224 × 224 × 3 +convolution as space to depth", shown)
    assert re.search(r"stem_norm +BatchNormalization .* folded into the layer before", shown)
    assert re.search(r"logits +Dense +1280 +- ", shown)
    assert re.search(r"\d+ of \d+ layers rewritten", shown)


@pytest.mark.versions
def test_the_lists(here) -> None:
    models = here("models").out
    assert "efficientnet-lite0 (default)" in models
    assert re.search(r"VGG16 +224×224 +caffe", models)
    listed = here("layers").out.splitlines()
    assert next(line.split()[1] for line in listed if line.startswith("* ")) == "head_relu6"
    assert any(re.match(r"\* +head_relu6 +ReLU +7 × 7 × 1280", line) for line in listed)
    assert here("cameras").code == 0


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["annotate", "missing.mp4", "-o", "out.mp4"],
        ["explain", "missing.png"],
        ["bench", "missing.mp4"],
        ["live", "missing.mp4", "--headless"],
        ["annotate", "missing-folder/", "-o", "out"],
    ],
)
def test_a_missing_file(here, arguments: list[str]) -> None:
    assert_one_line(here(*arguments), 1, "missing", "there is no")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("command", ["explain", "annotate", "evaluate"])
def test_a_link_to_itself(here, tmp_path: Path, command: str) -> None:
    (tmp_path / "self.png").symlink_to("self.png")
    said = f"cannot read {tmp_path / 'self.png'}: {os.strerror(errno.ELOOP)}"
    assert_one_line(here(command, tmp_path / "self.png", "--json", tmp_path / "numbers.json"), 1, said)


def no_permission(monkeypatch: pytest.MonkeyPatch, locked: Path, *functions: str) -> None:
    """Have functions of a file's path raise, also for who may read all files."""

    def of(whole):
        def refuse(path, *arguments, **more):
            if path == locked:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return whole(path, *arguments, **more)

        return refuse

    for name in functions:
        monkeypatch.setattr(Path, name, of(getattr(Path, name)))
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: str(path) != str(locked) and may(path, mode, **more))


@pytest.mark.parametrize("command", ["explain", "annotate", "evaluate"])
def test_a_file_in_a_folder_without_permission(
    here, picture: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    no_permission(monkeypatch, picture, "stat", "open", "read_bytes")
    assert_one_line(here(command, picture), 1, f"cannot read {picture}: Permission denied")


@pytest.mark.parametrize("command", ["annotate", "evaluate"])
def test_a_folder_without_permission(here, picture: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    no_permission(monkeypatch, picture.parent, "iterdir")
    assert_one_line(here(command, picture.parent), 1, f"cannot read {picture.parent}: Permission denied")


def test_a_picture_without_permission_does_not_stop_the_others(
    here, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_network: list[str]
) -> None:
    locked = tmp_path / "locked.png"
    shutil.copy(picture, locked)
    no_permission(monkeypatch, locked, "open", "read_bytes")
    finished = here("explain", locked, picture, "-o", tmp_path / "out", *quick_network)
    assert (finished.code, finished.err) == (1, f"live-gradcam: cannot read {locked}: Permission denied\n")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chelsea-gradcam.png"]


@pytest.mark.parametrize("command", [["annotate"], ["bench"], ["live", "--headless"]])
def test_a_text_file_named_mp4(here, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 100)
    assert_one_line(here(*command, tmp_path / "text.mp4"), 1, "text.mp4", "is not a video that can be read")
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_a_text_file_named_png(here, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    assert_one_line(here("explain", tmp_path / "text.png"), 1, "text.png is not a picture")


def test_a_truncated_video_is_annotated_as_far_as_it_goes(here, tmp_path: Path, quick_network: list[str]) -> None:
    whole = tiny_video(tmp_path / "whole.mp4", frames=40)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    finished = here("annotate", cut, "-o", tmp_path / "out.mp4", *quick_network)
    written = len(frames_of(tmp_path / "out.mp4"))
    assert 10 < written < 30
    assert_one_line(Finished(finished.code, "", finished.err), 1, "cut.mp4", f"{written} of 40 frames", "missing")


def test_a_video_cut_before_its_index_leaves_nothing(here, tmp_path: Path) -> None:
    whole = tiny_video(tmp_path / "whole.mp4", frames=40, faststart=False)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert_one_line(here("annotate", cut, "-o", tmp_path / "out.mp4"), 1, "cut.mp4", "is not a video that can be read")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-m", "vgg61"], ["there is no model 'vgg61'; did you mean VGG"]),
        (["--layer", "head_relu"], ["there is no layer 'head_relu'; did you mean head_relu6"]),
        (["--class", "tabbi"], ["there is no class 'tabbi'; did you mean tabby"]),
        (["--class", "1000"], ["the classes are 0 to 999"]),
        (["--colormap", "turbos"], ["there is no colour map 'turbos'; did you mean turbo"]),
        (["--alpha", "2"], ["alpha is 2"]),
        (["--box-threshold", "1"], ["the box threshold is 1.0", "above 0 and below 1"]),
        (["--preprocessing", "imagenet"], ["there is no preprocessing 'imagenet'"]),
    ],
)
def test_a_name_that_does_not_exist(here, picture: Path, flags: list[str], words: list[str]) -> None:
    assert_one_line(here("explain", picture, *flags), 2, *words)
    assert [path.name for path in picture.parent.iterdir()] == ["chelsea.png"]


@pytest.mark.versions
@pytest.mark.parametrize(
    "arguments",
    [["annotate"], ["explain", "--fit", "squash", "x.png"], ["bench", "-n", "0"], ["nonsense"], ["live", "-k", "x"]],
)
def test_usage_errors_exit_with_2(here, arguments: list[str]) -> None:
    assert here(*arguments).code == 2


def test_a_size_that_is_none(here) -> None:
    assert_one_line(here("bench", "--size", "big"), 2, "WIDTHxHEIGHT")


def test_an_output_that_exists_is_kept(here, picture: Path, tmp_path: Path, quick_network: list[str]) -> None:
    taken = tmp_path / "taken.mp4"
    taken.write_text("precious")
    video = tiny_video(tmp_path / "in.mp4", frames=2)
    assert_one_line(here("annotate", video, "-o", taken), 1, "exists already", "--overwrite")
    assert_one_line(here("live", video, "--headless", "--record", taken), 1, "exists already", "--overwrite")
    assert_one_line(here("explain", picture, "--json", taken), 1, "exists already", "--overwrite")
    assert taken.read_text() == "precious"
    assert here("annotate", video, "-o", taken, "--overwrite", *quick_network).code == 0
    assert len(frames_of(taken)) == 2


def test_a_video_is_not_annotated_onto_itself(here, tmp_path: Path) -> None:
    video = tiny_video(tmp_path / "in.mp4", frames=2)
    before = video.read_bytes()
    assert_one_line(here("annotate", video, "-o", video, "--overwrite"), 1, "is the source itself")
    assert video.read_bytes() == before


def test_no_source_is_lost_to_an_output(here, picture: Path, tmp_path: Path) -> None:
    video = tiny_video(tmp_path / "in.mp4", frames=2)
    unfinished = video.rename(tmp_path / "out.mp4.part")  # as a browser calls what it has not all of
    one, other = (tiny_video(tmp_path / name, frames=2) for name in ("x.mp4", "x-gradcam.mp4"))
    first = Path(shutil.copyfile(picture, picture.with_name("chelsea-gradcam.png")))
    sources = unfinished, one, other, picture, first
    before = [path.read_bytes() for path in sources]
    for arguments, words in (
        (["annotate", unfinished, "-o", tmp_path / "out.mp4"], "out.mp4 is written there first"),
        (["annotate", one, other, "-o", tmp_path, "--overwrite"], "x-gradcam.mp4 is another source"),
        (["explain", picture, "-o", picture, "--overwrite"], "is the source itself"),
        (["explain", picture, first, "-o", picture.parent, "--overwrite"], "chelsea-gradcam.png is another source"),
        (["evaluate", picture, "-o", picture, "--overwrite"], "is the source itself"),
        (["evaluate", picture, one, "-o", picture, "--overwrite"], "chelsea.png is another source"),
    ):
        assert_one_line(here(*arguments), 1, words)
    assert [path.read_bytes() for path in sources] == before


@pytest.mark.parametrize(
    ("arguments", "other"),
    [
        (["annotate", "in.mp4", "-o", "out.mp4", "--json", "out.mp4"], "--output"),
        (["annotate", "in.mp4", "-o", "out.mp4", "--csv", "numbers", "--json", "./numbers"], "--csv"),
        (["annotate", "in.mp4", "-o", "out.mp4", "--json", "in.mp4", "--overwrite"], "what is read"),
        (["explain", "chelsea.png", "--json", "link.png", "--overwrite"], "what is read"),
        (["live", "in.mp4", "--headless", "--record", "out.mp4", "--json", "out.mp4"], "--record"),
        (["explain", "chelsea.png", "--labels", "names.json", "--json", "names.json", "--overwrite"], "--labels"),
        (["evaluate", "chelsea.png", "-m", "names.json", "--json", "names.json", "--overwrite"], "--model"),
        (["explain", "chelsea.png", "--feed", "age=names.json", "--json", "names.json", "--overwrite"], "--feed"),
    ],
)
def test_the_file_of_json_replaces_no_other(
    here, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], other: str
) -> None:
    monkeypatch.chdir(picture.parent)
    tiny_video(Path("in.mp4"), frames=2)
    os.link("chelsea.png", "link.png")
    Path("names.json").write_text('["cat", "dog"]')
    before = sorted(path.name for path in Path().iterdir())
    assert_one_line(here(*arguments), 2, f"is the file of --json and of {other} too")
    assert sorted(path.name for path in Path().iterdir()) == before


def test_a_sidecar_replaces_nothing_that_is_read(here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_video(Path("in.mp4"), frames=2)
    Path("names.csv").write_text("cat\ndog\n")
    refused = here("annotate", "in.mp4", "--labels", "names.csv", "--csv", "names.csv", "--overwrite")
    assert_one_line(refused, 2, "names.csv is the file of --csv and of --labels too: give another name")
    assert Path("names.csv").read_text() == "cat\ndog\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such names")
def test_names_that_are_no_utf_8(here, picture: Path, tmp_path: Path, quick_network: list[str]) -> None:
    """The next recording of a folder is annotated too, and what was written before is read as it was."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in (b"caf\xe9.mp4", b"good.mp4"):
        tiny_video(folder / "new.mp4", frames=2).rename(folder / os.fsdecode(name))
    arguments = "annotate", folder, "-o", tmp_path / "out", *quick_network, "--json", tmp_path / "report.json"
    assert here(*arguments).code == 0
    assert sorted(map(os.fsencode, os.listdir(tmp_path / "out"))) == [b"caf\xe9-gradcam.mp4", b"good-gradcam.mp4"]
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [one["source"] for one in report["files"]] == [str(path) for path in sorted(folder.iterdir())]
    again = here(*arguments, "--resume")
    assert (again.code, again.err.count("\n")) == (0, 0), again.err
    own = picture.rename(picture.parent / os.fsdecode(b"caf\xe9.png"))
    explained = here("explain", own, "--json", tmp_path / "report.json", "--overwrite", *quick_network)
    assert explained.code == 0, explained.err
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["image"] == str(own)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and pipes are another thing there")
def test_json_goes_through_a_link_and_into_a_pipe(
    here, picture: Path, tmp_path: Path, quick_network: list[str]
) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    for name in ("link.json", "pipe"):
        assert here("explain", picture, "--json", tmp_path / name, "--overwrite", *quick_network).code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "pipe").is_fifo()
    read = os.read(pipe, 1 << 16)
    os.close(pipe)
    assert json.loads(read)["image"] == json.loads((tmp_path / "real.json").read_text("utf-8"))["image"] == str(picture)


def test_what_is_logged_is_a_line_whatever_is_in_a_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("live_gradcam")
    for name in ("handlers", "propagate", "level"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
    set_up_logging()
    logging.getLogger("live_gradcam.any").warning("nothing speaks for %s", "a cup\nof tea")
    assert capsys.readouterr().err == "live-gradcam: nothing speaks for a cup of tea\n"


def test_stdout_that_has_not_all_letters_stops_nothing() -> None:
    finished = finish(start("models", PYTHONIOENCODING="ascii"))
    assert (finished.code, finished.err) == (0, "")
    assert "\\xd7" in finished.out  # 224 × 224


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_stdout_that_is_closed_or_full_is_no_traceback() -> None:
    process = start("models")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait()) == ("", 1)
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "live_gradcam", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert (done.stderr, done.returncode) == ("live-gradcam: cannot write stdout: No space left on device\n", 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
@pytest.mark.parametrize("asked", [["--help"], ["--version"], ["live", "--help"]])
def test_help_for_a_stdout_that_is_full_is_no_traceback(asked: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "live_gradcam", *asked]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert (done.stderr, done.returncode) == ("live-gradcam: cannot write stdout: No space left on device\n", 1)


def test_a_folder_that_cannot_be_written(here, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    video = tiny_video(tmp_path / "in.mp4", frames=2)
    for arguments in (["annotate", video, "-o"], ["explain", picture, "-o"], ["live", video, "--headless", "--record"]):
        assert_one_line(here(*arguments, tmp_path / "file" / "out.mp4"), 1, "cannot write")


def test_two_outputs_of_one_name(here, tmp_path: Path) -> None:
    videos = [tiny_video(tmp_path / name, frames=2) for name in ("a.mp4", "a.mkv")]
    assert_one_line(here("annotate", *videos, "-o", tmp_path / "out"), 2, "several outputs")
    assert_one_line(here("annotate", *videos), 2, "-o FOLDER")


def test_a_model_without_a_spatial_layer(here, picture: Path, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    model.save(tmp_path / "flat.keras")
    assert_one_line(here("explain", picture, "-m", tmp_path / "flat.keras"), 1, "no spatial layer")


def test_models_whose_layers_are_shown_by_the_users_will_alone(here, picture: Path, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    doubled = layers.Lambda(lambda x: 2 * x, output_shape=(8, 8, 3), name="doubled")(image)
    scores = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="convolution")(doubled)))
    keras.Model(image, scores).save(tmp_path / "lambda.keras")
    assert_one_line(here("layers", "-m", tmp_path / "lambda.keras"), 1, "Lambda layer", "--trust-model")
    assert "doubled" in here("layers", "-m", tmp_path / "lambda.keras", "--trust-model").out

    (tmp_path / "mine.py").write_text(
        "import keras\nclass Twice(keras.layers.Layer):\n    def call(self, x): return 2 * x"
    )
    mine = read_custom_objects(tmp_path / "mine.py")
    scores = layers.Dense(2)(layers.GlobalAveragePooling2D()(mine["Twice"](name="twice")(layers.Conv2D(2, 3)(image))))
    model = keras.Model(image, scores)
    model.save(tmp_path / "custom.keras")
    assert_one_line(here("layers", "-m", tmp_path / "custom.keras"), 1, "'Twice'", "--custom-objects FILE.py")
    shown = here("layers", "-m", tmp_path / "custom.keras", "--custom-objects", tmp_path / "mine.py")
    assert re.search(r"^\* +twice +Twice", shown.out, re.MULTILINE)
    missing = here("explain", picture, "-m", tmp_path / "custom.keras", "--custom-objects", tmp_path / "no.py")
    assert_one_line(missing, 1, "there is no file of custom objects")

    model.export(tmp_path / "saved", verbose=False)
    assert_one_line(here("explain", picture, "-m", tmp_path / "saved"), 1, "a SavedModel's layers cannot be seen")


def test_the_layers_of_a_model_are_listed_whatever_its_labels_are(here, picture: Path, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    scores = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="convolution")(image)))
    keras.Model(image, scores).save(tmp_path / "mine.keras")
    (tmp_path / "wrong.txt").write_text("\n".join(f"name {index}" for index in range(77)))
    flags = ("-m", tmp_path / "mine.keras", "--labels", tmp_path / "wrong.txt")
    assert_one_line(here("explain", picture, *flags), 1, "77 labels for 3 classes")
    assert re.search(r"^\* +convolution +Conv2D", here("layers", *flags).out, re.MULTILINE)
    assert_one_line(here("layers", *flags, "--preprocessing", "tff"), 2, "'tff'")
    assert_one_line(here("layers", *flags, "--layer", "convolutoin"), 2, "did you mean convolution?")


def test_a_transformers_tokens_are_shown_as_possible_layers(here, picture: Path, tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    tokens = layers.Reshape((16, 4))(layers.Conv2D(4, 4, strides=4, name="patches")(image))
    x = layers.LayerNormalization(name="norm")(tokens)
    x = layers.Add(name="attended")([tokens, layers.MultiHeadAttention(1, 4, name="attention")(x, x)])
    scores = layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Dense(4, name="mixed")(x)))
    keras.Model(image, scores).save(tmp_path / "vit.keras")
    rows = [line.split() for line in here("layers", "-m", tmp_path / "vit.keras").out.splitlines()]
    assert ["norm", "LayerNormalization", "16", "×", "4"] in rows
    assert not [row for row in rows if row and row[0] == "*" and len(row) > 2 and row[1] != "the"]
    assert_one_line(here("explain", picture, "-m", tmp_path / "vit.keras"), 1, "such as norm", "--layer")


def test_weights_that_cannot_be_downloaded(picture: Path, tmp_path: Path) -> None:
    """Port 9 of this machine answers nothing, so the download fails at once, as it does offline."""
    unreachable = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    finished = run("explain", picture, "-m", "MobileNetV2", KERAS_HOME=str(tmp_path / "keras"), **unreachable)
    assert finished.code == 1
    last = finished.err.splitlines()[-1]
    assert "--weights FILE" in last
    assert "efficientnet-lite0" in last
    assert "Traceback" not in finished.err


def test_no_display() -> None:
    assert_one_line(finish(start("live", TOUR)), 1, "there is no display", "--headless")
    assert_one_line(finish(start("live", TOUR, DISPLAY=":99999")), 1, "cannot be opened", "--headless")


def test_a_camera_or_stream_that_is_not_there() -> None:
    assert_one_line(run("live", "99", "--headless"), 1, "camera 99 does not open")
    assert_one_line(run("live", "http://127.0.0.1:9/x.mjpg", "--headless"), 1, "does not open")
