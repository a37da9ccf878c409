import numpy as np
import pytest
import torch

from trainer.sampling import drawn_positions, sampling_weights

UNKNOWN = -1
ROUNDING = 1e-9


def test_weights_follow_the_inverse_square_root_of_the_grade_s_count() -> None:
    labels = np.array([[0]] * 9 + [[1]])
    weights = sampling_weights(labels)
    assert weights[9] / weights[0] == pytest.approx(3, abs=ROUNDING)
    assert weights.mean() == pytest.approx(1, abs=ROUNDING)


def test_a_photograph_weighs_as_the_rarest_thing_on_it() -> None:
    labels = np.array([[0, 0]] * 15 + [[0, 1]])
    weights = sampling_weights(labels)
    assert weights[15] / weights[0] == pytest.approx(np.sqrt(15), abs=ROUNDING)


def test_unknown_labels_neither_count_nor_weigh() -> None:
    labels = np.array([[0, UNKNOWN]] * 4 + [[UNKNOWN, 0]])
    weights = sampling_weights(labels)
    assert weights[4] / weights[0] == pytest.approx(2, abs=ROUNDING)


def test_an_epoch_has_as_many_draws_and_leaves_out_no_photograph_of_weight_one() -> None:
    weights = sampling_weights(np.array([[0]] * 90 + [[1]] * 10))
    drawn = drawn_positions(weights, torch.Generator().manual_seed(0))
    assert len(drawn) == 100
    assert set(np.flatnonzero(weights >= 1)) <= set(drawn)


def test_over_many_epochs_each_photograph_comes_as_often_as_its_weight() -> None:
    weights = sampling_weights(np.array([[0]] * 16 + [[1]] * 4))
    generator = torch.Generator().manual_seed(0)
    epochs = 4000
    counts = sum(np.bincount(drawn_positions(weights, generator), minlength=20) for _ in range(epochs))
    assert np.allclose(counts / epochs, weights, atol=0.05)  # five standard deviations of a mean of 4,000 draws


def test_the_generator_alone_decides_the_draw() -> None:
    weights = sampling_weights(np.array([[0]] * 30 + [[1]] * 3))
    first = drawn_positions(weights, torch.Generator().manual_seed(3))
    assert np.array_equal(first, drawn_positions(weights, torch.Generator().manual_seed(3)))
    assert not np.array_equal(first, drawn_positions(weights, torch.Generator().manual_seed(4)))
