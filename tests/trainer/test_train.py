import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sall_edge.artifacts import Checkpoint, open_checkpoint
from sall_edge.errors import TrainingError
from sall_edge.fundus.labels import read_labels
from sall_edge.spec import Arithmetic, Head, Method, Task, TaskSet
from trainer.augment import Augmentation, augment
from trainer.checkpoint import load_network
from trainer.data import prepared_squares
from trainer.distill import Teachers
from trainer.losses import consistency_loss
from trainer.progress import Silence
from trainer.train import train


def weights_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.path / "weights.safetensors")


def test_multitask_gives_one_checkpoint_and_its_history(photographs, tasks, quick, cache, tmp_path, diary) -> None:
    (checkpoint,) = train(photographs, tasks, quick, tmp_path, resume=False, report=diary, cache=cache)
    assert checkpoint.path == tmp_path / "checkpoint"
    assert open_checkpoint(checkpoint.path).sha256 == checkpoint.sha256
    assert checkpoint.manifest.tasks == tasks.tasks
    assert checkpoint.manifest.provenance["options"]["method"] == "multitask"
    history = json.loads((tmp_path / "history.json").read_text())
    assert [record["epoch"] for record in history["student"]] == [0, 1]
    assert diary.stages == [("prepare", 42), ("prepare", 18), ("student", 2 * 5)]
    assert sum("epoch" in note for note in diary.notes) == 2
    assert list((tmp_path / "tensorboard" / "student").iterdir())
    assert not list((tmp_path / "state").iterdir())


def test_single_gives_one_checkpoint_for_each_task(photographs, tasks, quick, cache, tmp_path) -> None:
    options = replace(quick, method=Method.SINGLE, epochs=1)
    checkpoints = train(photographs, tasks, options, tmp_path, resume=False, report=Silence(), cache=cache)
    assert [c.path.name for c in checkpoints] == ["checkpoint-red", "checkpoint-green"]
    assert [c.manifest.tasks for c in checkpoints] == [(tasks.tasks[0],), (tasks.tasks[1],)]


@pytest.mark.parametrize("method", [Method.MULTITASK_NORMAL, Method.LABEL_SMOOTHING])
def test_baselines_without_teachers_give_one_checkpoint(
    method, photographs, tasks, quick, cache, tmp_path, diary
) -> None:
    options = replace(quick, method=method, epochs=1)
    (checkpoint,) = train(photographs, tasks, options, tmp_path, resume=False, report=diary, cache=cache)
    assert checkpoint.manifest.provenance["options"]["method"] == method.value
    assert [name for name, _ in diary.stages] == ["prepare", "prepare", "student"]


def test_every_method_ends_with_other_weights(photographs, tasks, quick, cache, tmp_path) -> None:
    options = replace(quick, epochs=1)
    seen: dict[str, torch.Tensor] = {}
    teachers = None
    for method in (m for m in Method if m is not Method.SINGLE):
        run = tmp_path / method.value
        (student,) = train(
            photographs, tasks, replace(options, method=method), run, resume=False, report=Silence(), cache=cache,
            teachers=teachers,
        )  # fmt: skip
        seen[method.value] = weights_of(student)["heads.red.weight"]
        if teachers is None and (run / "targets.safetensors").exists():
            made = {name: open_checkpoint(run / "teachers" / name) for name in ("red", "green")}
            teachers = Teachers(checkpoints=made, targets=run / "targets.safetensors")
    names = list(seen)
    assert not [(a, b) for a in names for b in names if a < b and torch.equal(seen[a], seen[b])]
    # Only the first method that asked for teachers trained them.
    assert [name for name in names if (tmp_path / name / "teachers").exists()] == ["distill"]


def test_the_maps_to_the_teachers_features_are_no_part_of_the_checkpoint(
    photographs, tasks, quick, cache, tmp_path
) -> None:
    options = replace(quick, method=Method.SALL_FEATURE, epochs=1)
    (student,) = train(photographs, tasks, options, tmp_path, resume=False, report=Silence(), cache=cache)
    assert not [name for name in weights_of(student) if name.startswith("projections")]
    load_network(student)


