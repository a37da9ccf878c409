import pytest

from engines.build import build_int8
from engines.targets import load_target
from sall_edge.artifacts import Engine, OnnxModel, QdqModel


@pytest.fixture(scope="session")
def onnxruntime_engine(model: OnnxModel, qdq: QdqModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return build_int8(model, qdq, load_target("onnxruntime-cpu"), tmp_path_factory.mktemp("ort") / "engine")
