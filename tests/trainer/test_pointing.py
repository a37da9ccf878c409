"""Maps against lesions that are known."""

import numpy as np
import pytest

from trainer.pointing import enlarged, lesion_energy, pointing_game

SIDE = 64
CELLS = 8

NEAR_ONE = 1e-6  # sums of float32
CHANCE_ERROR = 0.03
"""Three standard deviations of a share near 0.06 over 600 photographs."""


def lesions_at(*places: tuple[int, int], size: int = 4) -> np.ndarray:
    """(n, SIDE, SIDE) bool: one square lesion a photograph, by its upper left corner."""
    masks = np.zeros((len(places), SIDE, SIDE), dtype=np.bool_)
    for mask, (row, column) in zip(masks, places, strict=True):
        mask[row : row + size, column : column + size] = True
    return masks


def peak_at(row: int, column: int) -> np.ndarray:
    evidence = np.full((1, CELLS, CELLS), -1, np.float32)
    evidence[0, row, column] = 3
    return evidence


def test_the_lesions_themselves_are_the_perfect_map() -> None:
    lesions = lesions_at((10, 30), (40, 20), (28, 50))
    maps = lesions.astype(np.float32)
    pointing, energy = pointing_game(maps, lesions), lesion_energy(maps, lesions)
    assert pointing is not None
    assert energy is not None
    assert pointing.share == 1
    assert energy.share == pytest.approx(1, abs=NEAR_ONE)
    assert pointing.n == energy.n == 3


def test_random_maps_reach_chance_and_no_more() -> None:
    rng = np.random.default_rng(0)
    places = [(int(row), int(column)) for row, column in rng.integers(16, 44, (600, 2))]
    lesions = lesions_at(*places)
    inside = np.hypot(*(np.indices((CELLS, CELLS)) - 3.5)) <= CELLS / 2
    maps = np.where(inside, rng.standard_normal((600, CELLS, CELLS)), -9).astype(np.float32)
    pointing, energy = pointing_game(maps, lesions), lesion_energy(maps, lesions)
    assert pointing is not None
    assert energy is not None
    assert pointing.share == pytest.approx(pointing.chance, abs=CHANCE_ERROR)
    assert pointing.chance < 0.1
    assert energy.share < 2 * energy.even


def test_a_peak_counts_in_the_cell_of_a_lesion_and_beyond_it_as_far_as_is_tolerated() -> None:
    lesions = lesions_at((26, 26))  # in cell (3, 3), whose middle is (28, 28)
    for column, tolerance, hit in ((3, 0.5, 1), (4, 0.5, 0), (4, 1.0, 1), (5, 1.0, 0)):
        pointing = pointing_game(peak_at(3, column), lesions, tolerance_cells=tolerance)
        assert pointing is not None
        assert pointing.share == hit, (column, tolerance)
    assert pointing_game(peak_at(3, 4), lesions) == pointing_game(peak_at(3, 4), lesions, tolerance_cells=0.5)


def test_an_even_map_has_the_energy_of_an_even_map() -> None:
    lesions = lesions_at((10, 30), (40, 20), size=9)
    energy = lesion_energy(np.ones((2, CELLS, CELLS), np.float32), lesions)
    assert energy is not None
    assert energy.share == pytest.approx(energy.even, abs=NEAR_ONE)
    assert energy.even == pytest.approx(81 / (np.pi * 32**2), rel=0.01)


def test_evidence_outside_the_field_of_view_and_against_a_referral_does_not_count() -> None:
    lesions = lesions_at((28, 28), size=8)
    evidence = np.full((1, SIDE, SIDE), -2, np.float32)
    evidence[0, 28:36, 28:36] = 1
    evidence[0, :4, :4] = 50
    energy = lesion_energy(evidence, lesions)
    assert energy is not None
    assert energy.share == pytest.approx(1, abs=NEAR_ONE)


def test_a_map_without_evidence_scores_nothing() -> None:
    energy = lesion_energy(np.full((1, CELLS, CELLS), -1, np.float32), lesions_at((30, 30)))
    assert energy is not None
    assert energy.share == 0


def test_photographs_without_lesions_are_left_out() -> None:
    lesions = np.concatenate([lesions_at((26, 26)), np.zeros((1, SIDE, SIDE), dtype=np.bool_)])
    maps = np.concatenate([peak_at(3, 3), peak_at(0, 0)])
    pointing, energy = pointing_game(maps, lesions), lesion_energy(maps, lesions)
    assert pointing is not None
    assert energy is not None
    assert (pointing.n, pointing.share, energy.n) == (1, 1, 1)
    assert pointing_game(maps[1:], lesions[1:]) is None
    assert lesion_energy(maps[1:], lesions[1:]) is None


def test_an_enlarged_map_keeps_its_values_in_the_middle_of_its_cells() -> None:
    evidence = np.random.default_rng(1).standard_normal((CELLS, CELLS)).astype(np.float32)
    large = enlarged(evidence, 9 * CELLS)  # odd cells have a middle pixel
    assert np.allclose(large[4::9, 4::9], evidence, atol=NEAR_ONE)
