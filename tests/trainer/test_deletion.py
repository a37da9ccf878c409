"""Deletion and insertion on a network whose evidence is known: it sees bright red and nothing else."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sall_edge.spec import TaskSet
from trainer.deletion import blurred, deletion_insertion, random_maps
from trainer.explain import activation_maps
from trainer.network import SallNetwork

SIDE, CELLS = 64, 8
GREY, RED = (90, 90, 90), (250, 90, 90)
SAME = 1e-5
"""float32 probabilities of the same photographs in batches of another size."""


class BrightRed(nn.Module):
    """Per cell of 8 x 8 pixels, how far each channel lies above a level that blurred red does not reach."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.relu(nn.functional.avg_pool2d(image, SIDE // CELLS) - 1)


@pytest.fixture
def red_network(network: SallNetwork) -> SallNetwork:
    """The task "red" looks at the first channel; "green" at the second."""
    network.backbone = BrightRed()
    for channel, name in enumerate(("red", "green")):
        head = nn.Linear(3, len(network.tasks[channel].grades))
        with torch.no_grad():
            head.weight.zero_()
            head.weight[1:, channel] = 400
            head.bias.zero_()
            head.bias[1:] = -3
        network.heads[name] = head
    return network.eval()


def photographs(count: int, seed: int = 0) -> np.ndarray:
    """(count, SIDE, SIDE, 3): a grey disc with one red patch that fills a cell."""
    rng = np.random.default_rng(seed)
    squares = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    for square in squares:
        cv2.circle(square, (SIDE // 2, SIDE // 2), SIDE // 2 - 1, GREY, -1)
        row, column = 8 * rng.integers(2, 6, 2)
        square[row : row + 8, column : column + 8] = RED
    return squares


def test_true_evidence_deletes_faster_and_inserts_faster_than_random_maps(
    red_network: SallNetwork, tasks: TaskSet
) -> None:
    squares = photographs(12)
    maps = activation_maps(red_network, squares)["red"]
    found = deletion_insertion(red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0))
    assert found.n == 12
    assert found.deletion.interval[1] < 0
    assert found.insertion.interval[0] > 0
    assert found.deletion.difference == pytest.approx(found.deletion.by_map - found.deletion.by_random)
    # A tenth of the retina holds the patch: the next points of the curves know it.
    assert found.deletion.map_curve[1] < 0.2 < 0.8 < found.deletion.map_curve[0]
    assert found.insertion.map_curve[0] < 0.2 < 0.8 < found.insertion.map_curve[1]


def test_the_opposite_of_the_evidence_is_worse_than_random(red_network: SallNetwork, tasks: TaskSet) -> None:
    squares = photographs(12)
    maps = -activation_maps(red_network, squares)["red"]
    found = deletion_insertion(red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0))
    assert found.deletion.interval[0] > 0
    assert found.insertion.interval[1] < 0


def test_random_maps_are_no_better_than_random_maps(red_network: SallNetwork, tasks: TaskSet) -> None:
    squares = photographs(40)
    maps = random_maps(np.random.default_rng(7), 40, (CELLS, CELLS))
    found = deletion_insertion(red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0))
    for areas in (found.deletion, found.insertion):
        assert areas.interval[0] < 0 < areas.interval[1]


def test_curves_begin_and_end_with_the_photograph_and_its_blurred_copy(
    red_network: SallNetwork, tasks: TaskSet
) -> None:
    squares = photographs(3)
    maps = random_maps(np.random.default_rng(1), 3, (CELLS, CELLS))
    found = deletion_insertion(
        red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0), temperature=2.0, steps=4
    )
    with torch.inference_mode():
        ends = [
            float((red_network(torch.from_numpy(pixels))["red"] / 2).softmax(dim=1)[:, 1:].sum(dim=1).mean())
            for pixels in (squares, np.stack([blurred(square) for square in squares]))
        ]
    for deleted in (found.deletion.map_curve, found.deletion.random_curve):
        assert len(deleted) == 5
        assert (deleted[0], deleted[-1]) == pytest.approx(ends, abs=SAME)
    for inserted in (found.insertion.map_curve, found.insertion.random_curve):
        assert (inserted[-1], inserted[0]) == pytest.approx(ends, abs=SAME)


