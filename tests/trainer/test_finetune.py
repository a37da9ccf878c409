"""The fine-tune on discs: short, repeatable, and its product is an ordinary checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.killed_training import KillAfter, Killed, assert_same_bits

from calibration.graphs import load_proto
from calibration.grid import is_on_grid
from engines.export import export
from sall_edge.artifacts import Checkpoint, OnnxModel
from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import Method, TaskSet
from trainer.finetune import finetune_int8, finetune_options
from trainer.options import TrainingOptions
from trainer.progress import Silence
from trainer.train import train

Photographs = tuple[LabelledPhotograph, ...]


@pytest.fixture
def trained(photographs: Photographs, tasks: TaskSet, quick: TrainingOptions, cache: Path, tmp_path: Path):
    options = replace(quick, method=Method.MULTITASK, epochs=1)
    (checkpoint,) = train(photographs, tasks, options, tmp_path / "run", resume=False, report=Silence(), cache=cache)
    return checkpoint


@pytest.fixture
def graph(trained: Checkpoint, tmp_path: Path) -> OnnxModel:
    return export(trained, tmp_path / "model.onnx")


@pytest.fixture
def options(trained: Checkpoint) -> TrainingOptions:
    return replace(finetune_options(trained, epochs=2, seed=0), batch_size=8)


def test_the_product_grades_the_same_tasks_with_weights_on_the_grid(
    photographs, tasks, trained, graph, options, cache, tmp_path, diary
) -> None:
    tuned = finetune_int8(
        photographs, tasks, trained, graph, options, tmp_path / "tuned", resume=False, report=diary, cache=cache
    )
    assert tuned.path == tmp_path / "tuned" / "checkpoint"
    assert tuned.manifest.parent_sha256 == trained.sha256
    assert tuned.manifest.tasks == trained.manifest.tasks
    assert tuned.manifest.provenance["stage"] == "finetune-int8"
    assert tuned.manifest.provenance["validation"]["epoch"] == 1  # the last, whatever its score
    assert not is_on_grid(load_proto(graph))
    assert is_on_grid(load_proto(export(tuned, tmp_path / "tuned.onnx")))
    assert ("finetune-int8", 2 * 5) in diary.stages


def test_a_fine_tune_that_was_killed_goes_on_to_the_same_bits(
    photographs, tasks, trained, graph, options, cache, tmp_path
) -> None:
    def tuned(run: str, *, report: Silence, resume: bool = False) -> Checkpoint:
        return finetune_int8(
            photographs, tasks, trained, graph, options, tmp_path / run, resume=resume, report=report, cache=cache
        )

    whole = tuned("whole", report=Silence())
    with pytest.raises(Killed):
        tuned("killed", report=KillAfter("finetune-int8", 7))
    assert (tmp_path / "killed" / "state" / "finetune-int8.safetensors").is_file()
    with pytest.raises(TrainingError, match="holds a run already"):
        tuned("killed", report=Silence())
    assert_same_bits(tuned("killed", report=Silence(), resume=True), whole)


def test_other_tasks_than_the_checkpoints_are_refused(photographs, tasks, trained, graph, options, tmp_path) -> None:
    fewer = TaskSet(tasks=tasks.tasks[:1])
    with pytest.raises(TrainingError, match="cannot be fine-tuned with these tasks"):
        finetune_int8(photographs, fewer, trained, graph, options, tmp_path / "tuned", resume=False, report=Silence())
    assert not (tmp_path / "tuned").exists()
