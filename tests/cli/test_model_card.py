"""What `models -m` shows of a model, with a card and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_networks import two_dense_layers
from typer.testing import CliRunner

from live_gradcam import SessionOptions
from live_gradcam.cli import app
from live_gradcam.cli.model_card import print_model
from live_gradcam.networks.card import Card, read_card, write_card
from live_gradcam.networks.catalog import DEFAULT_MODEL

CARD = Card(
    ("cup", "[red]phone", "none", "3", "4"),
    fit="crop",
    backbone="efficientnet-lite0",
    counts={"cup": 12345, "[red]phone": 9},
    scores={"cross-validation": {"count": 12354, "balanced_accuracy": 0.93213, "confusion": [[1]]}},
    made_with="live-gradcam 0.1.0",
    created="2026-11-26T09:10:00+00:00",
    levels={"low": 0, "high": 16_383, "of": "whole"},
)


def lines_of(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_model(SessionOptions(str(path), preprocessing="unit"))
    return plain_lines(capsys.readouterr().out)


def plain_lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_model_with_a_card_and_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cups.keras"
    two_dense_layers().save(path)
    assert lines_of(path, capsys) == [
        "model cups.keras",
        "input 14×12, pixels unit, fit not known",
        "output 5 classes: one of them is right, and they add up to 1",
        "card none, so this is what the model itself says",
        "",
        "class",
        *(f"class {index}" for index in range(5)),
    ]
    write_card(path, CARD)
    assert lines_of(path, capsys) == [
        "model cups.keras",
        "input 14×12, pixels unit, fit crop",
        "output 5 classes: one of them is right, and they add up to 1",
        "backbone efficientnet-lite0",
        "made 2026-11-26T09:10:00+00:00, with live-gradcam 0.1.0",
        "levels 0:16383",
        "cross-validation count 12354, balanced accuracy 0.9321",
        "",
        "class examples",
        "cup 12345",
        "[red]phone 9",
        "none -",
        "3 -",
        "4 -",
    ]


@pytest.mark.slow
def test_the_commands_take_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "cups.keras"
    two_dense_layers().save(path)
    write_card(path, CARD)
    shown = CliRunner().invoke(app, ["models", "-m", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "input 14×12, pixels raw, fit crop" in plain_lines(shown.stdout)
    out = tmp_path / "out"
    written = CliRunner().invoke(app, ["export", str(path), "-o", str(out), "--format", "tflite"])
    assert written.exit_code == 0, written.output
    assert plain_lines(written.stdout)[-1].startswith("Pixels go in as RGB from 0 to 255, 14×12, made to fit by crop.")
    assert read_card(out / "cups.tflite") == CARD
    both = CliRunner().invoke(app, ["export", str(path), "-m", "VGG16", "-o", str(out), "--format", "tflite"])
    assert both.exit_code == 2


def test_a_network_that_is_given_is_the_one_also_if_it_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr("live_gradcam.cli.models.print_model", shown.append)
    assert CliRunner().invoke(app, ["models", "-m", DEFAULT_MODEL]).stdout == ""
    assert [options.model for options in shown] == [DEFAULT_MODEL]
    assert f"{DEFAULT_MODEL} (default)" in CliRunner().invoke(app, ["models"]).stdout
    to_folder = ["-o", str(tmp_path), "--format", "tflite"]
    both = CliRunner().invoke(app, ["export", "cups.keras", "-m", DEFAULT_MODEL, *to_folder])
    assert both.exit_code == 2
    assert f"cups.keras and -m {DEFAULT_MODEL} are two models" in both.stderr


def test_export_has_no_layer_because_none_is_in_the_file(tmp_path: Path) -> None:
    refused = CliRunner().invoke(
        app, ["export", "-m", "VGG16", "--layer", "block5_pool", "-o", str(tmp_path), "--format", "tflite"]
    )
    assert refused.exit_code == 2
    assert "No such option: --layer" in refused.stderr
