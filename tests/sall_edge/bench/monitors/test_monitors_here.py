"""Who is asked on which machine."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sall_edge.bench.monitors.here import monitors_here, monitors_of
from sall_edge.runtime.jetson import Device, Power
from sall_edge.spec import Backend

ORIN = Device(model="a board", l4t=None, chip=None, module=None, power=Power())
LIBRARY = SimpleNamespace(jtop=None)


@pytest.mark.parametrize(
    ("device", "backend", "library", "names"),
    [
        (None, Backend.OPENVINO, None, ["RAPL", "sysfs", "/proc/stat"]),
        (None, Backend.ONNXRUNTIME, LIBRARY, ["RAPL", "sysfs", "/proc/stat"]),
        (None, Backend.TENSORRT_RTX, LIBRARY, ["NVML", "RAPL", "sysfs", "/proc/stat"]),
        (None, Backend.TENSORRT, None, ["RAPL", "sysfs", "/proc/stat"]),
        (ORIN, Backend.TENSORRT, None, ["sysfs of the board", "limits of the board", "/proc/stat"]),
        (ORIN, Backend.TENSORRT, LIBRARY, ["sysfs of the board", "limits of the board", "/proc/stat"]),
        (ORIN, Backend.OPENVINO, None, ["sysfs", "sysfs of the board", "limits of the board", "/proc/stat"]),
    ],
)
def test_each_machine_has_its_sources(
    tmp_path: Path, device: Device | None, backend: Backend, library: object, names: list[str]
) -> None:
    monitors = monitors_of(device, backend, system=tmp_path, processes=tmp_path, pynvml=library, jtop=library)
    assert [source.name for source in monitors.sources] == names


def test_libraries_that_would_tell_more_are_named(tmp_path: Path) -> None:
    def silent(device: Device | None) -> dict[str, str]:
        return monitors_of(device, Backend.TENSORRT, system=tmp_path, processes=tmp_path, pynvml=None, jtop=None).silent

    assert silent(None) == {"the GPU": "NVML's binding is not installed: pip install nvidia-ml-py"}
    assert silent(ORIN) == {"jetson-stats": "not installed; the board's own files are read"}


def test_this_machine_has_sources_that_start() -> None:
    monitors = monitors_here(Backend.OPENVINO)
    for source in monitors.sources:
        source.start()
        source.read(1.0)
        source.close()
    assert monitors.sources
