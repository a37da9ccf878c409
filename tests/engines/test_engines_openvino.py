from pathlib import Path

import pytest

from engines.openvino import compile_graph
from sall_edge.artifacts import OnnxModel, QdqModel
from sall_edge.errors import BuildError
from sall_edge.runtime.machine import is_int8_exact

HEADS = {"dr_probs", "amd_probs"}


@pytest.mark.skipif(not is_int8_exact(), reason="this CPU has no INT8 dot products, OpenVINO may compute in float")
def test_quantized_convolutions_become_int8_and_the_heads_stay_float(qdq: QdqModel) -> None:
    compiled = compile_graph(qdq.path)
    assert compiled.kernels.int8 == 2
    assert {kernel.dtype for kernel in compiled.kernels.others} == {"fp32"}
    assert str(compiled.kernels).startswith(f"2 of {len(compiled.kernels.kernels)} convolutions INT8; ")


def test_an_fp32_graph_has_no_int8_kernel(model: OnnxModel) -> None:
    kernels = compile_graph(model.path).kernels
    assert kernels.int8 == 0
    assert len(kernels.kernels) >= 2
    assert kernels.as_json()["others"] == []
    assert str(kernels) == f"{len(kernels.kernels)} of {len(kernels.kernels)} convolutions FP32"


def test_the_blob_is_the_graph(qdq: QdqModel) -> None:
    assert compile_graph(qdq.path).blob == qdq.path.name


def test_a_graph_that_openvino_refuses_is_a_build_error(tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(BuildError, match=r"OpenVINO [\d.]+ refuses graph.onnx"):
        compile_graph(graph)
