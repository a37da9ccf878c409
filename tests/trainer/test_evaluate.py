from pathlib import Path

import numpy as np
import pytest
import torch

from sall_edge.spec import ImageSpec, TaskSet
from trainer.checkpoint import save_checkpoint
from trainer.data import Squares
from trainer.evaluate import predict_checkpoint, validation_score
from trainer.network import SallNetwork

SAME = 1e-5
"""float32 logits of the same network in batches of another size."""


def test_predictions_are_calibrated_probabilities_in_order(
    network: SallNetwork, tasks: TaskSet, tmp_path: Path
) -> None:
    checkpoint = save_checkpoint(
        tmp_path / "checkpoint", network.eval(), image=ImageSpec(side_px=32), tasks=tasks.tasks,
        operating_points={"red": 0.5, "green": 0.5}, temperatures={"red": 2.0, "green": 1.0}, provenance={},
    )  # fmt: skip
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    probs = predict_checkpoint(checkpoint, pixels)
    assert probs["red"].shape == (40, 3)
    assert probs["red"].dtype == np.float32
    assert np.allclose(probs["red"].sum(axis=1), 1, atol=SAME)
    with torch.inference_mode():
        logits = network(torch.from_numpy(pixels[33:34]))
    assert np.allclose(probs["red"][33], (logits["red"] / 2).softmax(dim=1)[0], atol=SAME)
    assert np.allclose(probs["green"][33], logits["green"].softmax(dim=1)[0], atol=SAME)


def test_no_squares_give_no_predictions(network: SallNetwork, tasks: TaskSet, tmp_path: Path) -> None:
    checkpoint = save_checkpoint(
        tmp_path / "checkpoint", network, image=ImageSpec(side_px=32), tasks=tasks.tasks,
        operating_points={"red": 0.5, "green": 0.5}, temperatures={"red": 1.0, "green": 1.0}, provenance={},
    )  # fmt: skip
    assert predict_checkpoint(checkpoint, np.zeros((0, 32, 32, 3), np.uint8))["green"].shape == (0, 2)


def squares_with(labels: list[list[int]], tasks: TaskSet) -> Squares:
    n = len(labels)
    return Squares(
        pixels=np.zeros((n, 2, 2, 3), np.uint8),
        rows=np.arange(n),
        labels=np.array(labels),
        patients=tuple("abcdefgh"[:n]),
        paths=tuple(Path(str(i)) for i in range(n)),
        tasks=tasks.tasks,
    )


def test_the_score_of_a_faultless_network_is_one_and_unknown_labels_do_not_count(tasks: TaskSet) -> None:
    squares = squares_with([[0, 0], [1, -1], [2, 1], [-1, 1]], tasks)
    red = 9 * np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    green = 9 * np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    score, parts = validation_score({"red": red, "green": green}, squares)
    assert score == 1
    assert set(parts.values()) == {1.0}


def test_the_score_is_the_mean_of_auc_and_kappa_over_tasks(tasks: TaskSet) -> None:
    squares = squares_with([[0, 0], [2, 1], [0, 0], [2, 1]], tasks)
    right = 9 * np.eye(3, dtype=np.float32)[[0, 2, 0, 2]]
    wrong = 9 * np.eye(2, dtype=np.float32)[[1, 0, 1, 0]]
    score, parts = validation_score({"red": right, "green": wrong}, squares)
    assert parts["green_referable_auc"] == 0
    assert parts["green_quadratic_weighted_kappa"] == -1
    assert score == pytest.approx((1 + 1 + 0 - 1) / 4)
