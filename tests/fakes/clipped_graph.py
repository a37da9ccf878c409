"""A graph with the maps that OpenVINO is given in other words: padded with its lowest value, and clipped from zero.

Pixels -> 3x3 -> clip to -3..3 -> Pad -> Q/DQ -> depthwise 3x3 -> clip to 0..6 -> Q/DQ -> padded depthwise 3x3.
Random weights: it cannot show what a rounding costs a trained network.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE_PX = 24
CHANNELS = 16
SCALE = float(np.float32(3 / 127))
"""Of the map that lies around zero; the one from zero has twice the step."""


class _Graph:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def rounded(self, source: str, scale: float) -> str:
        scale_name = self.constant(f"{source}.scale", scale)
        zero = self.constant(f"{source}.zero", 0, np.int8)
        quantized = self.node("QuantizeLinear", [source, scale_name, zero], f"{source}.int8")
        return self.node("DequantizeLinear", [quantized, scale_name, zero], f"{source}.rounded")

    def convolution(self, source: str, name: str, shape: tuple[int, ...], **attributes: object) -> str:
        integers = self.constant(f"{name}.int8", self.rng.integers(-127, 128, shape), np.int8)
        scales = self.constant(f"{name}.scales", np.full(shape[0], 3 / 127 / np.sqrt(np.prod(shape[1:]))))
        zeros = self.constant(f"{name}.zeros", np.zeros(shape[0]), np.int8)
        weight = self.node("DequantizeLinear", [integers, scales, zeros], f"{name}.weight", axis=0)
        bias = self.constant(f"{name}.bias", self.rng.normal(size=shape[0]))
        return self.node("Conv", [source, weight, bias], name, **attributes)

    def clip(self, source: str, name: str, low: float, high: float) -> str:
        bounds = [self.constant(f"{name}.low", low), self.constant(f"{name}.high", high)]
        return self.node("Clip", [source, *bounds], name)


def write_clipped(
    path: Path, *, pad_value: float = -3.0, high: float = 3.0, mode: str = "constant", channel_scales: bool = False
) -> Path:
    """The graph.

    Args:
        path: Where to.
        pad_value: What the first map is padded with.
        high: Its upper bound; above 3 its values saturate in int8.
        mode: Of the Pad.
        channel_scales: Scales red, green and blue differently.
    """
    graph = _Graph()
    values = graph.node("Cast", ["image"], "values", to=TensorProto.FLOAT)
    factors = np.array([1, 1.5, 2] if channel_scales else [1, 1, 1]) / 128
    scaled = graph.node("Mul", [values, graph.constant("factors", factors)], "scaled")
    shifted = graph.node("Add", [scaled, graph.constant("shift", [-127 / 128] * 3)], "shifted")
    pixels = graph.rounded(graph.node("Transpose", [shifted], "pixels", perm=[0, 3, 1, 2]), 1 / 128)
    stem = graph.convolution(pixels, "stem", (CHANNELS, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    moved = graph.clip(stem, "moved", -3.0, high)
    places = graph.constant("places", [0, 0, 1, 1, 0, 0, 1, 1], np.int64)
    padded = graph.node("Pad", [moved, places, graph.constant("pad_value", pad_value)], "padded", mode=mode)
    depthwise = graph.convolution(graph.rounded(padded, SCALE), "depthwise", (CHANNELS, 1, 3, 3), group=CHANNELS)
    second = graph.rounded(graph.clip(depthwise, "second", 0.0, 6.0), 2 * SCALE)
    graph.convolution(second, "output", (CHANNELS, 1, 3, 3), group=CHANNELS, pads=[1, 1, 1, 1])
    made = helper.make_graph(
        graph.nodes,
        "clipped",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", CHANNELS, None, None])],
        graph.constants,
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    return path
