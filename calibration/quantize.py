"""FP32 graph + ranges -> the same graph with explicit Q/DQ, as every backend takes it.

Weights are stored as int8 with a DequantizeLinear, one scale per output channel (axis 0); activations get one shared
QuantizeLinear/DequantizeLinear pair per tensor with a 0-d scale; zero points are 0; biases stay float. Before that,
ReLU6 maps move around zero (`recentre`) and the channels of residual streams fill one range (`equalise`); after it,
weights and biases are refined on calibration squares (`refine`).
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibration.constants import drop_unread
from calibration.equalise import equalised
from calibration.graphs import load_proto, open_qdq_model, write_graph
from calibration.grid import is_on_grid, quantized_weights
from calibration.histograms import LEVELS
from calibration.lint import check
from calibration.placement import Placement, place
from calibration.ranges import Ranges, check_ranges
from calibration.recentre import recentred
from calibration.refine import centring_steps, heads_centred, refined, refinement_count
from sall_edge.artifacts import GraphManifest, Kind, OnnxModel, QdqModel
from sall_edge.errors import CalibrationError
from sall_edge.spec import Precision

__all__ = ["quantize", "refining_steps", "with_qdq"]


def quantize(
    model: OnnxModel,
    ranges: Ranges,
    path: Path,
    *,
    squares: NDArray[np.uint8] | None = None,
    keep_float: Iterable[str] = (),
    advance: Callable[[], None] = lambda: None,
) -> QdqModel:
    """The graph with INT8 convolutions, linted, written to a file.

    Args:
        model: The FP32 graph.
        ranges: Measured on that graph.
        path: The Q/DQ graph's file.
        squares: (N, side, side, 3) uint8 calibration squares; with them weights and biases are refined (`refine`),
            on the first `refinement_count` of them, and the heads on all. Without, weights are rounded to nearest. A
            network that was trained through its rounding needs its heads corrected only (docs/adr/0008).
        keep_float: Names of layers that stay float; they are recorded in the manifest's provenance.
        advance: Called `refining_steps` times while squares refine.

    Raises:
        CalibrationError: The ranges belong to another graph, `keep_float` names no layer, or the result does not lint.
        OutputError: The file cannot be written.
    """
    check_ranges(ranges, model)
    kept = sorted(set(keep_float))
    exact = equalised(recentred(load_proto(model)), ranges.channels)
    proto = with_qdq(exact, ranges.amax, keep_float=kept)
    refined_on = 0
    if squares is not None:
        if not is_on_grid(exact):
            used = squares[: refinement_count(model.manifest.image.side_px)]
            refined_on = len(used)
            proto = refined(exact, proto, used, advance=advance)
        proto = heads_centred(exact, proto, squares, advance=advance)
    check(proto, keep_float=kept)
    made = {"refined_on": refined_on, "keep_float": kept}
    write_graph(proto, _manifest(model, ranges, made), path)
    return open_qdq_model(path)


def _manifest(model: OnnxModel, ranges: Ranges, made: dict[str, Any]) -> GraphManifest:
    measured = {
        "method": ranges.method.value,
        "images": ranges.images,
        "images_sha256": ranges.images_sha256,
        **ranges.provenance,
    }
    return GraphManifest(
        kind=Kind.QDQ,
        image=model.manifest.image,
        tasks=model.manifest.tasks,
        operating_points=model.manifest.operating_points,
        parent_sha256=model.sha256,
        precision=Precision.INT8,
        provenance={"ranges": measured, **made, "onnx": onnx.__version__},
    )


def refining_steps(model: OnnxModel, squares: int, *, keep_float: Iterable[str] = ()) -> int:
    """How often `quantize` says that it went on, with so many squares: after every layer, and as it centres heads."""
    proto = load_proto(model)
    layers = 0 if is_on_grid(proto) else len(place(proto.graph, keep_float=keep_float).layers)
    return layers + centring_steps(squares)


def with_qdq(proto: onnx.ModelProto, amax: dict[str, float], *, keep_float: Iterable[str] = ()) -> onnx.ModelProto:
    """A copy of an FP32 graph with Q/DQ at the places of `placement`.

    Args:
        proto: The FP32 graph.
        amax: Tensor name to its largest magnitude; all tensors that are quantized must be there.
        keep_float: Names of layers that stay float.

    Raises:
        CalibrationError: A range is missing, or `keep_float` names no layer.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    graph = result.graph
    placement = place(graph, keep_float=keep_float)
    if missing := [name for name in placement.activations if name not in amax]:
        why = "the ranges were measured with another placement"
        raise CalibrationError(f"no range for {', '.join(missing[:3])}", why, "measure the ranges again")
    _quantize_weights(graph, placement)
    _quantize_activations(graph, {name: amax[name] for name in placement.activations})
    onnx.checker.check_model(result, full_check=True)
    return result


def _quantize_activations(graph: onnx.GraphProto, amax: dict[str, float]) -> None:
    """Every reader of a quantized tensor reads what comes out of its Q/DQ pair."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in amax:
                node.input[index] = f"{name}.dequantized"
    pairs = {name: _pair(graph, name, value / LEVELS) for name, value in amax.items()}
    nodes: list[onnx.NodeProto] = []
    for value in graph.input:
        nodes.extend(pairs.pop(value.name, ()))
    for node in graph.node:
        nodes.append(node)
        for name in node.output:
            nodes.extend(pairs.pop(name, ()))
    _replace_nodes(graph, nodes)


def _pair(graph: onnx.GraphProto, name: str, scale: float) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    # np.float32(...) is 0-d; an array of shape (1,) would silently turn every convolution float in TensorRT.
    _add_constant(graph, f"{name}.scale", np.array(scale, dtype=np.float32))
    _add_constant(graph, f"{name}.zero_point", np.array(0, dtype=np.int8))
    constants = [f"{name}.scale", f"{name}.zero_point"]
    quantized, dequantized = f"{name}.quantized", f"{name}.dequantized"
    return (
        onnx.helper.make_node("QuantizeLinear", [name, *constants], [quantized], name=quantized),
        onnx.helper.make_node("DequantizeLinear", [quantized, *constants], [dequantized], name=dequantized),
    )


def _quantize_weights(graph: onnx.GraphProto, placement: Placement) -> None:
    layers = {node.name: node for node in graph.node}
    initializers = {initializer.name: initializer for initializer in graph.initializer}
    before: dict[str, list[onnx.NodeProto]] = {}
    for name, layer_name in placement.weights.items():
        layer = layers[layer_name]
        if name not in initializers:
            what = f"the weights of {layer_name} are a Constant node"
            raise CalibrationError(what, "weights must be initializers", "fold the graph's constants first")
        weight = numpy_helper.to_array(initializers[name])
        quantized, scale = quantized_weights(weight, layer)
        axis: dict[str, Any] = {"axis": 0} if scale.ndim else {}
        # Another layer that stays float may share the weights, so they get new names.
        _add_constant(graph, f"{name}.int8", quantized)
        _add_constant(graph, f"{name}.scale", scale)
        _add_constant(graph, f"{name}.zero_point", np.zeros(scale.shape, np.int8))
        constants = [f"{name}.int8", f"{name}.scale", f"{name}.zero_point"]
        output = f"{name}.dequantized"
        before[layer_name] = [onnx.helper.make_node("DequantizeLinear", constants, [output], name=output, **axis)]
        layer.input[list(layer.input).index(name)] = output
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes.extend(before.get(node.name, ()))
        nodes.append(node)
    _replace_nodes(graph, nodes)
    drop_unread(graph)


def _add_constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> None:
    graph.initializer.append(numpy_helper.from_array(value, name))


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)
