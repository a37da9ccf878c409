"""The equalised graph computes the same, through streams whose channels fill one range around zero."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration.equalise import MOST_STRETCH, ChannelRange, channel_ranges, equalised, stream_tensors
from calibration.quantize import with_qdq

ROUNDING = 1e-4
"""float32: the same sums, of numbers up to `MOST_STRETCH` times larger."""

WIDTHS = np.array([20, 10, 4, 2, 1, 0.5], np.float32)
"""Of the stream's channels, and their centres alternate in sign: what per-tensor INT8 is bad at."""


def _graph(*, between: str | None = None, pads: int = 0, share: bool = False) -> onnx.ModelProto:
    """Pixels -> stem -> a; a + block(a) -> b; b + block(b) -> c; c -> last layer -> head."""
    rng = np.random.default_rng(0)
    wide, narrow = 16, len(WIDTHS)
    constants = {"ends": np.array([2, 3], np.int64), "scale": np.array(1 / 128, np.float32)}
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], name="values", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["values", "scale"], ["scaled"], name="scaled"),
        helper.make_node("Transpose", ["scaled"], ["planes"], name="planes", perm=[0, 3, 1, 2]),
    ]

    def layer(source: str, name: str, rows: int, columns: int, *, weight: str = "", **attributes: object) -> str:
        weight = weight or f"{name}.weight"
        if weight not in constants:
            constants[weight] = rng.normal(scale=columns**-0.5, size=(rows, columns, 1, 1)).astype(np.float32)
        constants[f"{name}.bias"] = rng.normal(size=rows).astype(np.float32)
        nodes.append(helper.make_node("Conv", [source, weight, f"{name}.bias"], [name], name=name, **attributes))
        return name

    def node(operator: str, inputs: list[str], name: str, **attributes: object) -> str:
        nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    stream = layer("planes", "stem", narrow, 3)
    constants["stem.weight"] *= WIDTHS.reshape(-1, 1, 1, 1)
    constants["stem.bias"] = (WIDTHS * np.array([3, -3] * 3)).astype(np.float32)
    for name in ("first", "second"):
        shared = "expand.weight" if share else ""
        inner = node(
            "Relu", [layer(stream, f"{name}.expand", wide, narrow, weight=shared, pads=[pads] * 4)], f"{name}.act"
        )
        if pads:
            inner = node("MaxPool", [inner], f"{name}.pool", kernel_shape=[3, 3])
        stream = node("Add", [stream, layer(inner, f"{name}.project", narrow, wide)], f"{name}.add")
        constants[f"{name}.project.weight"] *= WIDTHS.reshape(-1, 1, 1, 1)
        if between:
            stream = node(between, [stream], f"{name}.between")
    features = node("Relu", [layer(stream, "last", wide, narrow)], "features")
    pooled = node("ReduceMean", [features, "ends"], "pooled", keepdims=0)
    constants["head.weight"] = rng.normal(size=(3, wide)).astype(np.float32)
    constants["head.bias"] = np.zeros(3, np.float32)
    node("Gemm", [pooled, "head.weight", "head.bias"], "logits", transB=1)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 16, 16, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _squares(seed: int, count: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)


def _run(proto: onnx.ModelProto, names: list[str], squares: np.ndarray) -> list[np.ndarray]:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != "logits")
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, {"image": squares})


def _measured(proto: onnx.ModelProto) -> dict[str, ChannelRange]:
    return channel_ranges(proto, stream_tensors(proto.graph), _squares(0))


STREAM = ["stem", "first.add", "second.add"]


def test_a_stream_of_linear_bottlenecks_is_found() -> None:
    assert stream_tensors(_graph().graph) == STREAM


@pytest.mark.parametrize("share", [False, True])
def test_the_output_is_the_same(share: bool) -> None:
    graph = _graph(share=share)
    even = equalised(graph, _measured(graph))
    onnx.checker.check_model(even, full_check=True)
    assert even != graph
    before, after = (_run(proto, ["logits"], _squares(1))[0] for proto in (graph, even))
    assert np.allclose(before, after, rtol=ROUNDING, atol=ROUNDING * np.abs(before).max())


def _reach_and_centre(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    return (high - low) / 2, (high + low) / 2


def test_channels_lie_around_zero_and_are_equally_wide_over_the_stream() -> None:
    graph = _graph()
    before, after = (_run(p, STREAM, _squares(0)) for p in (graph, equalised(graph, _measured(graph))))
    for values in after:
        reach, centre = _reach_and_centre(values)
        assert np.abs(centre).max() < 0.1 * reach.max()
    was, reach = (np.max([_reach_and_centre(values)[0] for values in maps], axis=0) for maps in (before, after))
    # The narrowest channels meet the limit of the stretch.
    assert reach.max() / reach.min() < 1.2 * max(1, was.max() / was.min() / MOST_STRETCH)
    assert np.ptp(reach[was > was.max() / MOST_STRETCH]) < 0.2 * reach.max()


def test_int8_comes_closer_to_fp32() -> None:
    graph, unseen = _graph(), _squares(1, 32)
    errors = []
    for proto in (graph, equalised(graph, _measured(graph))):
        values = _run(proto, ["planes", "first.act", "second.act", *STREAM], _squares(0))
        names = ["planes", "first.act", "second.act", *STREAM]
        amax = {name: float(np.abs(value).max()) for name, value in zip(names, values, strict=True)}
        exact, rounded = (_run(p, ["logits"], unseen)[0] for p in (graph, with_qdq(proto, amax)))
        errors.append(float(((exact - rounded) ** 2).mean()))
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("graph", [_graph(between="Relu"), _graph(pads=1)])
def test_a_stream_that_cannot_take_a_shift_is_left_alone(graph: onnx.ModelProto) -> None:
    assert stream_tensors(graph.graph) == []
    assert channel_ranges(graph, [], _squares(0)) == {}
    assert equalised(graph, {"stem": ChannelRange(low=(0.0,) * 6, high=(1.0,) * 6)}) == graph


def test_a_stream_that_was_not_measured_wholly_is_left_alone() -> None:
    graph = _graph()
    measured = _measured(graph)
    del measured["first.add"]
    assert equalised(graph, measured) == graph


def test_a_channel_that_never_moves_is_no_trouble() -> None:
    graph = _graph()
    still = ChannelRange(low=(1.0,) * 6, high=(1.0,) * 6)
    assert equalised(graph, dict.fromkeys(STREAM, still)) == graph
    half = ChannelRange(low=(0.0,) * 3 + (1.0,) * 3, high=(2.0,) * 3 + (1.0,) * 3)
    before, after = (
        _run(p, ["logits"], _squares(1))[0] for p in (graph, equalised(graph, dict.fromkeys(STREAM, half)))
    )
    assert np.allclose(before, after, rtol=ROUNDING, atol=ROUNDING * np.abs(before).max())


def test_the_graph_itself_is_not_changed() -> None:
    graph = _graph()
    before = graph.SerializeToString()
    equalised(graph, _measured(graph))
    assert graph.SerializeToString() == before