def test_an_ordinal_head_is_an_ordinary_layer_in_the_checkpoint(photographs, tasks, quick, cache, tmp_path) -> None:
    options = replace(quick, method=Method.MULTITASK, head=Head.ORDINAL, epochs=1)
    (checkpoint,) = train(photographs, tasks, options, tmp_path, resume=False, report=Silence(), cache=cache)
    weight = weights_of(checkpoint)["heads.red.weight"]
    steps = weight.diff(dim=0)
    assert weight.shape[0] == 3
    assert torch.allclose(steps[0], steps[1], atol=1e-6)
    assert steps.abs().max() > 0
    load_network(checkpoint)


@pytest.mark.parametrize("method", [Method.SALL, Method.SALL_PAPER])
def test_sall_leaves_teachers_targets_and_a_student_that_names_them(
    method, photographs, tasks, quick, cache, tmp_path, diary
) -> None:
    options = replace(quick, method=method, epochs=1)
    (checkpoint,) = train(photographs, tasks, options, tmp_path, resume=False, report=diary, cache=cache)
    teachers = {name: open_checkpoint(tmp_path / "teachers" / name) for name in ("red", "green")}
    assert checkpoint.manifest.provenance["teachers"] == {name: t.sha256 for name, t in teachers.items()}
    assert (tmp_path / "targets.safetensors").is_file()
    assert [name for name, _ in diary.stages] == [
        "prepare", "prepare", "teacher-red", "teacher-green", "targets red", "targets green", "student",
    ]  # fmt: skip


def test_a_third_task_brings_labels_of_its_own(labels_csv, tasks, quick, tmp_path) -> None:
    lines = ["image,sharp,split"]
    for number in range(20):
        disc = cv2.circle(np.zeros((300, 300, 3), np.uint8), (150, 150), 140, (1, 1, 1), -1)
        grain = np.random.default_rng(number).integers(40, 200, disc.shape, dtype=np.uint8)
        picture = disc * (cv2.GaussianBlur(grain, (0, 0), 5) if number % 2 else grain)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        lines.append(f"{number}.png,{number % 2},{'val' if number > 14 else 'train'}")
    (tmp_path / "sharp.csv").write_text("\n".join(lines), encoding="utf-8")
    sharp = Task(name="sharp", title="Sharpness", column="sharp", grades=("sharp", "blurred"), referable_from=1)
    three = TaskSet(tasks=(*tasks.tasks, sharp))
    photographs = read_labels([labels_csv, tmp_path / "sharp.csv"], three)
    options = replace(quick, method=Method.SALL, epochs=1)
    (student,) = train(photographs, three, options, tmp_path / "run", resume=False, report=Silence())
    assert list(student.manifest.operating_points) == ["red", "green", "sharp"]
    targets = load_file(tmp_path / "run" / "targets.safetensors")
    assert {name: len(rows) for name, rows in targets.items() if name.startswith("logits")} == {
        "logits/red": 57, "logits/green": 57, "logits/sharp": 57,
    }  # fmt: skip


def test_a_grade_without_photographs_is_said_and_stops_nothing(
    photographs, tasks, quick, cache, tmp_path, diary
) -> None:
    rare = [replace(p, grades={**p.grades, "red": None}) if p.grades["red"] == 2 else p for p in photographs]
    options = replace(quick, epochs=1)
    train(rare, tasks, options, tmp_path, resume=False, report=diary, cache=cache)
    assert "red 2 (much) has no training photograph: it will not be learned" in diary.notes


def test_convolutions_in_bfloat16_give_nearly_the_same_network(photographs, tasks, quick, cache, tmp_path) -> None:
    made = {}
    for arithmetic in Arithmetic:
        options = replace(quick, arithmetic=arithmetic, epochs=1)
        run = tmp_path / arithmetic.value
        (checkpoint,) = train(photographs, tasks, options, run, resume=False, report=Silence(), cache=cache)
        made[arithmetic] = weights_of(checkpoint)["backbone.conv_stem.weight"]
    exact, rounded = made[Arithmetic.FLOAT32], made[Arithmetic.BFLOAT16]
    assert rounded.dtype is torch.float32
    assert 0 < (exact - rounded).norm() < 0.1 * exact.norm()


