"""What INT8 makes of every layer, for a trainer that wants to see it before the engine is built."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.equalise import equalised
from calibration.graphs import load_proto, open_onnx_model, write_graph
from calibration.histograms import LEVELS
from calibration.placement import Topology, place, topology
from calibration.ranges import measure_ranges
from calibration.recentre import recentred
from calibration.spread import spread
from sall_edge.artifacts import OnnxModel

__all__ = ["Int8Layer", "int8_layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Layer:
    """A layer as it is before its weights are rounded.

    Attributes:
        weight: Float32, after equalisation.
        bias: (output channels,) float32, or None.
        step: Of the map that it reads.
        centre: Of that map's steps: the map x becomes centre + step * round((x - centre) / step), with at most
            `LEVELS` steps on either side.
        output_step: Of the map that it writes, where a residual addition alone reads it rounded; else None.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    step: float
    centre: float
    output_step: float | None = None


def int8_layers(
    model: OnnxModel, squares: Sequence[NDArray[np.uint8]], *, advance: Callable[[], None] = lambda: None
) -> dict[str, Int8Layer]:
    """The layers that `quantize` makes INT8, by the names of their nodes.

    Args:
        model: The FP32 graph.
        squares: Calibration squares, each (side, side, 3) uint8.
        advance: Called after every square.

    Raises:
        CalibrationError: See `measure_ranges`.
    """
    with tempfile.TemporaryDirectory(prefix="sall-edge-") as folder:
        proto = spread(load_proto(model), squares)
        write_graph(proto, model.manifest, path := Path(folder) / "spread.onnx")
        ranges = measure_ranges(open_onnx_model(path), squares, advance=advance)
    even = topology(equalised(proto, ranges.channels).graph)
    centred = equalised(recentred(proto), ranges.channels)
    connections = topology(centred.graph)
    readers = {node.name: node for node in centred.graph.node}
    plain = {node.name: node for nodes in even.consumers.values() for node in nodes}
    layers = {}
    placement = place(centred.graph)
    unread = set(placement.activations) - {readers[name].input[0] for name in placement.layers}
    for name in placement.layers:
        tensor = readers[name].input[0]
        weight, *bias = (numpy_helper.to_array(even.constants[constant]) for constant in plain[name].input[1:])
        layers[name] = Int8Layer(
            weight=weight,
            bias=bias[0] if bias else None,
            step=ranges.amax[tensor] / LEVELS,
            centre=_shift(tensor, connections),
            output_step=ranges.amax[output] / LEVELS if (output := readers[name].output[0]) in unread else None,
        )
    return layers


def _shift(tensor: str, connections: Topology) -> float:
    """How far `recentred` moved a map down."""
    maker = connections.producer.get(tensor)
    while maker is not None and maker.op_type == "Pad":
        maker = connections.producer.get(maker.input[0])
    if maker is None or maker.op_type != "Clip" or len(maker.input) < 2 or not maker.input[1]:
        return 0.0
    return -min(0.0, float(numpy_helper.to_array(connections.constants[maker.input[1]])))
