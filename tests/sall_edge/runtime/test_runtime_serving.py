import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.older_bundle import install_device, install_tensorrt, older, tensorrt_bundle
from fakes.tiny_graph import squares

from sall_edge.artifacts import Engine, open_engine
from sall_edge.errors import ArtefactChanged, ArtefactForeign, ArtefactMissing, BackendMissing, DeviceFailed
from sall_edge.runtime import tensorrt
from sall_edge.runtime.serving import open_serving
from sall_edge.runtime.session import ServedBy, open_reference, open_session
from sall_edge.spec import Backend, Precision


@pytest.fixture
def plan(int8_engine: Engine, tmp_path: Path) -> Engine:
    """Written by TensorRT 10.3.0."""
    return tensorrt_bundle(int8_engine, tmp_path / "engine")


def test_an_engine_that_runs_serves_itself_and_nothing_is_told(int8_engine: Engine) -> None:
    session, stand_in = open_serving(int8_engine, threads=1)
    with session:
        assert stand_in is None
        assert session.served_by == ServedBy(backend=Backend.OPENVINO, precision=Precision.INT8)


def test_for_a_plan_of_another_version_the_cpu_serves_and_says_why_and_what_ends_it(
    plan: Engine, int8_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    photographs = squares(3, seed=4)
    session, stand_in = open_serving(plan)
    with session, open_reference(int8_engine) as reference:
        got, wanted = session.run_batch(photographs), reference.run_batch(photographs)
    np.testing.assert_array_equal(got.probs["dr"], wanted.probs["dr"])
    assert stand_in is not None
    assert stand_in.is_stale
    assert stand_in.remedy == f"sall-edge rebuild {plan.path}"
    assert "was compiled by tensorrt 10.3.0: this machine has 10.16.1" in stand_in.because
    because = stand_in.because
    assert session.served_by == ServedBy(backend=Backend.OPENVINO, precision=Precision.FP32, because=because)
    told = str(stand_in)
    assert told == f"the CPU serves with the FP32 graph, because {because}; remedy: sall-edge rebuild {plan.path}"
    assert "\n" not in told


def test_for_a_missing_tensorrt_or_driver_the_cpu_serves_and_says_what_to_install(
    plan: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    session, stand_in = open_serving(plan)
    session.close()
    assert stand_in is not None
    assert not stand_in.is_stale
    assert stand_in.because.startswith("TensorRT is not installed: ")
    assert "--system-site-packages" in stand_in.remedy

    def no_driver() -> None:
        raise BackendMissing("the CUDA driver is not on this machine", "no library", "install JetPack")

    install_tensorrt(monkeypatch, "10.3.0")
    monkeypatch.setattr(tensorrt, "require_driver", no_driver)
    session, stand_in = open_serving(plan)
    session.close()
    assert stand_in is not None
    assert (stand_in.because, stand_in.remedy, stand_in.is_stale) == (
        "the CUDA driver is not on this machine: no library",
        "install JetPack",
        False,
    )


def test_a_plan_of_the_right_version_that_cannot_be_read_is_rebuilt_by_force(
    plan: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_device(monkeypatch, "10.3.0")

    def open_runner(*arguments: object, **options: object) -> None:
        raise ArtefactForeign("TensorRT 10.3.0 cannot read the plan", "made for another GPU", "build it again")

    monkeypatch.setattr(tensorrt, "open_runner", open_runner)
    session, stand_in = open_serving(plan)
    session.close()
    assert stand_in is not None
    assert stand_in.remedy == f"sall-edge rebuild {plan.path} --force"


def test_for_a_gpu_without_memory_the_cpu_serves_and_no_rebuild_is_asked_for(
    plan: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_device(monkeypatch, "10.3.0")

    def open_runner(*arguments: object, **options: object) -> None:
        raise DeviceFailed("TensorRT 10.3.0 cannot create an execution context", "no memory", "free GPU memory")

    monkeypatch.setattr(tensorrt, "open_runner", open_runner)
    session, stand_in = open_serving(plan)
    session.close()
    assert stand_in is not None
    assert (stand_in.remedy, stand_in.is_stale) == ("free GPU memory", False)


def test_a_device_with_the_right_version_runs_the_plan(plan: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    install_device(monkeypatch, "10.3.0")
    session, stand_in = open_serving(plan)
    with session:
        assert stand_in is None
        assert session.served_by == ServedBy(backend=Backend.TENSORRT, precision=Precision.INT8)


def test_nothing_stands_in_for_other_pixels_even_where_the_version_is_another_too(
    plan: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    moved = tuple((value + 40) % 256 for value in plan.manifest.golden_square)
    target = plan.manifest.target
    other = older(plan, tmp_path / "moved", golden_square=moved, target=target)
    with pytest.raises(ArtefactForeign, match="prepare"):
        open_serving(other)


def test_nothing_stands_in_for_a_damaged_bundle(plan: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    (plan.path / plan.manifest.blob).write_bytes(b"cut short")
    with pytest.raises(ArtefactChanged):
        open_serving(open_engine(plan.path))
    (plan.path / plan.manifest.blob).unlink()
    with pytest.raises(ArtefactMissing):
        open_serving(open_engine(plan.path))


def test_nothing_stands_in_for_an_engine_of_the_cpu(int8_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*arguments: object, **options: object) -> None:
        raise ArtefactForeign("OpenVINO 1 cannot compile qdq.onnx", "an operator", "another version")

    monkeypatch.setattr("sall_edge.runtime.openvino.open_runner", refuses)
    with pytest.raises(ArtefactForeign, match="cannot compile"):
        open_serving(int8_engine)


def test_who_measures_is_still_refused(plan: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tensorrt(monkeypatch, "10.16.1")
    with pytest.raises(ArtefactForeign, match=r"was compiled by tensorrt 10\.3\.0"):
        open_session(plan)
