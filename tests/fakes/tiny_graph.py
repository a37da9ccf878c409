"""Graphs that keep the project's contract and compile in a blink: two convolutions, two tasks, random weights.

They stand in for an exported network. They cannot show that a real network survives INT8, or how fast anything is.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from calibration.graphs import open_onnx_model, open_qdq_model, write_graph
from sall_edge.artifacts import FEATURES, GraphManifest, Kind, OnnxModel, QdqModel
from sall_edge.fundus.labels import LabelledPhotograph
from sall_edge.spec import ImageSpec, Precision, Task

SIDE_PX = 64
CHANNELS = 32
TASKS = (
    Task(name="dr", title="Retinopathy", column="dr", grades=("none", "mild", "severe"), referable_from=1),
    Task(name="amd", title="Macula", column="amd", grades=("none", "late"), referable_from=1),
)
ACTIVATION_SCALES = {"pixels": 1 / 127, "stem_maps": 4 / 127}
WEIGHT_SCALE = 1 / 127


class _Graph:
    def __init__(self, precision: Precision) -> None:
        self.rng = np.random.default_rng(3)
        self.precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: object, dtype: type) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def rounded(self, name: str) -> str:
        """The activation through Q/DQ with a 0-d scale, when the graph is INT8."""
        if self.precision is not Precision.INT8:
            return name
        scale = self.constant(f"{name}_scale", ACTIVATION_SCALES[name], np.float32)
        zero = self.constant(f"{name}_zero", 0, np.int8)
        quantized = self.node("QuantizeLinear", [name, scale, zero], f"{name}_int8")
        return self.node("DequantizeLinear", [quantized, scale, zero], f"{name}_rounded")

    def weight(self, name: str, shape: tuple[int, ...]) -> str:
        """Random weights, per output channel through DQ when the graph is INT8."""
        integers = self.rng.integers(-127, 128, shape)
        if self.precision is not Precision.INT8:
            return self.constant(name, integers * WEIGHT_SCALE / np.sqrt(np.prod(shape[1:])), np.float32)
        scales = np.full(shape[0], WEIGHT_SCALE / np.sqrt(np.prod(shape[1:])))
        quantized = self.constant(f"{name}_int8", integers, np.int8)
        scale = self.constant(f"{name}_scale", scales, np.float32)
        zero = self.constant(f"{name}_zero", np.zeros(shape[0]), np.int8)
        return self.node("DequantizeLinear", [quantized, scale, zero], name, axis=0)


def _proto(precision: Precision) -> onnx.ModelProto:
    graph = _Graph(precision)
    values = graph.node("Cast", ["image"], "values", to=TensorProto.FLOAT)
    planes = graph.node("Transpose", [values], "planes", perm=[0, 3, 1, 2])
    scaled = graph.node("Mul", [planes, graph.constant("scale", 2 / 255, np.float32)], "scaled")
    graph.node("Sub", [scaled, graph.constant("middle", 1.0, np.float32)], "pixels")
    shape = (CHANNELS, 3, 3, 3)
    stride = {"strides": [4, 4], "pads": [1, 1, 1, 1]}
    stem = graph.node("Conv", [graph.rounded("pixels"), graph.weight("stem_weight", shape)], "stem", **stride)
    graph.node("Relu", [stem], "stem_maps")
    weight = graph.weight("body_weight", (CHANNELS, CHANNELS, 3, 3))
    body = graph.node("Conv", [graph.rounded("stem_maps"), weight], "body", pads=[1, 1, 1, 1])
    maps = graph.node("Relu", [body], "maps")
    pooled = graph.node("ReduceMean", [maps, graph.constant("axes", [2, 3], np.int64)], FEATURES, keepdims=0)
    outputs = []
    for task in TASKS:
        grades = len(task.grades)
        head = graph.constant(f"{task.name}_head", graph.rng.normal(size=(CHANNELS, grades)) * 4, np.float32)
        logits = graph.node("MatMul", [pooled, head], f"{task.name}_logits")
        graph.node("Softmax", [logits], f"{task.name}_probs", axis=1)
        map_weight = graph.constant(f"{task.name}_map", graph.rng.normal(size=(1, CHANNELS, 1, 1)), np.float32)
        cam = graph.node("Conv", [maps, map_weight], f"{task.name}_cam4")
        graph.node("Squeeze", [cam, graph.constant(f"{task.name}_axis", [1], np.int64)], f"{task.name}_cam")
        outputs.append(helper.make_tensor_value_info(f"{task.name}_probs", TensorProto.FLOAT, ["N", grades]))
        size = SIDE_PX // 4
        outputs.append(helper.make_tensor_value_info(f"{task.name}_cam", TensorProto.FLOAT, ["N", size, size]))
    outputs.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", CHANNELS]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE_PX, SIDE_PX, 3])
    made = helper.make_graph(graph.nodes, "tiny", [image], outputs, graph.constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def write_fp32(path: Path) -> OnnxModel:
    """The FP32 graph."""
    manifest = GraphManifest(
        kind=Kind.ONNX,
        image=ImageSpec(side_px=SIDE_PX),
        tasks=TASKS,
        operating_points={"dr": 0.4, "amd": 0.6},
        provenance={"made_by": "tests"},
    )
    write_graph(_proto(Precision.FP32), manifest, path)
    return open_onnx_model(path)


def write_int8(model: OnnxModel, path: Path) -> QdqModel:
    """The same graph with Q/DQ in front of both convolutions; the heads stay float."""
    changes = {"kind": Kind.QDQ, "precision": Precision.INT8, "parent_sha256": model.sha256}
    write_graph(_proto(Precision.INT8), model.manifest.model_copy(update=changes), path)
    return open_qdq_model(path)


def squares(count: int, *, seed: int) -> np.ndarray:
    """(count, side, side, 3) uint8: each of its own colour with coarse noise, so that the graph tells them apart."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 216, (count, 1, 1, 3))
    small = (colours + rng.integers(-40, 40, (count, 8, 8, 3))).astype(np.uint8)
    return small.repeat(SIDE_PX // 8, axis=1).repeat(SIDE_PX // 8, axis=2)


def labelled(count: int, *, is_labelled: bool = True) -> tuple[LabelledPhotograph, ...]:
    """Photographs that need not exist, two a patient; their grades run through all that a task has."""
    return tuple(
        LabelledPhotograph(
            path=Path(f"{n}.jpg"),
            grades={task.name: n % len(task.grades) if is_labelled else None for task in TASKS},
            patient_id=f"0:P{n // 2}",
            eye="",
            split="val",
            source_csv=Path("labels.csv"),
            extra={},
        )
        for n in range(count)
    )
