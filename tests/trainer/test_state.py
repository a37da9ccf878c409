from pathlib import Path

import pytest
import torch

from trainer.network import SallNetwork
from trainer.options import TrainingOptions
from trainer.state import State, learning_rate_at, seeded

ROUNDING = 1e-9


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [learning_rate_at(step, 100, 1e-3) for step in range(101)]
    assert rates[:11] == sorted(rates[:11])
    assert max(rates) == rates[10] == pytest.approx(1e-3, abs=ROUNDING)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[0] > 0
    assert rates[100] == pytest.approx(0, abs=ROUNDING)


def test_a_run_of_one_step_has_a_rate() -> None:
    assert learning_rate_at(0, 1, 1e-3) == 1e-3


def test_seeds_depend_on_run_stage_and_epoch_and_leave_the_caller_alone() -> None:
    before = torch.random.get_rng_state()
    draws = []
    for key in ((0, "student", 1), (0, "student", 1), (1, "student", 1), (0, "teacher-dr", 1), (0, "student", 2)):
        with seeded(*key) as generator:
            draws.append((torch.rand(1, generator=generator).item(), torch.rand(1).item()))
    assert draws[0] == draws[1]
    assert len(set(draws)) == 4
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_average_follows_weights_and_counts(network: SallNetwork, quick: TrainingOptions) -> None:
    state = State.fresh(network, quick)
    old = state.average.heads["red"].weight.clone()
    with torch.no_grad():
        network.heads["red"].weight += 1
    state.step = 10_000
    state.follow(0.99)
    moved = state.average.heads["red"].weight - old
    assert torch.allclose(moved, torch.full_like(moved, 0.01), atol=1e-6)


def test_a_decay_of_zero_keeps_the_last_weights(network: SallNetwork, quick: TrainingOptions) -> None:
    state = State.fresh(network, quick)
    with torch.no_grad():
        network.heads["red"].weight += 1
    state.follow(0.0)
    assert torch.equal(state.average.heads["red"].weight, network.heads["red"].weight)


def test_the_best_epoch_is_kept_and_patience_ends_the_stage(network: SallNetwork, quick: TrainingOptions) -> None:
    options = TrainingOptions(epochs=10, patience=2)
    state = State.fresh(network, quick)
    for epoch, score in enumerate((0.5, 0.7, 0.6, 0.7)):
        assert not state.is_finished(options)
        with torch.no_grad():
            state.average.heads["red"].bias.fill_(epoch)
        state.close_epoch({}, score)
    assert state.is_finished(options)
    assert state.best_epoch == 1
    assert (state.finished_network().heads["red"].bias == 1).all()


def test_an_epoch_that_must_be_kept_replaces_a_better_one(network: SallNetwork, quick: TrainingOptions) -> None:
    state = State.fresh(network, quick)
    state.close_epoch({}, 0.9)
    state.close_epoch({}, 0.1, is_kept=True)
    assert (state.best_epoch, state.best_score) == (1, 0.1)


def test_a_state_comes_back_to_the_bit(network: SallNetwork, quick: TrainingOptions, tmp_path: Path) -> None:
    state = State.fresh(network, quick)
    network(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8))["red"].sum().backward()
    state.optimizer.step()
    state.step = 1
    state.follow(0.9)
    state.close_epoch({"loss": 1 / 3}, 0.1 + 0.2)
    state.save(tmp_path / "state.safetensors")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        other = SallNetwork(backbone="test_efficientnet", tasks=network.tasks, mean=(0.5,) * 3, std=(0.25,) * 3)
    restored = State.fresh(other, quick)
    restored.restore(tmp_path / "state.safetensors")
    assert (restored.epoch, restored.step, restored.best_epoch, restored.best_score) == (1, 1, 0, 0.1 + 0.2)
    assert restored.history == state.history
    for mine, theirs in ((state.network, restored.network), (state.average, restored.average)):
        pairs = zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    before, after = state.optimizer.state_dict()["state"], restored.optimizer.state_dict()["state"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[i][name], after[i][name]) for i in before for name in before[i])


def test_biases_and_normalisation_are_not_decayed(network: SallNetwork, quick: TrainingOptions) -> None:
    decayed, free = State.fresh(network, quick).optimizer.param_groups
    assert free["weight_decay"] == 0
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(network.parameters()))
