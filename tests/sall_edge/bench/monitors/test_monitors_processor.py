"""The CPU from folders that are laid out as sysfs. They cannot show what a CPU's sensors really say."""

from pathlib import Path

import pytest

from sall_edge.bench.monitors.processor import Processor, hottest_c, thermal_sensors


def _write(path: Path, words: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{words}\n")
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Two cores at 3.0 and 2.0 GHz, a zone at 61 degrees, a disk that is hotter, a zone that is not fitted."""
    _write(tmp_path / "class/thermal/thermal_zone0/temp", 61_000)
    _write(tmp_path / "class/thermal/thermal_zone1/temp", -273_200)
    _write(tmp_path / "class/thermal/thermal_zone2/temp", "not fitted")
    _write(tmp_path / "class/hwmon/hwmon0/name", "nvme")
    _write(tmp_path / "class/hwmon/hwmon0/temp1_input", 80_000)
    for core, khz in enumerate((3_000_000, 2_000_000)):
        folder = tmp_path / f"devices/system/cpu/cpu{core}"
        _write(folder / "cpufreq/scaling_cur_freq", khz)
        _write(folder / "thermal_throttle/core_throttle_count", 4)
    return tmp_path


def test_the_hottest_sensor_and_the_mean_clock_are_read(machine: Path) -> None:
    processor = Processor(machine)
    processor.start()
    seen = processor.read(1.0)
    assert (seen.temperature_c, seen.clock_mhz, seen.power_w) == (61.0, 2500.0, None)
    assert (processor.silent, processor.slowed(), processor.tells) == ({}, (), True)


def test_the_sensors_in_the_cpu_count_and_those_of_a_disk_do_not(machine: Path) -> None:
    _write(machine / "class/hwmon/hwmon1/name", "coretemp")
    _write(machine / "class/hwmon/hwmon1/temp2_input", 70_500)
    assert hottest_c(thermal_sensors(machine)) == 70.5


def test_a_throttle_counter_that_grew_is_told(machine: Path) -> None:
    processor = Processor(machine)
    processor.start()
    _write(machine / "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", 7)
    assert processor.slowed() == ("the CPU throttled itself for heat: its counters grew by 3",)


def test_a_machine_that_tells_nothing_is_said_to_tell_nothing(tmp_path: Path) -> None:
    processor = Processor(tmp_path)
    processor.start()
    seen = processor.read(1.0)
    assert (seen.temperature_c, seen.clock_mhz) == (None, None)
    assert processor.slowed() == ()
    assert not processor.tells
    thermal, chips, cores = (tmp_path / name for name in ("class/thermal", "class/hwmon", "devices/system/cpu"))
    assert processor.silent == {
        "temperature of the CPU": f"no sensor in {thermal} or {chips}: a guest has none",
        "clock of the CPU": f"no cpufreq in {cores}: the host of a virtual machine sets the clock",
        "throttling of the CPU": f"no thermal_throttle in {cores}: kept by Intel's CPUs, not by guests",
    }
