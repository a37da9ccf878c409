"""A network small enough to read: stem, depthwise, two residual additions, heads and activation maps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from calibration.graphs import open_onnx_model, write_graph
from calibration.grid import quantized_weights
from calibration.placement import place
from sall_edge.artifacts import GraphManifest, Kind, OnnxModel
from sall_edge.spec import ImageSpec, Precision, Task

SIDE = 32
CHANNELS = 8
TASKS = (
    Task(name="dr", title="DR", column="dr_grade", grades=("none", "mild", "severe"), referable_from=1),
    Task(name="amd", title="AMD", column="amd_grade", grades=("none", "some"), referable_from=1),
)


def _nodes() -> list[onnx.NodeProto]:
    def node(op: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(op, inputs, [output], name=output, **attributes)

    def conv(source: str, name: str, **attributes: object) -> onnx.NodeProto:
        return node("Conv", [source, f"{name}.weight", f"{name}.bias"], name, **attributes)

    nodes = [
        node("Cast", ["image"], "pixels", to=onnx.TensorProto.FLOAT),
        node("Mul", ["pixels", "scale"], "scaled"),
        node("Transpose", ["scaled"], "planes", perm=[0, 3, 1, 2]),
        conv("planes", "stem", strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Relu", ["stem"], "stem.act"),
        conv("stem.act", "depthwise", pads=[1, 1, 1, 1], group=CHANNELS),
        node("Clip", ["depthwise", "low", "high"], "depthwise.act"),
        conv("depthwise.act", "project"),
        node("Add", ["project", "stem.act"], "first.add"),  # a convolution and the block's input
        conv("first.add", "branch", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["branch"], "branch.act"),
        conv("branch.act", "expand"),
        conv("first.add", "downsample", strides=[2, 2]),
        node("Add", ["expand", "downsample"], "second.add"),  # two convolutions, as at the start of a ResNet stage
        node("Relu", ["second.add"], "features"),
        node("GlobalAveragePool", ["features"], "averaged"),
        node("Flatten", ["averaged"], "pooled"),
    ]
    for task in TASKS:
        weights = [f"heads.{task.name}.weight", f"heads.{task.name}.bias"]
        nodes += [
            node("Gemm", ["pooled", *weights], f"heads.{task.name}", transB=1),
            node("Softmax", [f"heads.{task.name}"], f"{task.name}_probs", axis=1),
            node("Conv", ["features", f"cams.{task.name}.weight"], f"cams.{task.name}"),
            node("Squeeze", [f"cams.{task.name}", "one"], f"{task.name}_cam"),
        ]
    return nodes


def _constants(rng: np.random.Generator) -> list[onnx.TensorProto]:
    C = CHANNELS
    shapes = {
        "stem": (C, 3, 3, 3),
        "depthwise": (C, 1, 3, 3),
        "project": (C, C, 1, 1),
        "branch": (2 * C, C, 3, 3),
        "expand": (3 * C, 2 * C, 1, 1),
        "downsample": (3 * C, C, 1, 1),
    }
    values: dict[str, NDArray[np.generic]] = {
        "scale": np.full(3, 1 / 128, np.float32),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "one": np.array([1], np.int64),
    }
    for name, shape in shapes.items():
        fan_in = int(np.prod(shape[1:]))
        values[f"{name}.weight"] = rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
        values[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
    for task in TASKS:
        grades = len(task.grades)
        values[f"heads.{task.name}.weight"] = rng.normal(0, 0.3, (grades, 3 * C)).astype(np.float32)
        values[f"heads.{task.name}.bias"] = np.zeros(grades, np.float32)
        values[f"cams.{task.name}.weight"] = rng.normal(0, 0.3, (1, 3 * C, 1, 1)).astype(np.float32)
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


@pytest.fixture
def proto() -> onnx.ModelProto:
    """The tiny FP32 graph, without a manifest."""
    outputs = []
    for task in TASKS:
        outputs.append(
            helper.make_tensor_value_info(f"{task.name}_probs", onnx.TensorProto.FLOAT, ["batch", len(task.grades)])
        )
        side = SIDE // 4
        outputs.append(helper.make_tensor_value_info(f"{task.name}_cam", onnx.TensorProto.FLOAT, ["batch", side, side]))
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    graph = helper.make_graph(_nodes(), "tiny", [image], outputs, _constants(np.random.default_rng(0)))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture
def manifest() -> GraphManifest:
    """What a graph of the tiny network says of itself."""
    return GraphManifest(
        kind=Kind.ONNX,
        created="2026-01-01T00:00:00+00:00",
        image=ImageSpec(side_px=SIDE),
        tasks=TASKS,
        operating_points={"dr": 0.5, "amd": 0.5},
        precision=Precision.FP32,
    )


@pytest.fixture
def model(proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path) -> OnnxModel:
    """The tiny FP32 graph as an artefact."""
    write_graph(proto, manifest, tmp_path / "model.onnx")
    return open_onnx_model(tmp_path / "model.onnx")


@pytest.fixture
def model_on_grid(proto: onnx.ModelProto, manifest: GraphManifest, tmp_path: Path) -> OnnxModel:
    """The tiny graph with weights that INT8 stores exactly."""
    nodes = {node.name: node for node in proto.graph.node}
    layers = place(proto.graph).weights
    for initializer in proto.graph.initializer:
        if initializer.name in layers:
            quantized, scale = quantized_weights(numpy_helper.to_array(initializer), nodes[layers[initializer.name]])
            rounded = (quantized * scale.reshape(-1, 1, 1, 1)).astype(np.float32)
            initializer.CopyFrom(numpy_helper.from_array(rounded, initializer.name))
    write_graph(proto, manifest, tmp_path / "on-grid.onnx")
    return open_onnx_model(tmp_path / "on-grid.onnx")


@pytest.fixture
def squares() -> Callable[[int], list[NDArray[np.uint8]]]:
    """A maker of discs with noise on black, (SIDE, SIDE, 3) uint8, always the same ones."""

    def make(count: int) -> list[NDArray[np.uint8]]:
        rng = np.random.default_rng(5)
        y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
        disc = (x**2 + y**2 < (SIDE / 2) ** 2)[..., None]
        tones = rng.uniform(60, 200, (count, 1, 1, 3))
        pixels = tones + rng.normal(0, 15, (count, SIDE, SIDE, 3))
        return list((np.clip(pixels, 0, 255) * disc).astype(np.uint8))

    return make
