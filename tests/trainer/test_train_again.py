"""The same run again: with the same seed, after a kill, over a run that is there."""

from dataclasses import replace

import pytest
import torch
from fakes.killed_training import KillAfter, Killed, assert_same_bits, weights_of

from sall_edge.errors import ArtefactForeign, TrainingError
from sall_edge.spec import Method
from trainer.progress import Silence
from trainer.train import train


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(
    photographs, tasks, quick, cache, tmp_path
) -> None:
    options = replace(quick, epochs=1)
    runs = [
        train(photographs, tasks, replace(options, seed=seed), tmp_path / str(number), resume=False, report=Silence(),
              cache=cache)[0]
        for number, seed in enumerate((3, 3, 4))
    ]  # fmt: skip
    assert_same_bits(runs[0], runs[1])
    assert not torch.equal(weights_of(runs[0])["heads.red.weight"], weights_of(runs[2])["heads.red.weight"])


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(
    photographs, tasks, quick, cache, tmp_path
) -> None:
    options = replace(quick, method=Method.SALL)
    (whole,) = train(photographs, tasks, options, tmp_path / "whole", resume=False, report=Silence(), cache=cache)
    run, resume = tmp_path / "killed", False
    # In the middle of a stage's first epoch, between stages, and in the middle of its second epoch.
    for stage, steps in (("teacher-green", 2), ("targets green", 20), ("student", 7)):
        with pytest.raises(Killed):
            train(photographs, tasks, options, run, resume=resume, report=KillAfter(stage, steps), cache=cache)
        torch.manual_seed(99)  # the next process begins with other randomness
        resume = True
    (resumed,) = train(photographs, tasks, options, run, resume=True, report=Silence(), cache=cache)
    assert_same_bits(whole, resumed)


def test_a_finished_run_is_not_trained_again(photographs, tasks, quick, cache, tmp_path, diary) -> None:
    options = replace(quick, epochs=1)
    (first,) = train(photographs, tasks, options, tmp_path, resume=False, report=Silence(), cache=cache)
    (again,) = train(photographs, tasks, options, tmp_path, resume=True, report=diary, cache=cache)
    assert first.sha256 == again.sha256
    assert [name for name, _ in diary.stages] == ["prepare", "prepare"]


def test_a_folder_with_a_run_in_it_is_not_overwritten(photographs, tasks, quick, cache, tmp_path) -> None:
    options = replace(quick, epochs=1)
    train(photographs, tasks, options, tmp_path, resume=False, report=Silence(), cache=cache)
    with pytest.raises(TrainingError, match="holds a run already") as caught:
        train(photographs, tasks, options, tmp_path, resume=False, report=Silence(), cache=cache)
    assert "--resume" in caught.value.fix


def test_resuming_with_other_options_is_refused_by_name(photographs, tasks, quick, cache, tmp_path) -> None:
    with pytest.raises(Killed):
        train(photographs, tasks, quick, tmp_path, resume=False, report=KillAfter("student", 1), cache=cache)
    other = replace(quick, learning_rate=1e-4, seed=5)
    with pytest.raises(TrainingError, match="is another run") as caught:
        train(photographs, tasks, other, tmp_path, resume=True, report=Silence(), cache=cache)
    assert caught.value.why == "it began with other learning_rate, seed"


def test_resuming_with_other_photographs_is_refused(photographs, tasks, quick, cache, tmp_path) -> None:
    with pytest.raises(Killed):
        train(photographs, tasks, quick, tmp_path, resume=False, report=KillAfter("student", 1), cache=cache)
    with pytest.raises(TrainingError, match="is another run") as caught:
        train(photographs[1:], tasks, quick, tmp_path, resume=True, report=Silence(), cache=cache)
    assert "photographs" in caught.value.why


def test_a_damaged_state_is_refused_with_the_way_out(photographs, tasks, quick, cache, tmp_path) -> None:
    with pytest.raises(Killed):
        train(photographs, tasks, quick, tmp_path, resume=False, report=KillAfter("student", 7), cache=cache)
    state = tmp_path / "state" / "student.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(ArtefactForeign, match="cannot resume from") as caught:
        train(photographs, tasks, quick, tmp_path, resume=True, report=Silence(), cache=cache)
    assert str(state) in caught.value.fix
