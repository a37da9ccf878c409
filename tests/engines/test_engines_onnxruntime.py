from pathlib import Path

import pytest

from engines.onnxruntime import compile_graph
from sall_edge.artifacts import QdqModel
from sall_edge.errors import BuildError


def test_the_blob_is_the_graph_and_no_kernel_is_claimed(qdq: QdqModel) -> None:
    compiled = compile_graph(qdq.path)
    assert compiled.blob == qdq.path.name
    assert str(compiled.kernels) == "the compiler does not tell which convolutions are INT8"


def test_a_graph_that_it_refuses_is_a_build_error(tmp_path: Path) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(BuildError, match=r"ONNX Runtime [\d.]+ refuses graph.onnx"):
        compile_graph(graph)
