import importlib.util
import json

import pytest

from engines.compiled import KernelReport
from engines.kernels import NOT_NAMED, kernels_from_inspector, kernels_from_log, linear_layers
from sall_edge.artifacts import OnnxModel
from sall_edge.runtime.tensorrt_library import shared_logger

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'sall-edge[rtx]'",
)


def line(name: str, kind: str, dtype: str, layers: str, weights: str = "") -> str:
    """As TensorRT-RTX 1.7 writes it, shortened."""
    tensor = "{{ Name: {}, Dimensions: [-1,4], Datatype: {}, Format: (NHWC) Channel major format }}"
    constants = ", ".join([tensor.format("w", weights or dtype), tensor.format("b", "Float")])
    metadata = "".join(f"[ONNX Layer: {layer}]" for layer in layers.split())
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {tensor.format('x', dtype)}], Constants: [ {constants}], "
        f"Outputs: [ {tensor.format('y', 'Float')}], TacticName: t, StreamId: 0, Metadata: {metadata}"
    )


LOG = "\n".join(
    [
        "Layers:",
        "Name: __mye1_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , Metadata: ",
        line("__myl_Cast_myl0_1", "kgen", "UInt8", "stem.quantized"),
        line("stem_U2_myl0_3", "correlation", "Int8", "stem stem.quantized"),
        line("__myl_FcAddRelu_myl0_4", "runtime_fusion", "Half", "squeeze squeeze.act") + "__gemm_from_conv1x1",
        line("heads.dr+heads.amd_myl0_12", "gemm", "Float", "heads.dr heads.amd"),
        line("other_myl0_13", "correlation", "Int8", "other", weights="Half"),
        line("new_myl0_14", "correlation", "FP8", "new"),
    ]
)
LAYERS = ["stem", "squeeze", "lost", "other", "new", "heads.dr", "heads.amd"]


def pairs(report: KernelReport) -> list[tuple[str, str]]:
    return [(kernel.name, kernel.dtype) for kernel in report.kernels]


def test_kernels_stand_under_the_names_of_the_layers_that_they_compute() -> None:
    report = kernels_from_log(["Reserving memory", LOG, "Total Weights Memory: 4058276 bytes"], LAYERS)
    assert pairs(report)[:3] == [("stem", "int8"), ("squeeze", "fp16"), ("heads.dr+heads.amd", "fp32")]


def test_weights_of_another_dtype_than_the_input_are_told() -> None:
    assert ("other", "int8 with fp16 weights") in pairs(kernels_from_log([LOG], LAYERS))


def test_a_dtype_that_this_project_does_not_know_keeps_the_compilers_name() -> None:
    assert ("new", "FP8") in pairs(kernels_from_log([LOG], LAYERS))


def test_a_layer_that_no_kernel_names_does_not_vanish() -> None:
    report = kernels_from_log([LOG], LAYERS)
    assert pairs(report)[-1] == ("lost", NOT_NAMED)
    assert str(report).endswith("lost not in the log")


def test_a_log_without_layers_claims_nothing() -> None:
    assert kernels_from_log(["Engine generation completed"], LAYERS) == KernelReport()


@needs_rtx
def test_linear_layers_are_the_convolutions_and_matrix_products_of_the_graph(model: OnnxModel) -> None:
    import tensorrt_rtx

    network = tensorrt_rtx.Builder(shared_logger(tensorrt_rtx)).create_network(1)
    assert tensorrt_rtx.OnnxParser(network, shared_logger(tensorrt_rtx)).parse_from_file(str(model.path))
    heads = ["node_dr_logits", "node_dr_cam4", "node_amd_logits", "node_amd_cam4"]
    assert list(linear_layers(tensorrt_rtx, network)) == ["node_stem", "node_body", *heads]


def _layer(name: str, kind: str, **tensor: object) -> dict[str, object]:
    return {"Name": name, "LayerType": kind, "Inputs": [{"Name": "x", "Dimensions": [1, 8, 4, 4], **tensor}]}


def test_kernels_are_read_from_the_inspector_of_every_version() -> None:
    """Layer types and formats as NVIDIA's developer guide prints them, and as newer versions write them."""
    eight_bit = "Thirty-two wide channel vectorized row major Int8 format."
    layers = [
        "a layer of which only the name is kept",
        {"Name": "weights", "LayerType": "Constant", "Inputs": []},
        {"Name": "no inputs", "LayerType": "CaskConvolution", "Inputs": []},
        _layer("stem + relu", "CaskConvolution", **{"Format/Datatype": eight_bit}),
        _layer("pool", "CaskPooling", **{"Format/Datatype": eight_bit}),
        _layer("head", "CaskGemmConvolution", **{"Format/Datatype": "Row major linear FP16 format"}),
        _layer("__myl_Fc_myl0_4", "gemm", Datatype="Float", Format="N/A")
        | {"Metadata": "[ONNX Layer: product]\x1e[ONNX Layer: act]"},
        _layer("fused", "kgen", Datatype="Half"),
    ]
    wanted = ["stem", "head", "product", "pool", "lost"]
    report = kernels_from_inspector(json.dumps({"Layers": layers, "Bindings": ["image"]}), wanted)
    assert pairs(report) == [
        ("stem", "int8"),
        ("head", "fp16"),
        ("product", "fp32"),
        ("pool", NOT_NAMED),
        ("lost", NOT_NAMED),
    ]


def test_a_plan_without_details_claims_nothing() -> None:
    report = kernels_from_inspector(json.dumps({"Layers": ["stem", "head"], "Bindings": []}), ["stem"])
    assert report.kernels == ()