def test_soft_labels_change_the_student(photographs, tasks, quick, cache, tmp_path) -> None:
    weights = []
    for name, weight in (("none", 0.0), ("much", 2.0)):
        options = replace(quick, method=Method.SALL, epochs=1, soft_weight=weight)
        (student,) = train(photographs, tasks, options, tmp_path / name, resume=False, report=Silence(), cache=cache)
        weights.append(weights_of(student)["heads.red.weight"])
    assert not torch.equal(*weights)


def test_consistency_makes_two_views_of_an_eye_agree(photographs, tasks, quick, cache, tmp_path) -> None:
    noisy = replace(quick, augmentation=Augmentation(noise=0.2))
    disagreement = []
    for name, weight in (("none", 0.0), ("much", 20.0)):
        options = replace(noisy, consistency_weight=weight)
        (student,) = train(photographs, tasks, options, tmp_path / name, resume=False, report=Silence(), cache=cache)
        squares, _ = prepared_squares(photographs, tasks.tasks, options.image, cache / "all", progress=Silence())
        network, images = load_network(student), squares.images(np.arange(len(squares)))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            logits = network(augment(torch.cat([images, images]), options.augmentation, generator))
        disagreement.append(consistency_loss(logits).mean().item())
    assert disagreement[1] < 0.8 * disagreement[0]


def test_a_loss_that_is_no_number_ends_the_training(photographs, tasks, quick, cache, tmp_path) -> None:
    def spoilt(network: torch.nn.Module, source: str) -> None:
        next(iter(network.parameters())).data.fill_(float("nan"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.start.load_backbone_weights", spoilt)
        with pytest.raises(TrainingError, match="loss of student is nan in epoch 1") as caught:
            train(photographs, tasks, quick, tmp_path, resume=False, report=Silence(), cache=cache)
    assert "lower learning rate" in caught.value.fix


def without_labels(photographs, task: str, keep=lambda photograph: False):
    return tuple(
        photograph if keep(photograph) else replace(photograph, grades=photograph.grades | {task: None})
        for photograph in photographs
    )


def test_a_task_without_labels_is_refused(photographs, tasks, quick, cache, tmp_path) -> None:
    blank = without_labels(photographs, "green")
    with pytest.raises(TrainingError, match="nothing to learn green from") as caught:
        train(blank, tasks, quick, tmp_path, resume=False, report=Silence(), cache=cache)
    assert "green_grade" in caught.value.why


def test_a_validation_split_without_labels_is_refused(photographs, tasks: TaskSet, quick, cache, tmp_path) -> None:
    blank = without_labels(photographs, "red", keep=lambda photograph: photograph.split == "train")
    with pytest.raises(TrainingError, match="nothing to learn red from") as caught:
        train(blank, tasks, quick, tmp_path, resume=False, report=Silence(), cache=cache)
    assert "`val`" in caught.value.why


def test_an_empty_split_is_refused(photographs, tasks, quick, cache, tmp_path) -> None:
    none = tuple(photograph for photograph in photographs if photograph.split == "train")
    with pytest.raises(TrainingError, match="nothing to learn red from"):
        train(none, tasks, quick, tmp_path, resume=False, report=Silence(), cache=tmp_path / "cache")


def test_a_split_of_one_class_is_refused(photographs, tasks, quick, cache, tmp_path) -> None:
    healthy = without_labels(photographs, "red", keep=lambda photograph: photograph.grades["red"] == 0)
    with pytest.raises(TrainingError, match="red has one class only in `train`") as caught:
        train(healthy, tasks, quick, tmp_path, resume=False, report=Silence(), cache=cache)
    assert "below the referable grade" in caught.value.why


def test_photographs_that_cannot_be_read_are_noted_and_left_out(photographs, tasks, quick, tmp_path, diary) -> None:
    broken = replace(photographs[0], path=Path("nowhere.png"))
    (checkpoint,) = train(
        (broken, *photographs[1:]), tasks, replace(quick, epochs=1), tmp_path, resume=False, report=diary
    )
    assert checkpoint.manifest.provenance["photographs"] == {"train": 41, "val": 18}
    assert "nowhere.png" in diary.notes[0]
