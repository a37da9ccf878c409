from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.equalise import equalised
from calibration.graphs import load_proto
from calibration.layers import Int8Layer, int8_layers
from calibration.placement import topology
from calibration.ranges import Ranges, measure_ranges
from sall_edge.artifacts import OnnxModel


@pytest.fixture
def shown(squares: Callable[[int], list[NDArray[np.uint8]]]) -> list[NDArray[np.uint8]]:
    return squares(16)


@pytest.fixture
def layers(model: OnnxModel, shown: list[NDArray[np.uint8]]) -> dict[str, Int8Layer]:
    return int8_layers(model, shown)


@pytest.fixture
def ranges(model: OnnxModel, shown: list[NDArray[np.uint8]]) -> Ranges:
    return measure_ranges(model, shown)


def test_every_layer_that_becomes_int8_is_there_with_the_step_of_the_map_that_it_reads(
    layers: dict[str, Int8Layer], ranges: Ranges
) -> None:
    read = {"stem": "planes", "depthwise": "stem.act", "project": "depthwise.act", "branch": "first.add"}
    read |= {"expand": "branch.act", "downsample": "first.add"}
    assert {name: layer.step for name, layer in layers.items()} == {
        name: ranges.amax[tensor] / 127 for name, tensor in read.items()
    }


def test_a_bounded_map_is_rounded_around_its_middle(layers: dict[str, Int8Layer]) -> None:
    assert {name: layer.centre for name, layer in layers.items() if layer.centre} == {"project": 3.0}


def test_a_map_that_an_addition_alone_reads_is_rounded_where_it_is_written(
    layers: dict[str, Int8Layer], ranges: Ranges
) -> None:
    written = {name: layer.output_step for name, layer in layers.items() if layer.output_step is not None}
    assert written == {"downsample": ranges.amax["downsample"] / 127}


def test_weights_and_biases_are_equalised_and_those_of_maps_that_were_not_moved(
    model: OnnxModel, layers: dict[str, Int8Layer], ranges: Ranges
) -> None:
    graph = equalised(load_proto(model), ranges.channels).graph
    constants = topology(graph).constants
    for node in graph.node:
        if node.name in layers:
            weight, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
            assert np.array_equal(layers[node.name].weight, weight)
            assert np.array_equal(layers[node.name].bias, bias)
