"""`sall-edge explain` on a network that was never trained: its maps mean nothing, their scores are there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sall_edge.artifacts import Checkpoint

Run = Callable[..., Any]  # the fixture of tests/conftest.py

KEYS = {"referable", "called", "pointing_game", "lesion_energy", "deletion_insertion"}
AREAS = {"by_map", "by_random", "difference", "interval", "map_curve", "random_curve"}


@pytest.fixture(scope="module")
def eager_checkpoint(tiny_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The same network with operating points that call every photograph referable."""
    from trainer.checkpoint import load_network, save_checkpoint

    manifest = tiny_checkpoint.manifest
    return save_checkpoint(
        tmp_path_factory.mktemp("eager") / "checkpoint",
        load_network(tiny_checkpoint),
        image=manifest.image,
        tasks=manifest.tasks,
        operating_points={"dr": 0.0, "amd": 0.0},
        temperatures=manifest.temperatures,
        provenance={},
    )


def test_phantoms_give_all_scores(sall_edge: Run, eager_checkpoint: Checkpoint) -> None:
    phantoms = ["--phantoms", 6, "--side", 256, "--seed", 5]
    done = sall_edge("explain", eager_checkpoint.path, *phantoms, "--most", 2, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert set(found) == {"dr", "amd"}
    for explanation in found.values():
        assert set(explanation) == KEYS
        assert explanation["called"] == explanation["referable"] == explanation["pointing_game"]["n"]
        assert 0 <= explanation["pointing_game"]["share"] <= 1
        assert 0 <= explanation["lesion_energy"]["share"] <= 1
        assert explanation["deletion_insertion"]["n"] <= 2
        assert set(explanation["deletion_insertion"]["deletion"]) == AREAS
        assert set(explanation["deletion_insertion"]["insertion"]) == AREAS
    assert sum(explanation["referable"] for explanation in found.values()) >= 6

    text = sall_edge("explain", eager_checkpoint.path, *phantoms, "--most", 2).out
    assert f"Diabetic retinopathy: {found['dr']['referable']} referable photographs" in text
    for line in ("map peaks on a lesion", "evidence on lesions", "deletion (lower is better)"):
        assert text.count(line) == 2
    assert f"{found['dr']['pointing_game']['share']:.3f}   by chance" in text


def test_photographs_with_labels_give_deletion_and_insertion_only(
    sall_edge: Run, eager_checkpoint: Checkpoint, phantom_labels: Path
) -> None:
    done = sall_edge("explain", eager_checkpoint.path, "--labels", phantom_labels, "--most", 2, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    for explanation in found.values():
        assert explanation["referable"] > 0
        assert explanation["pointing_game"] is None
        assert explanation["lesion_energy"] is None
        assert explanation["deletion_insertion"]["n"] == min(2, explanation["called"])


def test_photographs_or_phantoms_must_be_given_and_not_both(
    sall_edge: Run, tiny_checkpoint: Checkpoint, phantom_labels: Path
) -> None:
    assert sall_edge("explain", tiny_checkpoint.path).code == 2
    both = sall_edge("explain", tiny_checkpoint.path, "--labels", phantom_labels, "--phantoms", 3)
    assert both.code == 2
    assert "--labels or --phantoms" in both.err


def test_a_split_without_referable_photographs_says_so(
    sall_edge: Run, tiny_checkpoint: Checkpoint, phantom_labels: Path
) -> None:
    done = sall_edge("explain", tiny_checkpoint.path, "--labels", phantom_labels, "--split", "nonsense")
    assert done.code == 1
    assert "--split" in done.err
