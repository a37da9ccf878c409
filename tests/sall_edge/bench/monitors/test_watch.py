"""The thread beside the measurement, with sources that answer from a script: no sensor is behind them."""

import threading
import time

import pytest

from sall_edge.bench.monitors.here import Monitors
from sall_edge.bench.monitors.monitor import Reading, Seen
from sall_edge.bench.monitors.watch import MOST_READINGS, Watch, fallen_clock


class _Scripted:
    """Tells the same at each reading, and notes how it is used."""

    def __init__(self, name: str, seen: Seen | Exception, *, power_of: str = "", slowed: tuple[str, ...] = ()) -> None:
        self.name, self.power_of, self.tells = name, power_of, True
        self.silent: dict[str, str] = {}
        self.seen, self.words = seen, slowed
        self.started = self.closed = 0
        self.elapsed: list[float] = []

    def start(self) -> None:
        self.started += 1

    def read(self, elapsed_s: float) -> Seen:
        self.elapsed.append(elapsed_s)
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen

    def slowed(self) -> tuple[str, ...]:
        return self.words

    def close(self) -> None:
        self.closed += 1


def _monitors(*sources: _Scripted, **silent: str) -> Monitors:
    return Monitors(sources=sources, silent=silent)


def test_a_run_shorter_than_a_second_has_the_reading_at_its_end() -> None:
    source = _Scripted("a", Seen(temperature_c=50.0))
    with Watch(_monitors(source)) as watch:
        pass
    (reading,) = watch.monitored(1).readings
    assert reading.temperature_c == 50.0
    assert (source.started, source.closed) == (1, 1)


def test_readings_come_beside_the_block_and_cover_all_of_it() -> None:
    source = _Scripted("a", Seen(clock_mhz=1000.0))
    with Watch(_monitors(source), every_s=0.01) as watch:
        deadline = time.monotonic() + 5
        while len(source.elapsed) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
    readings = watch.monitored(1).readings
    assert len(readings) >= 4
    assert readings[-1].at_s == pytest.approx(sum(source.elapsed))
    assert not [thread for thread in threading.enumerate() if thread.name == "monitors"]


def test_temperatures_are_the_hottest_powers_are_added_and_the_first_clock_is_believed() -> None:
    gpu = _Scripted("NVML", Seen(temperature_c=70.0, clock_mhz=1500.0, power_w=40.0), power_of="GPU board")
    cpu = _Scripted("RAPL", Seen(temperature_c=80.0, clock_mhz=3000.0, power_w=20.0), power_of="CPU package")
    with Watch(_monitors(gpu, cpu)) as watch:
        pass
    monitored = watch.monitored(1)
    (reading,) = monitored.readings
    assert (reading.temperature_c, reading.clock_mhz, reading.power_w) == (80.0, 1500.0, 60.0)
    assert (monitored.sources, monitored.power_of) == (("NVML", "RAPL"), "GPU board and CPU package")


def test_energy_is_power_over_the_time_of_the_run_and_is_shared_by_its_photographs() -> None:
    source = _Scripted("a", Seen(power_w=10.0), power_of="CPU package")
    with Watch(_monitors(source), every_s=0.02) as watch:
        time.sleep(0.05)
    monitored = watch.monitored(4)
    assert monitored.energy_mj_per_photograph == pytest.approx(10.0 * sum(source.elapsed) * 1e3 / 4)
    assert watch.monitored(0).energy_mj_per_photograph is None


def test_a_machine_that_tells_nothing_has_no_readings_and_no_energy() -> None:
    source = _Scripted("a", Seen())
    source.tells = False
    source.silent = {"power": "no counters"}
    with Watch(_monitors(source, GPU="not asked")) as watch:
        pass
    monitored = watch.monitored(10)
    assert (monitored.sources, monitored.readings, monitored.energy_mj_per_photograph) == ((), (), None)
    assert monitored.silent == {
        "GPU": "not asked",
        "power": "no counters",
        "energy per photograph": "power is not known for the whole run",
    }


def test_what_slowed_the_machine_is_told_in_words() -> None:
    with Watch(_monitors(_Scripted("a", Seen(), slowed=("the CPU was hot",)))) as watch:
        pass
    assert watch.monitored(1).throttled == ("the CPU was hot",)


def test_a_source_that_breaks_breaks_the_run_and_the_others_are_closed() -> None:
    broken, other = _Scripted("a", ZeroDivisionError("a mistake")), _Scripted("b", Seen())
    with pytest.raises(ZeroDivisionError, match="a mistake"), Watch(_monitors(broken, other), every_s=0.01):
        time.sleep(0.1)
    assert (broken.closed, other.closed) == (1, 1)


def test_an_error_of_the_run_is_not_hidden_by_one_of_a_source() -> None:
    def run() -> None:
        with Watch(_monitors(_Scripted("a", ZeroDivisionError("a mistake"))), every_s=0.01):
            time.sleep(0.1)
            raise KeyError("the run")

    with pytest.raises(KeyError, match="the run"):
        run()


def test_half_an_hour_of_readings_stays_bounded() -> None:
    watch = Watch(_monitors())
    watch._readings = [Reading(at_s=float(second), temperature_c=50.0) for second in range(1, 1801)]
    watch._loads = [None] * 1800
    readings = watch.monitored(1).readings
    assert len(readings) == MOST_READINGS
    assert readings[-1].at_s == 1800


def _clocks(*mhz: float) -> list[Reading]:
    return [Reading(at_s=float(at), clock_mhz=value) for at, value in enumerate(mhz, start=1)]


def test_a_clock_that_falls_under_load_is_told() -> None:
    readings = _clocks(*[2000.0] * 6, *[1500.0] * 6)
    assert fallen_clock(readings, [1.0] * 12) == ("the clock fell from 2000 to 1500 MHz",)
    assert fallen_clock(readings, [None] * 12) == ("the clock fell from 2000 to 1500 MHz",)


def test_a_clock_that_rests_without_load_is_no_throttling() -> None:
    readings = _clocks(*[2000.0] * 6, *[400.0] * 6)
    assert fallen_clock(readings, [1.0] * 6 + [0.0] * 6) == ()


@pytest.mark.parametrize("mhz", [[2000.0] * 6 + [1750.0] * 6, [2000.0] * 5 + [500.0], [1500.0] * 6 + [2000.0] * 6])
def test_turbo_that_settles_few_readings_and_a_clock_that_rises_are_no_throttling(mhz: list[float]) -> None:
    assert fallen_clock(_clocks(*mhz), [1.0] * len(mhz)) == ()
