"""NVML by a module that answers from a script. It cannot show what a GPU or its driver answers."""

from types import SimpleNamespace

import pytest

from sall_edge.bench.monitors.nvml import Nvml


class _NvmlError(Exception):
    """As `pynvml.NVMLError`: the base of all its errors."""


class _Pynvml:
    """Has the functions and constants of nvidia-ml-py that are called; a value that is None is not supported."""

    NVMLError = _NvmlError
    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM = 0, 1

    def __init__(self, **values: float | None) -> None:
        self.values = {"energy": 0.0, "power": 30_000, "temperature": 60, "clock": 1500, "reasons": 0, "load": 99}
        self.values |= values
        self.count, self.opened, self.closed = 1, 0, 0

    def _answer(self, name: str) -> float:
        value = self.values[name]
        if value is None:
            raise _NvmlError("Not Supported")
        return value

    def nvmlInit(self) -> None:  # noqa: N802 NVML's name
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.closed += 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        return f"GPU {index}"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.count

    def nvmlDeviceGetTotalEnergyConsumption(self, device: str) -> float:  # noqa: N802
        return self._answer("energy")

    def nvmlDeviceGetPowerUsage(self, device: str) -> float:  # noqa: N802
        return self._answer("power")

    def nvmlDeviceGetTemperature(self, device: str, sensor: int) -> float:  # noqa: N802
        return self._answer("temperature")

    def nvmlDeviceGetClockInfo(self, device: str, clock: int) -> float:  # noqa: N802
        return self._answer("clock")

    def nvmlDeviceGetCurrentClocksEventReasons(self, device: str) -> float:  # noqa: N802
        return self._answer("reasons")

    def nvmlDeviceGetUtilizationRates(self, device: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=self._answer("load"), memory=0)


def _started(library: _Pynvml) -> Nvml:
    nvml = Nvml(library)
    nvml.start()
    return nvml


def test_power_is_the_energy_since_the_last_reading_where_the_gpu_counts_it() -> None:
    library = _Pynvml()
    nvml = _started(library)
    library.values["energy"] = 90_000.0
    seen = nvml.read(2.0)
    assert (seen.power_w, seen.temperature_c, seen.clock_mhz, seen.load) == (45.0, 60.0, 1500.0, 0.99)
    assert (nvml.power_of, nvml.silent, nvml.slowed()) == ("GPU board", {}, ())


def test_an_older_gpu_tells_the_power_of_the_moment() -> None:
    nvml = _started(_Pynvml(energy=None))
    assert nvml.read(2.0).power_w == 30.0
    assert nvml.silent == {}


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x20, "heat, by the driver"),
        (0x40, "heat, by the hardware"),
        (0x04, "its power limit"),
        (0x08, "a hardware slowdown (heat, power brake or power supply)"),
        (0x80, "the power brake of the board"),
    ],
)
def test_what_slows_the_gpu_is_counted_by_reading(bits: int, words: str) -> None:
    library = _Pynvml(reasons=bits)
    nvml = _started(library)
    nvml.read(1.0)
    library.values["reasons"] = 0
    nvml.read(1.0)
    assert nvml.slowed() == (f"the GPU was slowed by {words} in 1 of 2 readings",)


@pytest.mark.parametrize("bits", [0x1, 0x2, 0x10, 0x100])
def test_idling_and_clocks_that_were_set_are_no_throttling(bits: int) -> None:
    nvml = _started(_Pynvml(reasons=bits))
    nvml.read(1.0)
    assert nvml.slowed() == ()


def test_what_a_gpu_does_not_support_is_said_and_left_empty() -> None:
    nvml = _started(_Pynvml(energy=None, power=None, clock=None, reasons=None))
    seen = nvml.read(1.0)
    assert (seen.power_w, seen.clock_mhz, seen.temperature_c) == (None, None, 60.0)
    assert nvml.power_of == ""
    assert nvml.silent == dict.fromkeys(
        ("power of the GPU", "clock of the GPU", "throttling of the GPU"), "NVML: Not Supported"
    )


def test_a_machine_without_the_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    library = _Pynvml()

    def refuse() -> None:
        raise _NvmlError("NVML Shared Library Not Found")

    monkeypatch.setattr(library, "nvmlInit", refuse)
    nvml = _started(library)
    assert nvml.read(1.0).power_w is None
    nvml.close()
    assert nvml.silent == {"the GPU": "NVML does not start: NVML Shared Library Not Found"}
    assert (nvml.tells, library.closed) == (False, 0)


def test_several_gpus_are_said_since_cuda_may_count_them_otherwise() -> None:
    library = _Pynvml()
    library.count = 3
    assert _started(library).silent == {"the other GPUs": "there are 3; the first that NVML counts is read"}


def test_the_library_is_closed() -> None:
    library = _Pynvml()
    _started(library).close()
    assert (library.opened, library.closed) == (1, 1)


def test_the_real_binding_has_what_is_called() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    missing = [name for name in vars(_Pynvml) if name.startswith(("nvml", "NVML")) and not hasattr(pynvml, name)]
    assert missing == []
