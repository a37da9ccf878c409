"""Every network of the field, in every precision, through NVIDIA's own compiler, and in FP32 through OpenVINO (T1, T2).

TensorRT-RTX compiles on the CPU. What this proves: NVIDIA's parser takes the graphs, its type checker agrees with
them, and of every convolution and matrix product the kernel that was chosen reads INT8, FP16 or FP32 as the graph
says. What it does not: anything about a Jetson's kernels, speed or numbers. Weights are random, so grades mean nothing.
"""

import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from onnx import numpy_helper

from calibration.lint import lint
from calibration.placement import LINEAR, is_head, topology
from calibration.quantize import quantize
from calibration.ranges import measure_ranges
from engines.export import export
from engines.half import write_fp16, write_mixed
from engines.targets import load_target
from engines.tensorrt import build_plan
from sall_edge.spec import ImageSpec, RangeMethod, TaskSet
from trainer.checkpoint import save_checkpoint
from trainer.network import SallNetwork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorrt_rtx") is None,
        reason="tensorrt_rtx is not installed: pip install 'sall-edge[rtx]'",
    ),
]

NETWORKS = {"tf_efficientnet_lite0": 64, "resnet50": 64, "inception_v3": 96, "mobilenetv3_large_100": 64}
"""Sides in pixels: as small as the network's strides let it be, since only the structure counts."""

SQUARES = 8

EXECUTORS = 3
"""How much farther from the Q/DQ graph the mixed graph may be than one executor of the Q/DQ graph is from another.

Random networks of fifty layers make much of little: ONNX Runtime's integer kernels and its float arithmetic differ by
0.02 to 0.1 (RMS of a probability) on one and the same Q/DQ graph, since a sum in another order now and then moves an
INT8 number by one step. Numbers of ten bits do the same; the mixed graphs were 1.0 to 1.9 times as far.
"""

ANOTHER_ORDER = 1e-3
"""Of a probability: float32 sums in another order."""

HALF_ROUNDING = {"rtol": 2.0**-11, "atol": 2.0**-24}
"""Half a unit in the last of FP16's ten bits; and what is below its smallest number is rounded up to it."""


@dataclass(frozen=True)
class Graphs:
    """One network: graphs by precision, all in one folder."""

    side_px: int
    fp32: Path
    fp16: Path
    int8: Path
    mixed: Path


def with_settled_statistics(network: SallNetwork, squares: np.ndarray) -> SallNetwork:
    """Batch norms that are no identity, so that what is folded counts and no activation overflows FP16."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5, generator=generator)  # ResNets start with branches of zeros
            norm.bias.uniform_(-0.2, 0.2, generator=generator)
            norm.momentum = 1.0  # one batch settles it
        network.train()(torch.from_numpy(squares))
    return network.eval()


@pytest.fixture
def graphs(request: pytest.FixtureRequest, retina_tasks: TaskSet, tmp_path: Path) -> Graphs:
    backbone, side_px = request.param, NETWORKS[request.param]
    squares = np.random.default_rng(0).integers(0, 256, (SQUARES, side_px, side_px, 3), dtype=np.uint8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SallNetwork(backbone=backbone, tasks=retina_tasks.tasks, mean=(0.5,) * 3, std=(0.5,) * 3)
    checkpoint = save_checkpoint(
        tmp_path / "checkpoint",
        with_settled_statistics(network, squares),
        image=ImageSpec(side_px=side_px),
        tasks=retina_tasks.tasks,
        operating_points={"dr": 0.5, "amd": 0.5},
        temperatures={"dr": 1.5, "amd": 0.8},
        provenance={},
    )
    model = export(checkpoint, tmp_path / "model.onnx")
    ranges = measure_ranges(model, squares, method=RangeMethod.MINMAX)
    qdq = quantize(model, ranges, tmp_path / "qdq.onnx")
    write_fp16(model.path, tmp_path / "fp16.onnx")
    write_mixed(qdq.path, tmp_path / "mixed.onnx")
    return Graphs(side_px, model.path, tmp_path / "fp16.onnx", qdq.path, tmp_path / "mixed.onnx")


def linear_nodes(graph: Path) -> list[str]:
    """The layers that a compiler must account for."""
    return [node.name for node in onnx.load(graph).graph.node if node.op_type in LINEAR]


def quantized_layers(graph: Path) -> set[str]:
    """Layers that read a DequantizeLinear on both sides."""
    proto = onnx.load(graph).graph
    connections = topology(proto)
    sources = {node.name: [connections.producer.get(name) for name in node.input[:2]] for node in proto.node}
    return {
        layer
        for layer in linear_nodes(graph)
        if all(source is not None and source.op_type == "DequantizeLinear" for source in sources[layer])
    }


def heads(graph: Path) -> set[str]:
    proto = onnx.load(graph).graph
    connections = topology(proto)
    wanted = set(linear_nodes(graph))
    return {node.name for node in proto.node if node.name in wanted and is_head(node, connections)}


def dtype_by_layer(graph: Path, side_px: int) -> dict[str, str]:
    """What the kernel of every layer reads, by the name of its node in the graph.

    The RTX target's own five cards, for which TensorRT-RTX makes one plan.
    """
    import tensorrt_rtx

    report = build_plan(tensorrt_rtx, graph, target=load_target("rtx"), image=ImageSpec(side_px=side_px)).kernels
    pairs = [(layer, kernel.dtype) for kernel in report.kernels for layer in kernel.name.split("+")]
    assert max(Counter(layer for layer, _ in pairs).values()) == 1  # one kernel a layer
    assert {layer for layer, _ in pairs} == set(linear_nodes(graph))
    return dict(pairs)


def probabilities(graph: Path, pixels: np.ndarray, *, leave_out: list[str]) -> np.ndarray:
    """All tasks' side by side, in ONNX Runtime without some of its optimisers."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"], disabled_optimizers=leave_out)
    return np.concatenate(session.run(["dr_probs", "amd_probs"], {"image": pixels}), axis=1)


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.square(difference).mean()))


