import pytest
from fakes.tiny_graph import write_fp32, write_int8

from engines.build import build_float, build_int8
from engines.targets import load_target
from sall_edge.artifacts import Engine, OnnxModel, QdqModel


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return write_fp32(tmp_path_factory.mktemp("tiny") / "model.onnx")


@pytest.fixture(scope="session")
def qdq(model: OnnxModel) -> QdqModel:
    return write_int8(model, model.path.with_name("qdq.onnx"))


@pytest.fixture(scope="session")
def fp32_engine(model: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return build_float(model, load_target("openvino-cpu"), tmp_path_factory.mktemp("fp32") / "engine")


@pytest.fixture(scope="session")
def int8_engine(model: OnnxModel, qdq: QdqModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return build_int8(model, qdq, load_target("openvino-cpu"), tmp_path_factory.mktemp("int8") / "engine")


@pytest.fixture(scope="session")
def onnxruntime_engine(model: OnnxModel, qdq: QdqModel, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return build_int8(model, qdq, load_target("onnxruntime-cpu"), tmp_path_factory.mktemp("ort") / "engine")
