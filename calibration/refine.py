"""A Q/DQ graph brought closer to its FP32 graph on calibration photographs, layer by layer.

Both graphs are walked together, one node after the other. At every INT8 convolution the weights are rounded again for
the inputs that the layer really gets (`rounding`). The bias of every layer, float heads included, takes back what is
left of the mean shift (bias correction, Nagel et al. 2019). Layers further down then see inputs that are already
corrected. Nothing but weights and biases changes, so the graph is as fast as before.
"""

from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.rounding import rounded_weights
from calibration.sessions import open_inner_session
from sall_edge.fundus.prepare import OUTSIDE_LEVEL

__all__ = ["centring_steps", "heads_centred", "refined", "refinement_count"]

Array = NDArray[np.generic]

MOST_IMAGES = 64
PIXELS_AT_ONCE = MOST_IMAGES * 224 * 224
"""The walk holds a whole layer's maps of all images: about 1 GB at this size."""

POSITIONS = 128
"""Windows per image that a layer's moments are taken from; neighbours say nearly the same."""

_AT_ONCE = 16
"""Squares in a session's call, where only results are kept."""


def refinement_count(side_px: int) -> int:
    """How many squares of this side the walk takes at once."""
    return max(8, min(MOST_IMAGES, PIXELS_AT_ONCE // side_px**2))


def refined(
    proto: onnx.ModelProto,
    quantized: onnx.ModelProto,
    squares: NDArray[np.uint8],
    *,
    advance: Callable[[], None] = lambda: None,
) -> onnx.ModelProto:
    """A copy of the Q/DQ graph with better weights and biases.

    Args:
        proto: The FP32 graph.
        quantized: `with_qdq` of it.
        squares: (N, side, side, 3) uint8 calibration squares, see `refinement_count`.
        advance: Called after every INT8 convolution.
    """
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    walk = _Walk(proto, result, squares)
    for node in result.graph.node:
        if walk.step(node):
            advance()
    walk.store()
    return result


def centring_steps(squares: int) -> int:
    """How often `heads_centred` says that it went on, with so many squares."""
    return 2 * -(-squares // _AT_ONCE)


def heads_centred(
    proto: onnx.ModelProto,
    quantized: onnx.ModelProto,
    squares: NDArray[np.uint8],
    *,
    advance: Callable[[], None] = lambda: None,
) -> onnx.ModelProto:
    """A copy of the Q/DQ graph whose mean logits are those of the FP32 graph.

    The walk holds few pictures, and a mean over few is itself off; heads can be corrected on any number of them.

    Args:
        proto: The FP32 graph.
        quantized: Its `refined` Q/DQ graph; the bias of every float `Gemm` may change.
        squares: (N, side, side, 3) uint8 calibration squares, any number.
        advance: Called `centring_steps` times.
    """
    result = onnx.ModelProto()
    result.CopyFrom(quantized)
    users = Counter(name for node in result.graph.node for name in node.input)
    biases = {i.name: i for i in result.graph.initializer if users[i.name] == 1}
    heads = {n.output[0]: n.input[2] for n in result.graph.node if n.op_type == "Gemm" and len(n.input) > 2}
    heads = {output: bias for output, bias in heads.items() if bias in biases}
    if not heads:
        return result
    exact, rounded = (_means(graph, list(heads), squares, advance) for graph in (proto, result))
    for name, wanted, found in zip(heads.values(), exact, rounded, strict=True):
        bias = numpy_helper.to_array(biases[name]) + (wanted - found)
        biases[name].CopyFrom(numpy_helper.from_array(bias.astype(np.float32), name))
    return result


def _means(
    proto: onnx.ModelProto, names: list[str], squares: NDArray[np.uint8], advance: Callable[[], None]
) -> list[NDArray[np.float64]]:
    """The mean over squares of tensors (N, K) of a graph."""
    session = open_inner_session(proto, names)
    sums = [np.zeros(1) for _ in names]
    for start in range(0, len(squares), _AT_ONCE):
        found = session.run(names, {"image": squares[start : start + _AT_ONCE]})
        sums = [total + values.sum(axis=0, dtype=np.float64) for total, values in zip(sums, found, strict=True)]
        advance()
    return [total / len(squares) for total in sums]


class _Walk:
    """The values of both graphs at the point that the walk has reached."""

    def __init__(self, proto: onnx.ModelProto, quantized: onnx.ModelProto, squares: NDArray[np.uint8]) -> None:
        self.float_nodes = {node.name: node for node in proto.graph.node}
        self.graph = quantized.graph
        self.opsets = list(quantized.opset_import)
        self.constants = {i.name: numpy_helper.to_array(i) for i in quantized.graph.initializer}
        self.floats: dict[str, Array] = {i.name: numpy_helper.to_array(i) for i in proto.graph.initializer}
        self.floats["image"] = squares
        self.values: dict[str, Array] = {"image": squares}
        self.changed: dict[str, Array] = {}
        self.makers = {name: node for node in quantized.graph.node for name in node.output}
        self.readers = Counter(name for node in quantized.graph.node for name in node.input)
        self.layers_of = self.readers.copy()
        self.float_readers = Counter(name for node in proto.graph.node for name in node.input)
        self.rng = np.random.default_rng(0)
        self.field = squares.max(axis=3) > OUTSIDE_LEVEL
        self.inside: dict[tuple[int, int], NDArray[np.bool_]] = {}

    def step(self, node: onnx.NodeProto) -> bool:
        """Computes a node in both graphs, an INT8 convolution with refined weights and bias; whether it was one."""
        original = self.float_nodes.get(node.name)
        if original is not None:
            self._run(original, self.floats)
        weight = self.makers.get(node.input[1]) if node.op_type == "Conv" else None
        is_int8 = weight is not None and weight.op_type == "DequantizeLinear"
        if weight is not None and is_int8 and _has_dense_windows(node):
            self._round(node, weight)
        self._run(node, self.values)
        if node.op_type in ("Conv", "Gemm"):
            self._correct_bias(node)
        self._forget(node, original)
        return is_int8

    def store(self) -> None:
        """Writes what changed into the graph."""
        for initializer in self.graph.initializer:
            if initializer.name in self.changed:
                initializer.CopyFrom(numpy_helper.from_array(self.changed[initializer.name], initializer.name))

    def _round(self, layer: onnx.NodeProto, weight: onnx.NodeProto) -> None:
        name, scale_name = weight.input[0], weight.input[1]
        scale = self.constants[scale_name]
        exact = self.floats[self.float_nodes[layer.name].input[1]]
        (groups,) = _integers(layer, "group", [1])
        rows = exact.shape[0] // groups
        height, width = self.floats[layer.output[0]].shape[2:]
        places = _places(self._covered(height, width), self.rng)
        inputs = _windows(self.values[layer.input[0]], exact.shape[2:], layer, groups, places)
        moments = np.matmul(inputs.transpose(0, 2, 1), inputs).astype(np.float64)
        rounded = rounded_weights(
            exact.reshape(groups, rows, -1).astype(np.float32), scale.reshape(groups, rows).astype(np.float32), moments
        ).reshape(exact.shape)
        self.changed[name] = self.constants[name] = rounded
        self.values[weight.output[0]] = rounded * scale.reshape(-1, *[1] * (exact.ndim - 1))

    def _correct_bias(self, layer: onnx.NodeProto) -> None:
        is_own = len(layer.input) > 2 and layer.input[2] in self.constants and self.layers_of[layer.input[2]] == 1
        if not is_own:
            return
        output, bias = layer.output[0], layer.input[2]
        gap = np.subtract(self.floats[output], self.values[output], dtype=np.float32)
        if gap.ndim == 4:
            gap = gap.transpose(0, 2, 3, 1)[self._covered(*gap.shape[2:])]
        shift = gap.mean(axis=0)
        self.changed[bias] = self.constants[bias] = (self.constants[bias] + shift).astype(np.float32)
        self.values[output] = self.values[output] + shift.reshape(1, -1, *[1] * (self.values[output].ndim - 2))

    def _covered(self, height: int, width: int) -> NDArray[np.bool_]:
        if (height, width) not in self.inside:
            self.inside[height, width] = _covered(self.field, height, width)
        return self.inside[height, width]

    def _run(self, node: onnx.NodeProto, values: dict[str, Array]) -> None:
        inputs = {name: values[name] if name in values else self.constants[name] for name in node.input if name}
        values.update(zip(node.output, _computed(node, inputs, self.opsets), strict=True))

    def _forget(self, node: onnx.NodeProto, original: onnx.NodeProto | None) -> None:
        """Drops what nobody reads any more: a whole network's maps would not fit."""
        for reader, readers, values in ((node, self.readers, self.values), (original, self.float_readers, self.floats)):
            for name in reader.input if reader is not None else ():
                readers[name] -= 1
                if not readers[name]:
                    values.pop(name, None)


def _has_dense_windows(layer: onnx.NodeProto) -> bool:
    """`_windows` have no gaps."""
    return all(step == 1 for step in _integers(layer, "dilations", [1, 1]))


def _covered(field: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """(N, height, width) cells of a map that lie wholly inside the field of view; all cells where none does."""
    covered = np.stack([cv2.resize(f.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) for f in field])
    inside: NDArray[np.bool_] = covered > 0.999
    inside[~inside.any(axis=(1, 2))] = True
    return inside


def _places(covered: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """(N, POSITIONS, 2) rows and columns of cells, drawn among the covered ones of each picture."""
    drawn = []
    for cells in covered:
        found = np.argwhere(cells)
        drawn.append(found[rng.choice(len(found), POSITIONS, replace=len(found) < POSITIONS)])
    return np.stack(drawn)


def _windows(
    inputs: Array, kernel: tuple[int, ...], layer: onnx.NodeProto, groups: int, places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(groups, samples, columns) what the layer's filters see of all images, at the given places of its output."""
    pads = _integers(layer, "pads", [0, 0, 0, 0])
    strides = _integers(layer, "strides", [1, 1])
    padded = np.pad(inputs, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: strides[0], :: strides[1]]
    images, channels = windows.shape[:2]
    # Indices around a slice put the sampled axes first: (images, positions, channels, *kernel).
    picked = windows[np.arange(images)[:, None], :, places[..., 0], places[..., 1]]
    columns = channels // groups * int(np.prod(kernel))
    samples = picked.reshape(images * places.shape[1], groups, columns).transpose(1, 0, 2)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _integers(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    found = next((a for a in node.attribute if a.name == name), None)
    if found is None:
        return default
    return list(found.ints) or [found.i]


def _computed(node: onnx.NodeProto, inputs: dict[str, Array], opsets: list[onnx.OperatorSetIdProto]) -> list[Array]:
    """A node's outputs, by ONNX Runtime on a graph of this node alone."""
    described = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), None)
        for name, value in inputs.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = onnx.helper.make_graph([node], node.name or "node", described, outputs)
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values: list[Array] = session.run(None, inputs)
    return values
