import math

import pytest
import torch

from trainer.losses import (
    consistency_loss,
    distill_loss,
    distillation_loss,
    feature_loss,
    hard_loss,
    label_smoothing_loss,
    multitask_loss,
    multitask_normal_loss,
    paper_loss,
    rounding_loss,
    sall_loss,
    sall_paper_loss,
)

EXACT = 1e-5
"""float32 rounding of a handful of operations, nine times enlarged by T^2."""

TEMPERATURE = 3.0


def test_the_hard_loss_is_minus_the_log_of_the_labelled_probability() -> None:
    logits = torch.tensor([[math.log(1.0), math.log(3.0)]])
    assert hard_loss(logits, torch.tensor([1])).item() == pytest.approx(-math.log(0.75), abs=EXACT)


def test_an_unknown_label_has_no_loss_and_no_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    losses = hard_loss(logits, torch.tensor([-1, 2]))
    losses.sum().backward()
    assert losses[0] == 0
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() == 0
    assert logits.grad[1].abs().sum() > 0


def test_the_distillation_loss_is_t_squared_times_the_divergence_by_hand() -> None:
    logits = torch.tensor([[0.0, TEMPERATURE * math.log(3.0)]])  # softmax(z / T) = 1/4, 3/4
    soft = torch.tensor([[0.5, 0.5]])
    divergence = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    loss = distillation_loss(logits, soft, temperature=TEMPERATURE)
    assert loss.item() == pytest.approx(9 * divergence, abs=EXACT)


def test_the_distillation_loss_vanishes_when_student_and_teacher_agree() -> None:
    logits = torch.randn(4, 5)
    soft = torch.softmax(logits / TEMPERATURE, dim=1)
    assert distillation_loss(logits, soft, temperature=TEMPERATURE).abs().max() < EXACT


def test_a_target_without_a_grade_in_it_is_allowed() -> None:
    soft = torch.tensor([[0.0, 1.0]])  # 0 log 0 is 0, not nan
    assert torch.isfinite(distillation_loss(torch.zeros(1, 2), soft, temperature=TEMPERATURE)).all()


def test_the_paper_loss_is_cross_entropy_of_logits_divided_by_t() -> None:
    logits = torch.randn(6, 4)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    reference = torch.nn.functional.cross_entropy(logits / TEMPERATURE, labels, reduction="none")
    assert torch.allclose(paper_loss(logits, one_hot, temperature=TEMPERATURE), reference, atol=EXACT)


@pytest.fixture
def batch() -> tuple[dict[str, torch.Tensor], torch.Tensor, dict[str, torch.Tensor]]:
    """Three images: labelled for both tasks, for the first, for the second."""
    generator = torch.Generator().manual_seed(0)
    logits = {"dr": torch.randn(3, 5, generator=generator), "amd": torch.randn(3, 4, generator=generator)}
    soft = {"dr": torch.rand(3, 5, generator=generator), "amd": torch.rand(3, 4, generator=generator)}
    soft = {name: probabilities / probabilities.sum(dim=1, keepdim=True) for name, probabilities in soft.items()}
    return logits, torch.tensor([[0, 0], [4, -1], [-1, 2]]), soft


def test_multitask_sums_over_tasks_and_masks_unknown_ones(batch) -> None:
    logits, labels, _ = batch
    losses = multitask_loss(logits, labels)
    dr, amd = hard_loss(logits["dr"], labels[:, 0]), hard_loss(logits["amd"], labels[:, 1])
    assert losses[0].item() == pytest.approx((dr[0] + amd[0]).item(), abs=EXACT)
    assert losses[1].item() == pytest.approx(dr[1].item(), abs=EXACT)
    assert losses[2].item() == pytest.approx(amd[2].item(), abs=EXACT)


def test_sall_distils_only_where_a_label_is_missing(batch) -> None:
    logits, labels, soft = batch
    losses = sall_loss(logits, labels, soft, soft_weight=0.5, temperature=TEMPERATURE)
    hard = multitask_loss(logits, labels)
    amd = distillation_loss(logits["amd"], soft["amd"], temperature=TEMPERATURE)
    dr = distillation_loss(logits["dr"], soft["dr"], temperature=TEMPERATURE)
    assert torch.allclose(losses, hard + 0.5 * torch.stack([torch.tensor(0.0), amd[1], dr[2]]), atol=EXACT)


def test_sall_without_soft_weight_is_multitask(batch) -> None:
    logits, labels, soft = batch
    assert torch.equal(
        sall_loss(logits, labels, soft, soft_weight=0.0, temperature=TEMPERATURE), multitask_loss(logits, labels)
    )


