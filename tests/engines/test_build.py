import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_graph import SIDE_PX, TASKS, squares

import engines.build
from engines.build import build_float, build_int8
from engines.smoke import SMOKE_SQUARES, TOLERANCES
from engines.targets import load_target
from sall_edge.artifacts import Engine, OnnxModel, QdqModel, open_engine
from sall_edge.errors import (
    ArtefactChanged,
    ArtefactForeign,
    ArtefactMissing,
    BackendMissing,
    BuildError,
    OutputError,
    ParityError,
)
from sall_edge.runtime.session import open_session
from sall_edge.spec import Precision

INT8_FILES = ("manifest.json", "model.onnx", "qdq.onnx", "signature")


def test_a_bundle_comes_back_as_it_was_built(int8_engine: Engine, model: OnnxModel, qdq: QdqModel) -> None:
    engine = open_engine(int8_engine.path)
    assert engine == int8_engine
    manifest = engine.manifest
    assert manifest.precision is Precision.INT8
    assert manifest.target == load_target("openvino-cpu")
    assert manifest.image.side_px == SIDE_PX
    assert manifest.tasks == TASKS
    assert manifest.operating_points == {"dr": 0.4, "amd": 0.6}
    assert manifest.parent_sha256 == qdq.sha256
    assert manifest.files["model.onnx"] == model.sha256
    assert manifest.blob == "qdq.onnx"
    assert len(manifest.golden_square) > 0


def test_a_bundle_says_how_it_was_made(int8_engine: Engine) -> None:
    provenance = int8_engine.manifest.provenance
    assert provenance["graph"] == {"made_by": "tests"}
    assert provenance["machine"]["versions"]["openvino"].startswith(int8_engine.manifest.backend_version)
    assert provenance["build_s"] > 0
    assert provenance["kernels"]["int8"] == 2
    assert provenance["smoke"]["squares"] == SMOKE_SQUARES


def test_an_fp32_bundle_holds_one_graph_and_no_int8_kernel(fp32_engine: Engine) -> None:
    assert {file.name for file in fp32_engine.path.iterdir()} == {"manifest.json", "model.onnx", "signature"}
    assert fp32_engine.manifest.provenance["kernels"]["int8"] == 0
    assert fp32_engine.manifest.provenance["smoke"]["largest_difference_from_fp32"] < TOLERANCES[Precision.FP32]


def test_every_file_of_a_bundle_is_among_those_that_are_tampered_with_below(int8_engine: Engine) -> None:
    assert sorted(file.name for file in int8_engine.path.iterdir()) == sorted(INT8_FILES)


@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", INT8_FILES)
def test_a_changed_byte_in_any_file_is_refused(int8_engine: Engine, tmp_path: Path, name: str, place: float) -> None:
    copy = tmp_path / "engine"
    shutil.copytree(int8_engine.path, copy)
    content = bytearray((copy / name).read_bytes())
    content[int(len(content) * place)] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArtefactChanged):
        open_engine(copy)


