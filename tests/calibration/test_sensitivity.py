from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.ranges import Ranges, measure_ranges
from calibration.sensitivity import measure_sensitivity, step_count
from sall_edge.artifacts import OnnxModel
from sall_edge.errors import CalibrationError

LAYERS = {"stem", "depthwise", "project", "branch", "expand", "downsample"}

Maker = Callable[[int], list[NDArray[np.uint8]]]


@pytest.fixture
def ranges(model: OnnxModel, squares: Maker) -> Ranges:
    return measure_ranges(model, squares(32))


def test_every_layer_is_measured_alone_the_costliest_first(model: OnnxModel, ranges: Ranges, squares: Maker) -> None:
    steps: list[int] = []
    found = measure_sensitivity(model, ranges, np.stack(squares(24)), advance=lambda: steps.append(1))
    assert len(steps) == step_count(model) == len(LAYERS) + 4  # and with 0, 1, 2 and 4 layers in float
    assert {one.layer for one in found.alone} == LAYERS
    costs = [one.total_kl for one in found.alone]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] > 0
    assert found.images == 24


def test_giving_layers_back_lowers_the_cost(model: OnnxModel, ranges: Ranges, squares: Maker) -> None:
    found = measure_sensitivity(model, ranges, np.stack(squares(24)))
    assert [count for count, _ in found.given_back] == [0, 1, 2, 4]
    assert [cost.layer for _, cost in found.given_back] == ["", *(found.alone[place].layer for place in (0, 1, 3))]
    assert found.given_back[-1][1].total_kl < found.given_back[0][1].total_kl


def test_a_ruined_range_makes_its_reader_the_costliest_layer(model: OnnxModel, ranges: Ranges, squares: Maker) -> None:
    for tensor, reader in (("planes", "stem"), ("depthwise.act", "project"), ("branch.act", "expand")):
        ruined = ranges.model_copy(update={"amax": {**ranges.amax, tensor: ranges.amax[tensor] / 50}})
        found = measure_sensitivity(model, ruined, np.stack(squares(24)))
        assert found.alone[0].layer == reader
        assert found.alone[0].total_kl > 10 * found.alone[1].total_kl
        # Giving that one layer back mends it.
        assert found.given_back[1][1].total_kl < 0.1 * found.given_back[0][1].total_kl


def test_ranges_of_another_graph_are_refused(model: OnnxModel, ranges: Ranges) -> None:
    with pytest.raises(CalibrationError):
        measure_sensitivity(replace(model, sha256="0" * 64), ranges, np.zeros((1, 32, 32, 3), np.uint8))
