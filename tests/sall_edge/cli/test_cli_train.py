"""`train --finetune-int8`, from a checkpoint to an engine's worth of graph."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibration.graphs import load_proto, open_onnx_model
from calibration.grid import is_on_grid
from sall_edge.artifacts import Checkpoint, open_checkpoint
from sall_edge.cli import command_line
from sall_edge.fundus.phantom import write_phantoms
from trainer.tasks import task_file


def _arguments(checkpoint: Checkpoint, labels: Path, output: Path) -> list[str]:
    given = ["train", str(task_file("retina")), "--labels", str(labels), "-o", str(output)]
    return [*given, "--finetune-int8", str(checkpoint.path), "--epochs", "1"]


@pytest.mark.slow
def test_a_fine_tuned_network_is_exported_with_weights_that_int8_stores_exactly(
    tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    labels = write_phantoms(tmp_path / "phantoms", count=60, side_px=256, seed=0)
    result = CliRunner().invoke(command_line(), _arguments(tiny_checkpoint, labels, tmp_path / "run"))
    assert result.exit_code == 0, result.output
    product = tmp_path / "run" / "checkpoint"
    assert result.stdout.strip() == str(product)
    assert open_checkpoint(product).manifest.parent_sha256 == tiny_checkpoint.sha256
    exported = CliRunner().invoke(command_line(), ["export", str(product), "-o", str(tmp_path / "model.onnx")])
    assert exported.exit_code == 0, exported.output
    assert is_on_grid(load_proto(open_onnx_model(tmp_path / "model.onnx")))


@pytest.mark.parametrize("option", [("--backbone", "resnet50"), ("--side", "320"), ("--method", "sall")])
def test_options_that_the_checkpoint_decides_are_refused(
    option: tuple[str, str], tiny_checkpoint: Checkpoint, phantom_labels: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(
        command_line(), [*_arguments(tiny_checkpoint, phantom_labels, tmp_path / "run"), *option]
    )
    assert result.exit_code == 2
    assert option[0] in result.output
    assert not (tmp_path / "run").exists()
