"""A GPU in a PC, through NVIDIA's management library (docs.nvidia.com/deploy/nvml-api; binding: nvidia-ml-py, BSD)."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sall_edge.bench.monitors.monitor import Seen

__all__ = ["Nvml"]

REASONS = {
    0x0004: "its power limit",
    0x0008: "a hardware slowdown (heat, power brake or power supply)",
    0x0020: "heat, by the driver",
    0x0040: "heat, by the hardware",
    0x0080: "the power brake of the board",
}
"""Bits of nvmlClocksEventReasons that mean a clock below what was asked for; idle and set clocks are not among them."""


class Nvml:
    """The first GPU that NVML counts, which need not be the one that CUDA counts first.

    Args:
        library: The module `pynvml`.
    """

    name = "NVML"

    def __init__(self, library: Any) -> None:
        self.silent: dict[str, str] = {}
        self.power_of = ""
        self._library = library
        self._is_open = False
        self._device: Any = None
        self._energy_mj: float | None = None
        self._readings = 0
        self._reasons: Counter[int] = Counter()

    @property
    def tells(self) -> bool:
        """Whether NVML has started."""
        return self._device is not None

    def start(self) -> None:
        """Opens the library."""
        try:
            self._library.nvmlInit()
            self._is_open = True
            self._device = self._library.nvmlDeviceGetHandleByIndex(0)
            count = int(self._library.nvmlDeviceGetCount())
        except self._library.NVMLError as cause:
            self.silent["the GPU"] = f"NVML does not start: {cause}"
            return
        if count > 1:
            self.silent["the other GPUs"] = f"there are {count}; the first that NVML counts is read"
        self._energy_mj = self._number("nvmlDeviceGetTotalEnergyConsumption", named="")
        power = self._number("nvmlDeviceGetPowerUsage")
        self.power_of = "GPU board" if power is not None else ""

    def read(self, elapsed_s: float) -> Seen:
        """The GPU now; power is exact where the GPU counts its energy (Volta and later), else of this moment."""
        if self._device is None:
            return Seen()
        library = self._library
        self._readings += 1
        reasons = self._number("nvmlDeviceGetCurrentClocksEventReasons", named="throttling of the GPU")
        self._reasons.update(bit for bit in REASONS if int(reasons or 0) & bit)
        load = self._asked(lambda: library.nvmlDeviceGetUtilizationRates(self._device).gpu, "load of the GPU")
        sensor, clock = library.NVML_TEMPERATURE_GPU, library.NVML_CLOCK_SM
        return Seen(
            temperature_c=self._number("nvmlDeviceGetTemperature", sensor, named="temperature of the GPU"),
            clock_mhz=self._number("nvmlDeviceGetClockInfo", clock, named="clock of the GPU"),
            power_w=self._power_w(elapsed_s),
            load=None if load is None else load / 100,
        )

    def slowed(self) -> tuple[str, ...]:
        """Why clocks were below what was asked for, and in how many readings."""
        return tuple(
            f"the GPU was slowed by {REASONS[bit]} in {count} of {self._readings} readings"
            for bit, count in sorted(self._reasons.items())
        )

    def close(self) -> None:
        """Closes the library."""
        if self._is_open:
            self._library.nvmlShutdown()

    def _power_w(self, elapsed_s: float) -> float | None:
        before = self._energy_mj
        if before is not None:
            self._energy_mj = self._number("nvmlDeviceGetTotalEnergyConsumption", named="")
            if self._energy_mj is not None and self._energy_mj >= before:
                return (self._energy_mj - before) / 1e3 / elapsed_s
        milliwatts = self._number("nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts / 1e3

    def _number(self, function: str, *more: object, named: str = "power of the GPU") -> float | None:
        return self._asked(lambda: getattr(self._library, function)(self._device, *more), named)

    def _asked(self, question: Callable[[], Any], named: str) -> float | None:
        """The answer; None where this GPU, driver or binding has none, which is said where it has a name."""
        try:
            return float(question())
        except (self._library.NVMLError, AttributeError) as cause:  # an older binding lacks newer functions
            if named:
                self.silent[named] = f"NVML: {cause}"
            return None