def test_an_image_normal_for_every_task_keeps_its_one_hot_labels(batch) -> None:
    logits, labels, soft = batch
    contrary = {name: torch.flip(probabilities, dims=(1,)) for name, probabilities in soft.items()}
    for loss in (
        lambda s: sall_loss(logits, labels, s, soft_weight=1.0, temperature=TEMPERATURE),
        lambda s: sall_paper_loss(logits, labels, s, temperature=TEMPERATURE),
    ):
        ours, theirs = loss(soft), loss(contrary)
        assert ours[0] == theirs[0]
        assert ours[1] != theirs[1]


def test_the_paper_form_mixes_one_hot_and_soft_targets_at_the_same_temperature(batch) -> None:
    logits, labels, soft = batch
    losses = sall_paper_loss(logits, labels, soft, temperature=TEMPERATURE)
    one_hot = torch.nn.functional.one_hot(torch.tensor([4]), 5).float()
    expected = paper_loss(logits["dr"][1:2], one_hot, temperature=TEMPERATURE) + paper_loss(
        logits["amd"][1:2], soft["amd"][1:2], temperature=TEMPERATURE
    )
    assert losses[1].item() == pytest.approx(expected.item(), abs=EXACT)


def test_missing_labels_can_be_taken_for_normal(batch) -> None:
    logits, labels, _ = batch
    filled = torch.tensor([[0, 0], [4, 0], [0, 2]])
    assert torch.equal(multitask_normal_loss(logits, labels), multitask_loss(logits, filled))


def test_smoothing_spreads_a_share_of_the_label_evenly_and_leaves_missing_labels_masked(batch) -> None:
    logits, labels, _ = batch
    losses = label_smoothing_loss(logits, labels, smoothing=0.2)
    target = torch.full((5,), 0.2 / 5)
    target[4] += 0.8
    expected = -(target * torch.log_softmax(logits["dr"][1], dim=0)).sum()
    assert losses[1].item() == pytest.approx(expected.item(), abs=EXACT)
    assert torch.allclose(label_smoothing_loss(logits, labels, smoothing=0.0), multitask_loss(logits, labels))


def test_distillation_alone_teaches_a_task_only_where_it_is_labelled(batch) -> None:
    logits, labels, soft = batch
    losses = distill_loss(logits, labels, soft, soft_weight=0.5, temperature=TEMPERATURE)
    dr = distillation_loss(logits["dr"], soft["dr"], temperature=TEMPERATURE)
    amd = distillation_loss(logits["amd"], soft["amd"], temperature=TEMPERATURE)
    own = torch.stack([dr[0] + amd[0], dr[1], amd[2]])
    assert torch.allclose(losses, multitask_loss(logits, labels) + 0.5 * own, atol=EXACT)


def test_the_feature_loss_is_one_minus_the_cosine_where_a_label_is_missing(batch) -> None:
    _, labels, _ = batch
    ours = {"dr": torch.tensor([[1.0, 0.0]] * 3), "amd": torch.tensor([[1.0, 0.0]] * 3)}
    theirs = {"dr": torch.tensor([[-2.0, 0.0]] * 3), "amd": torch.tensor([[0.0, 5.0]] * 3)}
    # Labelled for both: nothing. Without AMD: at right angles. Without DR: opposite.
    assert torch.allclose(feature_loss(ours, labels, theirs), torch.tensor([0.0, 1.0, 2.0]), atol=EXACT)


def test_the_rounding_loss_is_the_mean_square_of_what_the_softmax_sees_by_hand() -> None:
    logits = {"red": torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [2.0, 3.0, 4.0], [0.0, 0.0, 3.0]])}
    assert torch.allclose(rounding_loss(logits), torch.tensor([0.0, (1 + 1 + 4) / 3]), atol=EXACT)
    assert torch.allclose(rounding_loss(logits | {"green": logits["red"][:, :2]}), torch.tensor([0.0, 2.0]), atol=EXACT)


def test_the_consistency_loss_is_the_divergence_of_two_views_both_ways_by_hand() -> None:
    even, steep = [0.0, 0.0], [0.0, math.log(3.0)]  # 1/2, 1/2 and 1/4, 3/4
    there = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    back = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    logits = {"dr": torch.tensor([even, even, steep, even]), "amd": torch.tensor([steep, even, even, even])}
    expected = torch.tensor([there + back, 0.0])  # two photographs; half of both ways in each of the two tasks
    assert torch.allclose(consistency_loss(logits), expected, atol=EXACT)