def test_areas_are_shares(red_network: SallNetwork, tasks: TaskSet) -> None:
    squares = photographs(2)
    maps = activation_maps(red_network, squares)["red"]
    found = deletion_insertion(red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0))
    for areas in (found.deletion, found.insertion):
        assert 0 <= areas.by_map <= 1
        assert 0 <= areas.by_random <= 1
        assert areas.interval[0] <= areas.difference <= areas.interval[1]


def test_both_eyes_of_a_patient_are_drawn_together(red_network: SallNetwork, tasks: TaskSet) -> None:
    squares = photographs(20)
    maps = activation_maps(red_network, squares)["red"]
    width = []
    for patients in ([str(i) for i in range(20)], [str(i // 10) for i in range(20)], ["one"] * 20):
        found = deletion_insertion(
            red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0), patients=patients
        )
        width.append(found.deletion.interval[1] - found.deletion.interval[0])
    assert width[0] > 0
    assert width[2] == pytest.approx(0)  # one patient cannot vary
    assert width[1] != pytest.approx(width[0])


def test_the_blurred_copy_has_no_detail_a_bright_rim_and_a_black_surround() -> None:
    (square,) = photographs(1)
    copy = blurred(square)
    is_retina = square.any(axis=2)
    assert not copy[~is_retina].any()
    assert copy[..., 0].max() < RED[0] - 50
    assert copy[is_retina].min() >= GREY[0] - 1  # a plain blur would halve the rim
    noisy = square.copy()
    noisy[~is_retina] = 4  # as a JPEG leaves it
    assert np.array_equal(blurred(noisy)[~is_retina], noisy[~is_retina])
    assert np.array_equal(blurred(noisy)[is_retina], copy[is_retina])


def test_deleted_patches_have_soft_edges(tasks: TaskSet, red_network: SallNetwork) -> None:
    """Two halves, so that the blurred copy differs from the photograph along their border."""
    seen: list[np.ndarray] = []

    class Watch(BrightRed):
        def forward(self, image: Tensor) -> Tensor:
            seen.append(image.numpy())
            return super().forward(image)

    red_network.backbone = Watch()
    half = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    half[:, :, : SIDE // 2], half[:, :, SIDE // 2 :] = 60, 200
    maps = np.array([[[1, 0], [0, 1]]], np.float32)  # half deleted: the quarters that lie crosswise
    deletion_insertion(red_network, tasks.tasks[0], half, maps, rng=np.random.default_rng(0), steps=2)
    levels = np.concatenate(seen)[:, 0] * 0.25 * 255  # of red, but for an offset
    steps_down = np.abs(np.diff(levels[1], axis=0))  # down the columns the photograph itself has none
    assert 0 < steps_down.max() < 25  # a hard edge would be one of 70, from 200 to the mean of both halves


def test_an_all_black_square_changes_nothing(red_network: SallNetwork, tasks: TaskSet) -> None:
    squares = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    maps = np.zeros((1, CELLS, CELLS), np.float32)
    found = deletion_insertion(red_network, tasks.tasks[0], squares, maps, rng=np.random.default_rng(0))
    assert found.deletion.difference == pytest.approx(0, abs=SAME)


@pytest.mark.parametrize(("count", "maps"), [(0, 0), (2, 1)])
def test_nothing_and_unequal_lengths_are_refused(
    red_network: SallNetwork, tasks: TaskSet, count: int, maps: int
) -> None:
    with pytest.raises(ValueError, match=f"got {count} squares, {maps} maps"):
        deletion_insertion(
            red_network,
            tasks.tasks[0],
            np.zeros((count, SIDE, SIDE, 3), np.uint8),
            np.zeros((maps, CELLS, CELLS), np.float32),
            rng=np.random.default_rng(0),
        )
