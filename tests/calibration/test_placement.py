import onnx
import pytest

from calibration.placement import is_head, place, topology
from sall_edge.errors import CalibrationError


def test_backbone_convolutions_are_quantized_and_heads_are_not(proto: onnx.ModelProto) -> None:
    placement = place(proto.graph)
    assert placement.layers == ("stem", "depthwise", "project", "branch", "expand", "downsample")
    assert placement.weights == {f"{layer}.weight": layer for layer in placement.layers}


def test_activations_are_what_layers_read_and_the_shortcuts(proto: onnx.ModelProto) -> None:
    # `downsample` is the shortcut of the second addition, the shallower of two convolutions.
    assert sorted(place(proto.graph).activations) == [
        "branch.act", "depthwise.act", "downsample", "first.add", "planes", "stem.act",
    ]  # fmt: skip


def test_the_branch_of_a_residual_addition_stays_bare(proto: onnx.ModelProto) -> None:
    assert not {"project", "expand"} & set(place(proto.graph).activations)


def test_a_shortcut_that_layers_do_not_read_is_quantized_too(proto: onnx.ModelProto) -> None:
    nodes = {node.name: node for node in proto.graph.node}
    nodes["first.add"].input[1] = "stem.act.copy"
    copy = onnx.helper.make_node("Sqrt", ["stem.act"], ["stem.act.copy"], name="stem.act.copy")
    proto.graph.node.insert(5, copy)
    assert "stem.act.copy" in place(proto.graph).activations


def test_layers_that_stay_float_are_left_out(proto: onnx.ModelProto) -> None:
    placement = place(proto.graph, keep_float=["stem"])
    assert "stem" not in placement.layers
    assert "planes" not in placement.activations


def test_an_unknown_layer_cannot_stay_float(proto: onnx.ModelProto) -> None:
    with pytest.raises(CalibrationError, match=r"no layer steem[\s\S]*stem, depthwise"):
        place(proto.graph, keep_float=["steem"])


def test_a_graph_of_heads_has_nothing_to_quantize(proto: onnx.ModelProto) -> None:
    layers = place(proto.graph).layers
    with pytest.raises(CalibrationError, match="nothing to quantize"):
        place(proto.graph, keep_float=layers)


def test_heads_are_the_layers_that_no_layer_follows(proto: onnx.ModelProto) -> None:
    connections = topology(proto.graph)
    heads = {node.name for node in proto.graph.node if node.op_type in ("Conv", "Gemm") and is_head(node, connections)}
    assert heads == {"heads.dr", "heads.amd", "cams.dr", "cams.amd"}