@pytest.mark.parametrize("graphs", NETWORKS, indirect=True)
def test_every_layer_is_compiled_in_the_precision_that_its_graph_says(graphs: Graphs) -> None:
    layers = set(linear_nodes(graphs.fp32))
    float_by_design = heads(graphs.fp32)
    quantized = quantized_layers(graphs.int8)
    assert float_by_design == {"heads.dr", "heads.amd", "cams.dr", "cams.amd"}
    assert quantized == layers - float_by_design == quantized_layers(graphs.mixed)
    side_px = graphs.side_px
    assert dtype_by_layer(graphs.fp32, side_px) == dict.fromkeys(layers, "fp32")
    assert dtype_by_layer(graphs.fp16, side_px) == dict.fromkeys(layers, "fp16")
    int8 = dict.fromkeys(quantized, "int8")
    assert dtype_by_layer(graphs.int8, side_px) == int8 | dict.fromkeys(float_by_design, "fp32")
    assert dtype_by_layer(graphs.mixed, side_px) == int8 | dict.fromkeys(float_by_design, "fp16")
    compare_openvino_with_onnxruntime(graphs)
    compare_mixed_with_int8(graphs)


def compare_openvino_with_onnxruntime(graphs: Graphs) -> None:
    """Of the FP32 graph; `export` has compared ONNX Runtime with PyTorch."""
    side_px = graphs.side_px
    pixels = np.random.default_rng(7).integers(0, 256, (SQUARES, side_px, side_px, 3), dtype=np.uint8)
    compiled = openvino.Core().compile_model(graphs.fp32, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = compiled(pixels)
    found = np.concatenate([outputs["dr_probs"], outputs["amd_probs"]], axis=1)
    wanted = probabilities(graphs.fp32, pixels, leave_out=[])
    np.testing.assert_allclose(found, wanted, atol=ANOTHER_ORDER)


def compare_mixed_with_int8(graphs: Graphs) -> None:
    """The lint takes the mixed graph; its constants are the rounded ones; its probabilities are as near as can be."""
    assert lint(onnx.load(graphs.mixed)) == ()
    exact, rounded = (
        {one.name: numpy_helper.to_array(one) for one in onnx.load(graph).graph.initializer}
        for graph in (graphs.int8, graphs.mixed)
    )
    for name, value in exact.items():
        np.testing.assert_allclose(rounded[name].astype(np.float64), value.astype(np.float64), **HALF_ROUNDING)
    side_px = graphs.side_px
    pixels = np.random.default_rng(7).integers(0, 256, (SQUARES, side_px, side_px, 3), dtype=np.uint8)
    # It multiplies FP16 scales in FP16 and gets zero; without it, layers are computed in float.
    in_float = ["WeightBiasQuantization"]
    wanted = probabilities(graphs.int8, pixels, leave_out=in_float)
    executors = rms(probabilities(graphs.int8, pixels, leave_out=[]) - wanted)
    mixed = rms(probabilities(graphs.mixed, pixels, leave_out=in_float) - wanted)
    assert 0 < mixed < EXECUTORS * executors
