import json

from engines.kernels import kernels_from_inspector, kernels_from_log

LAYER = (
    "Name: {}, LayerType: {}, Inputs: [ {{ Name: a, Dimensions: [-1,4], Datatype: {}, Format: x }}], Constants: [ {{ \
Name: w, Dimensions: [4], Datatype: Float, Format: x }}], Outputs: []"
)
LOG = "\n".join(
    [
        "Layers:",
        "Name: __mye1_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , Metadata: ",
        LAYER.format("__myl_Cast_myl0_1", "kgen", "UInt8"),
        LAYER.format("node_stem_myl0_3", "correlation", "Int8"),
        LAYER.format("node_head_myl0_12", "gemm", "Float"),
        LAYER.format("node_half_myl0_13", "correlation", "Half"),
        LAYER.format("node_new_myl0_14", "correlation", "FP8"),
    ]
)


def test_kernels_are_read_from_the_verbose_log() -> None:
    report = kernels_from_log(["Reserving memory", LOG, "Total Weights Memory: 4058276 bytes"])
    found = [(kernel.name, kernel.dtype) for kernel in report.kernels]
    assert found == [("node_stem", "int8"), ("node_head", "fp32"), ("node_half", "fp16"), ("node_new", "FP8")]
    assert str(report) == "1 of 4 convolutions INT8; node_head fp32, node_half fp16, node_new FP8"
    assert report.as_json()["others"][0] == {"name": "node_head", "dtype": "fp32"}


def test_a_log_without_layers_claims_nothing() -> None:
    report = kernels_from_log(["Engine generation completed"])
    assert report.kernels == ()
    assert str(report) == "the compiler does not tell which convolutions are INT8"


def _layer(name: str, kind: str, **tensor: object) -> dict[str, object]:
    return {"Name": name, "LayerType": kind, "Inputs": [{"Name": "x", "Dimensions": [1, 8, 4, 4], **tensor}]}


def test_kernels_are_read_from_the_inspector_of_every_version() -> None:
    """Layer types and formats as NVIDIA's developer guide prints them, and as newer versions write them."""
    eight_bit = "Thirty-two wide channel vectorized row major Int8 format."
    layers = [
        "a layer of which only the name is kept",
        {"Name": "weights", "LayerType": "Constant", "Inputs": []},
        {"Name": "no inputs", "LayerType": "CaskConvolution", "Inputs": []},
        _layer("stem", "CaskConvolution", **{"Format/Datatype": eight_bit}),
        _layer("pool", "CaskPooling", **{"Format/Datatype": eight_bit}),
        _layer("head", "CaskGemmConvolution", **{"Format/Datatype": "Row major linear FP16 format"}),
        _layer("product", "gemm", Datatype="Float", Format="N/A"),
        _layer("fused", "kgen", Datatype="Half"),
    ]
    report = kernels_from_inspector(json.dumps({"Layers": layers, "Bindings": ["image"]}))
    found = [(kernel.name, kernel.dtype) for kernel in report.kernels]
    assert found == [("stem", "int8"), ("head", "fp16"), ("product", "fp32")]


def test_a_plan_without_details_claims_nothing() -> None:
    report = kernels_from_inspector(json.dumps({"Layers": ["stem", "head"], "Bindings": []}))
    assert report.kernels == ()
