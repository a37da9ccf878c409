import pytest
import torch
from torch import nn

from sall_edge.spec import Head
from trainer.heads import AdjacentCategories, head_of

SAME = 1e-5
"""float32 sums in another order."""


@pytest.fixture
def head() -> AdjacentCategories:
    made = head_of(Head.ORDINAL, 8, 5)
    assert isinstance(made, AdjacentCategories)
    return made


def test_every_step_to_the_next_grade_has_the_same_direction(head: AdjacentCategories) -> None:
    pooled = torch.randn(6, 8)
    steps = head(pooled).log_softmax(dim=1).diff(dim=1)  # log P(k + 1) / P(k)
    without_thresholds = steps - head.bias.diff()
    assert torch.allclose(without_thresholds, (pooled @ head.direction.T).expand(6, 4), atol=SAME)


def test_further_along_the_direction_the_expected_grade_only_rises(head: AdjacentCategories) -> None:
    along = torch.linspace(-9, 9, 50)[:, None] * head.direction
    expected = head(along).softmax(dim=1) @ torch.arange(5.0)
    assert (expected.diff() > 0).all()


def test_the_ordinary_layer_computes_the_same(head: AdjacentCategories) -> None:
    pooled = torch.randn(6, 8)
    assert torch.allclose(head.linear()(pooled), head(pooled), atol=SAME)


def test_it_has_fewer_weights_and_all_of_them_learn(head: AdjacentCategories) -> None:
    head(torch.randn(6, 8)).log_softmax(dim=1)[:, 2].sum().backward()
    assert {name: tuple(p.shape) for name, p in head.named_parameters()} == {"direction": (1, 8), "bias": (5,)}
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_the_head_of_the_paper_is_a_linear_layer() -> None:
    assert type(head_of(Head.SOFTMAX, 8, 5)) is nn.Linear
