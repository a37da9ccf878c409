"""Temperature, clock and throttling of the CPU, from sysfs (docs.kernel.org: cpufreq, intel_thermal_throttle)."""

from collections.abc import Sequence
from pathlib import Path

from sall_edge.bench.monitors.files import integers, text
from sall_edge.bench.monitors.monitor import Seen

__all__ = ["Processor", "hottest_c", "thermal_sensors"]

CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Drivers whose hwmon sensors lie in the CPU."""

PLAUSIBLE_C = (1.0, 150.0)
"""Sensors that are not fitted read 0, -273 or hundreds of degrees."""


class Processor:
    """Thermal zones, core clocks, and the counters of thermal throttling that Intel's CPUs keep.

    Args:
        root: `/sys`.
    """

    name = "sysfs"
    power_of = ""

    def __init__(self, root: Path) -> None:
        self.silent: dict[str, str] = {}
        self._root = root
        self._sensors: list[Path] = []
        self._clocks: list[Path] = []
        self._throttles: list[Path] = []
        self._throttled_before = 0

    @property
    def tells(self) -> bool:
        """Whether any of its three can be read."""
        return len(self.silent) < 3

    def start(self) -> None:
        """Finds the files."""
        cores = self._root / "devices/system/cpu"
        self._sensors = thermal_sensors(self._root)
        self._clocks = sorted(cores.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
        self._throttles = sorted(cores.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
        if hottest_c(self._sensors) is None:
            self.silent["temperature of the CPU"] = (
                f"no sensor in {self._root / 'class/thermal'} or {self._root / 'class/hwmon'}: a guest has none"
            )
        if not integers(self._clocks):
            self.silent["clock of the CPU"] = f"no cpufreq in {cores}: the host of a virtual machine sets the clock"
        if not self._throttles:
            self.silent["throttling of the CPU"] = (
                f"no thermal_throttle in {cores}: kept by Intel's CPUs, not by guests"
            )
        self._throttled_before = sum(integers(self._throttles))

    def read(self, elapsed_s: float) -> Seen:
        """Hottest sensor and mean clock."""
        clocks = integers(self._clocks)
        return Seen(
            temperature_c=hottest_c(self._sensors),
            clock_mhz=sum(clocks) / len(clocks) / 1e3 if clocks else None,
        )

    def slowed(self) -> tuple[str, ...]:
        """Whether a counter of thermal throttling has grown."""
        grown = sum(integers(self._throttles)) - self._throttled_before
        return (f"the CPU throttled itself for heat: its counters grew by {grown}",) if grown > 0 else ()

    def close(self) -> None:
        """Nothing is held."""


def thermal_sensors(root: Path) -> list[Path]:
    """Files that hold a temperature in thousandths of a degree.

    Args:
        root: `/sys`.
    """
    zones = sorted((root / "class/thermal").glob("thermal_zone*/temp"))
    chips = [chip for chip in sorted((root / "class/hwmon").glob("hwmon*")) if text(chip / "name") in CPU_SENSORS]
    return zones + [sensor for chip in chips for sensor in sorted(chip.glob("temp*_input"))]


def hottest_c(sensors: Sequence[Path]) -> float | None:
    """The highest plausible temperature; None without one."""
    least, most = PLAUSIBLE_C
    return max((value / 1e3 for value in integers(sensors) if least <= value / 1e3 <= most), default=None)
