"""From pairs to weights with a card; on one device and on two; the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.commands.train import TrainOptions, card_command
from napari_pathsrgan.models.checkpoint import load_generator
from napari_pathsrgan.models.zoo import model_card
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.session import MEASURED_PATCHES, CardWords, train

RUN = RunOptions(accelerator="cpu", precision="fp32", num_workers=0)


def test_a_training_ends_with_weights_that_say_what_they_are(tmp_path: Path, a_config: TrainingConfig) -> None:
    words = CardWords(name="ours", credit="Slides: ward 3.", licence="CC0", limits="Of ward 3 alone.", command="…")
    told: list[dict[str, float]] = []
    card = train(a_config, tmp_path / "run", RUN, told.append, words)
    assert card is not None
    measuring = [(row["measured"], row["patches"]) for row in told if "measured" in row]
    assert measuring == [(done, len(measuring)) for done in range(1, len(measuring) + 1)]
    assert 0 < len(measuring) <= MEASURED_PATCHES
    assert card == model_card(tmp_path / "run")
    assert (card.name, card.licence, card.command, card.perceptual) == ("ours", "CC0", "…", "small")
    assert card.halo_lr_px == 16  # the network looks at less, finding background at that
    assert card.training_data.startswith("“phantoms.zarr”: 1 single pictures seen through simulated scanners, ")
    assert card.training_data.endswith("1 left out and measured on. Slides: ward 3.")
    assert card.limits == "Computed pictures. Not for diagnosis. Of ward 3 alone."
    assert set(card.metrics) == {
        f"{name}_{view}_{scanner}{method}"
        for name in ("psnr", "ssim", "perceptual")
        for view in ("10x", "20x")
        for scanner in ("clean", "randomised")
        for method in ("", "_bicubic")
    }
    assert abs(card.metrics["psnr_20x_clean"] - card.metrics["psnr_20x_clean_bicubic"]) < 10
    assert [path.name for path in (tmp_path / "run" / "samples").iterdir()] == ["step-00000009.png"]
    measured = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert measured["step"] == 9
    assert abs(measured["psnr_20x_clean"] - measured["psnr_20x_clean_bicubic"]) < 10
    assert train(a_config, tmp_path / "run", RUN, words=words) == card  # nothing left to do but to measure again


def test_two_devices_give_the_loss_of_one_with_the_doubled_batch(tmp_path: Path, a_config: TrainingConfig) -> None:
    config = a_config.model_copy(update={"batch_size": 4, "ema": 0.0})
    alone, together = tmp_path / "alone", tmp_path / "together"
    train(config, alone, RUN)
    rows: list[dict[str, float]] = []
    card = train(config, together, RUN.model_copy(update={"devices": 2}), rows.append)
    assert card == model_card(together)
    logged = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (alone, together)
    ]
    assert rows == logged[1]
    assert len(rows) == 4  # three phases, and what the pictures measure
    for one, two in zip(*logged, strict=True):
        for name, value in one.items():
            if name not in ("s_per_step", "waiting"):
                assert two[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    single, double = (load_generator(run / "generator.safetensors")[0].state_dict() for run in (alone, together))
    for name, value in single.items():
        torch.testing.assert_close(double[name], value, rtol=1e-3, atol=3e-4)


def test_two_devices_stop_together_at_a_signal(tmp_path: Path, a_config: TrainingConfig) -> None:
    config = a_config.model_copy(update={"epoch_steps": 100_000})
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from napari_pathsrgan.training.config import RunOptions, TrainingConfig\n"
        "from napari_pathsrgan.training.session import train\n"
        "if __name__ == '__main__':\n"
        "    config = TrainingConfig.model_validate_json(sys.argv[1])\n"
        "    run = RunOptions(accelerator='cpu', precision='fp32', num_workers=0, devices=2)\n"
        "    sys.exit(0 if train(config, Path(sys.argv[2]), run) else 130)\n"
    )
    (tmp_path / "two.py").write_text(script)
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "two.py"), config.model_dump_json(), str(run)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert torch.load(run / "state.pt", weights_only=True)["step"] >= 50


def run_command(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_command_trains_and_prints(
    tmp_path: Path, pairs: Path, small_perceptual: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ("--preset-options.width", 8, "--preset-options.blocks1", 1, "--preset-options.features", 8)
    options = (
        "--recipe", "laptop", "--alpha", 0.01, "--beta", 0.01,
        "--pairs", pairs, "--out", tmp_path / "run", "--perceptual", small_perceptual, *tiny, "--batch-size", 2,
        "--preset-options.blocks2", 1, "--patch-lr-px", 16, "--epochs", 1, 0, 0, "--epoch-steps", 2,
        "--num-workers", 0, "--accelerator", "cpu", "--discriminator-norm", "spectral", "--discriminator-width", 2,
    )  # fmt: skip
    assert run_command("train", *options, "--resume") == 2
    assert "no training in" in capsys.readouterr().err
    assert run_command("train", *options, "--json", "--credit", "Ward 3.") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "run"
    assert "Ward 3." in told["training_data"]
    assert told["command"].startswith("pathsrgan train --recipe laptop --epochs 1 0 0 ")
    assert "--pairs phantoms.zarr --preset-options.width 8" in told["command"]
    assert str(tmp_path) not in told["command"]
    assert run_command("train", *options, "--resume") == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--pairs", "nowhere.zarr"), "nowhere.zarr"),
        (("--batch-size", "0"), "batch-size"),
        (("--patch-lr-px", "20"), "patch-lr-px"),
        (("--init-from", "nothing"), "no model “nothing”"),
        (("--accelerator", "cuda"), "no training on 1 × cuda"),
    ],
)
def test_bad_options_end_in_a_sentence(
    tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    if options[1] == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a card here")
    given = () if options[0] == "--pairs" else ("--pairs", pairs)
    assert run_command("train", *given, "--out", tmp_path / "run", "--alpha", 0, "--beta", 0, *options) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_the_card_names_the_command_without_folders(pairs: Path, tmp_path: Path) -> None:
    options = TrainOptions(pairs=(pairs,), init_from="/home/me/runs/first", epochs=(0, 0, 1), alpha=0.1, out=tmp_path)
    words = "--epochs 0 0 1 --alpha 0.1 --pairs phantoms.zarr --init-from first"
    assert card_command(options) == f"pathsrgan train --recipe published {words}"
    ours = TrainOptions(pairs=(pairs,), recipe="laptop", batch_size=4, out=tmp_path, devices=2)
    assert card_command(ours) == "pathsrgan train --recipe laptop --batch-size 4 --pairs phantoms.zarr"
