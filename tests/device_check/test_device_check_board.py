import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.device_check import board
from benchmarks.device_check.board import sensors, target_here
from sall_edge.errors import BackendMissing
from sall_edge.runtime.cuda import GpuFacts
from sall_edge.spec import Backend, Precision

RTX = GpuFacts(name="RTX 4000", compute_capability="8.9", multiprocessors=48, is_integrated=False)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with an RTX card and PyCUDA, as far as the module asks."""
    monkeypatch.setattr(board, "describe_gpu", lambda: RTX)
    monkeypatch.setattr(board, "read_device", lambda: None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", SimpleNamespace())
    monkeypatch.setattr(board, "library", lambda backend: None)
    return monkeypatch


def test_a_jetson_builds_for_its_own_target(card: pytest.MonkeyPatch) -> None:
    card.setattr(board, "read_device", lambda: SimpleNamespace(target="orin-nx"))
    assert target_here().name == "orin-nx"


def test_a_card_with_tensorrt_gets_a_target_for_its_compute_capability(card: pytest.MonkeyPatch) -> None:
    target = target_here()
    assert (target.backend, target.compute_capabilities, target.title) == (Backend.TENSORRT, ("8.9",), "RTX 4000")
    assert target.precisions == tuple(Precision)


def test_a_card_without_tensorrt_takes_rtx_for_itself_alone(card: pytest.MonkeyPatch) -> None:
    def library(backend: Backend) -> None:
        if backend is Backend.TENSORRT:
            raise BackendMissing("TensorRT is not installed", "no module", "pip")

    card.setattr(board, "library", library)
    target = target_here()
    assert (target.backend, target.compute_capabilities) == (Backend.TENSORRT_RTX, ("8.9",))


def test_without_pycuda_nothing_can_run_and_the_remedy_is_told(card: pytest.MonkeyPatch) -> None:
    card.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(BackendMissing, match="PyCUDA is not installed") as error:
        target_here()
    assert "nvcc has to be on the PATH" in error.value.fix


def test_temperatures_are_read_in_degrees_and_a_dead_zone_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for number, (name, value) in enumerate([("gpu-thermal", "43500"), ("dead", None)]):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(f"{name}\n")
        if value:
            (zone / "temp").write_text(f"{value}\n")
    assert sensors(thermal=tmp_path) == {"celsius": {"gpu-thermal": 43.5}}


def test_tegrastats_which_never_ends_and_nvidia_smi_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "_TEGRASTATS_S", 0.5)
    for name, script in (
        ("tegrastats", "echo first; echo VDD_IN 4500mW; exec /bin/sleep 60"),
        ("nvidia-smi", "echo 'temperature.gpu, power.draw [W]'; echo '41, 12.50 W'"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = sensors(thermal=tmp_path)
    assert found["tegrastats"] == "VDD_IN 4500mW"
    assert found["nvidia_smi"] == {"temperature.gpu": "41", "power.draw [W]": "12.50 W"}
