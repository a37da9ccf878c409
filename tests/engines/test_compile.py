import sys
from pathlib import Path

import onnxruntime
import pytest
from fakes.older_bundle import install_tensorrt

from engines.compile import GRAPH_NAMES, check_compiler, compile_graph, compiler_version
from engines.targets import load_target
from sall_edge.artifacts import Engine
from sall_edge.errors import BackendMissing, BuildError
from sall_edge.runtime.openvino import library_version
from sall_edge.spec import Backend, Precision


@pytest.mark.parametrize(("target", "kernels"), [("openvino-cpu", 2), ("onnxruntime-cpu", 0)])
def test_each_target_is_compiled_by_its_own_compiler(int8_engine: Engine, target: str, kernels: int) -> None:
    manifest = int8_engine.manifest
    device = load_target(target)
    compiled = compile_graph(int8_engine.path, target=device, image=manifest.image, precision=Precision.INT8)
    assert compiled.blob == GRAPH_NAMES[Precision.INT8]
    assert compiled.kernels.int8 == kernels
    assert compiled.backend_version == compiler_version(device.backend)


def test_the_version_is_the_librarys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    assert compiler_version(Backend.TENSORRT) == "10.16.1"
    assert compiler_version(Backend.OPENVINO) == library_version()
    assert compiler_version(Backend.ONNXRUNTIME) == onnxruntime.__version__


def test_a_compiler_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tensorrt", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendMissing, match="TensorRT is not installed"):
        compiler_version(Backend.TENSORRT)
    with pytest.raises(BackendMissing, match="onnxruntime is not installed") as error:
        compiler_version(Backend.ONNXRUNTIME)
    assert error.value.fix == "pip install 'sall-edge[build]'"


def test_a_target_is_checked_before_anything_is_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_compiler(load_target("openvino-cpu"))
    with pytest.raises(BuildError, match=r"Xavier NX .* cannot be built for"):
        check_compiler(load_target("xavier-nx"))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(BackendMissing, match="TensorRT-RTX is not installed"):
        check_compiler(load_target("rtx"))


def test_every_precision_has_its_graph() -> None:
    assert set(GRAPH_NAMES) == set(Precision)
    assert all(Path(name).suffix == ".onnx" for name in GRAPH_NAMES.values())
