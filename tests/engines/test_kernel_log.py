from pathlib import Path

from engines.compiled import KernelReport
from engines.kernel_log import NOT_NAMED, kernels_from_log, linear_layers
from sall_edge.artifacts import OnnxModel


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


def test_linear_layers_are_the_convolutions_and_matrix_products_of_the_graph(model: OnnxModel) -> None:
    heads = ["node_dr_logits", "node_dr_cam4", "node_amd_logits", "node_amd_cam4"]
    assert list(linear_layers(Path(model.path))) == ["node_stem", "node_body", *heads]