@pytest.mark.parametrize("name", INT8_FILES)
def test_a_missing_file_is_refused(int8_engine: Engine, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "engine"
    shutil.copytree(int8_engine.path, copy)
    (copy / name).unlink()
    with pytest.raises(ArtefactMissing, match=name):
        open_engine(copy)


def test_a_file_that_the_manifest_does_not_name_is_refused(int8_engine: Engine, tmp_path: Path) -> None:
    copy = tmp_path / "engine"
    shutil.copytree(int8_engine.path, copy)
    (copy / "extra.onnx").write_bytes(b"")
    with pytest.raises(ArtefactChanged, match=r"extra\.onnx"):
        open_engine(copy)


def test_an_engine_of_another_format_version_is_refused(int8_engine: Engine, tmp_path: Path) -> None:
    copy = tmp_path / "engine"
    shutil.copytree(int8_engine.path, copy)
    content = json.loads((copy / "manifest.json").read_text())
    text = json.dumps(content | {"format_version": 2})
    (copy / "manifest.json").write_text(text)
    (copy / "signature").write_text(json.dumps({"manifest_sha256": hashlib.sha256(text.encode()).hexdigest()}))
    with pytest.raises(ArtefactForeign, match="has format 2"):
        open_engine(copy)


def test_int8_from_another_graphs_qdq_is_refused(model: OnnxModel, qdq: QdqModel, tmp_path: Path) -> None:
    stranger = type(qdq)(
        path=qdq.path, manifest=qdq.manifest.model_copy(update={"parent_sha256": "0" * 64}), sha256=qdq.sha256
    )
    with pytest.raises(BuildError, match=r"is not the quantized model\.onnx"):
        build_int8(model, stranger, load_target("openvino-cpu"), tmp_path / "engine")
    assert not list(tmp_path.iterdir())


def test_a_precision_that_the_target_lacks_is_refused(model: OnnxModel, qdq: QdqModel, tmp_path: Path) -> None:
    fp32_only = load_target("openvino-cpu").model_copy(update={"precisions": (Precision.FP32,)})
    with pytest.raises(BuildError, match="does not compute int8"):
        build_int8(model, qdq, fp32_only, tmp_path / "engine")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_leaves_nothing(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupt(engine: Engine) -> None:
        assert (engine.path / "model.onnx").is_file()
        raise error

    monkeypatch.setattr(engines.build, "smoke", interrupt)
    with pytest.raises(error):
        build_float(model, load_target("openvino-cpu"), tmp_path / "engine")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_build_leaves_the_old_engine(
    model: OnnxModel, fp32_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(fp32_engine.path, tmp_path / "engine")
    monkeypatch.setattr(engines.build, "smoke", lambda engine: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_float(model, load_target("openvino-cpu"), tmp_path / "engine")
    assert open_engine(tmp_path / "engine").sha256 == fp32_engine.sha256
    assert [file.name for file in tmp_path.iterdir()] == ["engine"]


def test_a_second_build_replaces_the_first(model: OnnxModel, fp32_engine: Engine, tmp_path: Path) -> None:
    shutil.copytree(fp32_engine.path, tmp_path / "engine")
    rebuilt = build_float(model, load_target("onnxruntime-cpu"), tmp_path / "engine")
    assert open_engine(tmp_path / "engine").manifest.target.name == "onnxruntime-cpu"
    assert rebuilt.sha256 != fp32_engine.sha256


def test_a_folder_that_is_no_engine_is_never_replaced(model: OnnxModel, tmp_path: Path) -> None:
    (tmp_path / "photograph.jpg").write_bytes(b"the only copy")
    with pytest.raises(OutputError, match="is not an engine"):
        build_float(model, load_target("openvino-cpu"), tmp_path)
    assert (tmp_path / "photograph.jpg").read_bytes() == b"the only copy"


def test_a_graph_that_changed_since_it_was_opened_is_refused(model: OnnxModel, tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(model.path.read_bytes() + b"\0")
    changed = OnnxModel(path=other, manifest=model.manifest, sha256=model.sha256)
    with pytest.raises(ArtefactChanged, match="changed"):
        build_float(changed, load_target("openvino-cpu"), tmp_path / "engine")


def test_a_graph_that_has_gone_is_named(model: OnnxModel, tmp_path: Path) -> None:
    gone = OnnxModel(path=tmp_path / "gone.onnx", manifest=model.manifest, sha256=model.sha256)
    with pytest.raises(ArtefactMissing, match=r"gone\.onnx"):
        build_float(gone, load_target("openvino-cpu"), tmp_path / "engine")


@pytest.mark.parametrize("target", ["openvino-cpu", "onnxruntime-cpu"])
def test_an_engine_that_does_not_compute_its_graph_is_not_sealed(
    model: OnnxModel, qdq: QdqModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setitem(TOLERANCES, Precision.FP32, -1.0)
    with pytest.raises(ParityError, match="does not compute what its graph says"):
        build_float(model, load_target(target), tmp_path / "engine")
    assert not list(tmp_path.iterdir())
    build_int8(model, qdq, load_target(target), tmp_path / "engine")  # INT8 may differ: the gate judges it, with data


def test_a_jetson_target_says_what_this_machine_lacks(
    model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.tensorrt_device.require_driver", _no_driver)
    with pytest.raises(BackendMissing) as error:
        build_float(model, load_target("orin-nano"), tmp_path / "engine")
    assert error.value.what == "target orin-nano cannot be built on this machine"
    assert "the CUDA driver is not on this machine" in error.value.why
    assert "build on the Jetson Orin Nano (4 or 8 GB) itself" in error.value.fix
    assert not list(tmp_path.iterdir())


def _no_driver() -> None:
    raise BackendMissing("the CUDA driver is not on this machine", "no library", "install it")


def test_the_xavier_target_is_refused_for_what_it_is(model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"compute capability 7\.2 ends at TensorRT 8\.5"):
        build_float(model, load_target("xavier-nx"), tmp_path / "engine")


def test_int8_and_fp32_engines_of_one_network_are_close_and_not_equal(fp32_engine: Engine, int8_engine: Engine) -> None:
    photographs = squares(8, seed=5)
    with open_session(fp32_engine) as exact, open_session(int8_engine) as rounded:
        wanted, got = exact.run_batch(photographs).probs["dr"], rounded.run_batch(photographs).probs["dr"]
    largest = np.abs(wanted - got).max()
    assert 1e-6 < largest < 0.1  # eight-bit rounding of a two-layer network; a float fallback would be below


def test_a_precision_and_the_graph_of_another_are_a_mistake_of_the_caller(
    model: OnnxModel, qdq: QdqModel, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="call build_float"):
        build_int8(model, qdq, load_target("openvino-cpu"), tmp_path / "engine", precision=Precision.FP16)
    with pytest.raises(ValueError, match="call build_int8"):
        build_float(model, load_target("openvino-cpu"), tmp_path / "engine", precision=Precision.INT8)


def test_fp16_on_a_cpu_target_is_refused(model: OnnxModel, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="target openvino-cpu does not compute fp16"):
        build_float(model, load_target("openvino-cpu"), tmp_path / "engine", precision=Precision.FP16)


def test_an_fp16_engine_computes_the_graph(model: OnnxModel, tmp_path: Path) -> None:
    """OpenVINO stands in for a GPU: it takes the FP16 graph and rounds its weights, but computes in FP32."""
    target = load_target("openvino-cpu").model_copy(update={"precisions": (Precision.FP16,)})
    engine = build_float(model, target, tmp_path / "engine", precision=Precision.FP16)
    assert engine.manifest.blob == "fp16.onnx"
    assert engine.manifest.files["model.onnx"] == model.sha256
    difference = engine.manifest.provenance["smoke"]["largest_difference_from_fp32"]
    assert 0 < difference < TOLERANCES[Precision.FP16]
