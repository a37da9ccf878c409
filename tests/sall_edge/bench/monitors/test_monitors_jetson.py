"""A Jetson from folders, and a jetson-stats that answers from a script.

Names of rails and alerts are those of published logs. Neither can show what a board really says.
"""

from pathlib import Path

import pytest

from sall_edge.bench.monitors.jetson import Board, BoardLimits, JetsonStats


def _write(path: Path, words: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{words}\n")
    return path


def _channel(chip: Path, number: int, rail: str, millivolts: int, milliamperes: int) -> None:
    _write(chip / f"in{number}_label", rail)
    _write(chip / f"in{number}_input", millivolts)
    _write(chip / f"curr{number}_input", milliamperes)


@pytest.fixture
def orin_nano(tmp_path: Path) -> Path:
    """5 V at 2 A into the module; its parts are on the same chip."""
    chip = tmp_path / "class/hwmon/hwmon1"
    _write(chip / "name", "ina3221")
    _channel(chip, 1, "VDD_IN", 5000, 2000)
    _channel(chip, 2, "VDD_CPU_GPU_CV", 5000, 800)
    _channel(chip, 3, "VDD_SOC", 5000, 400)
    _write(chip / "in7_label", "sum of shunt voltages")
    _write(tmp_path / "class/devfreq/17000000.gpu/cur_freq", 624_750_000)
    _write(tmp_path / "class/thermal/thermal_zone0/temp", 63_625)
    _write(tmp_path / "class/thermal/cooling_device0/type", "pwm-fan")
    _write(tmp_path / "class/thermal/cooling_device0/cur_state", 3)
    _write(tmp_path / "class/thermal/cooling_device1/type", "gpu-throttle-alert")
    _write(tmp_path / "class/thermal/cooling_device1/cur_state", 0)
    _write(tmp_path / "class/hwmon/hwmon3/oc3_event_cnt", 37)
    return tmp_path


def test_the_rail_that_carries_everything_is_the_power(orin_nano: Path) -> None:
    board = Board(orin_nano)
    board.start()
    seen = board.read(1.0)
    assert (seen.power_w, seen.clock_mhz, seen.temperature_c) == (10.0, 624.75, 63.625)
    assert (board.power_of, board.silent, board.tells) == ("the board's rails VDD_IN", {}, True)


def test_parts_are_added_up_where_no_rail_carries_everything(tmp_path: Path) -> None:
    first, second = tmp_path / "class/hwmon/hwmon3", tmp_path / "class/hwmon/hwmon4"
    for chip in (first, second):
        _write(chip / "name", "ina3221")
    _channel(first, 1, "VDD_GPU_SOC", 4000, 1000)
    _channel(first, 2, "VDD_CPU_CV", 5000, 200)
    _channel(second, 1, "NC", 5000, 9000)
    board = Board(tmp_path)
    board.start()
    assert board.read(1.0).power_w == pytest.approx(5.0)
    assert board.power_of == "the board's rails VDD_GPU_SOC + VDD_CPU_CV"


def test_thor_tells_its_input_in_microwatts(tmp_path: Path) -> None:
    _write(tmp_path / "class/hwmon/hwmon0/name", "ina238")
    _write(tmp_path / "class/hwmon/hwmon0/power1_input", 55_000_000)
    for cluster, hertz in ((0, 1_575_000_000), (1, 1_500_000_000)):
        _write(tmp_path / f"class/devfreq/gpu-gpc-{cluster}/cur_freq", hertz)
    board = Board(tmp_path)
    board.start()
    assert (board.read(1.0).power_w, board.read(1.0).clock_mhz) == (55.0, 1575.0)


def test_a_board_that_tells_nothing_is_said_to_tell_nothing(tmp_path: Path) -> None:
    board, limits = Board(tmp_path), BoardLimits(tmp_path)
    board.start()
    limits.start()
    assert board.read(1.0).power_w is None
    assert board.silent == {
        "temperature of the board": f"no thermal zone in {tmp_path / 'class/thermal'}",
        "clock of the GPU": f"no GPU in {tmp_path / 'class/devfreq'}",
        "power of the board": f"no INA3221 or INA238 in {tmp_path / 'class/hwmon'}",
    }
    assert limits.silent == {
        "throttling for heat": f"no throttle alert in {tmp_path / 'class/thermal'}",
        "throttling for current": f"no oc*_event_cnt in {tmp_path / 'class/hwmon'}",
    }
    assert (board.tells, limits.tells) == (False, False)


def test_a_fan_and_events_of_the_past_slow_nothing(orin_nano: Path) -> None:
    limits = BoardLimits(orin_nano)
    limits.start()
    limits.read(1.0)
    assert limits.slowed() == ()


def test_alerts_and_new_events_are_told(orin_nano: Path) -> None:
    limits = BoardLimits(orin_nano)
    limits.start()
    _write(orin_nano / "class/thermal/cooling_device1/cur_state", 1)
    limits.read(1.0)
    _write(orin_nano / "class/thermal/cooling_device1/cur_state", 0)
    limits.read(1.0)
    _write(orin_nano / "class/hwmon/hwmon3/oc3_event_cnt", 39)
    assert limits.slowed() == (
        "gpu-throttle-alert in 1 of 2 readings",
        "the board throttled for current or voltage 2 times (event 3)",
    )


class _Jtop:
    """Stands in for the module `jtop` and its client, with the values that jetson-stats 4 to 7 documents."""

    class JtopException(Exception):
        """As the library's."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal, self.closed, self.is_running = refusal, 0, True
        self.temperature = {"tj": {"temp": 58.5, "online": True}, "cv0": {"temp": -256, "online": False}}
        self.gpu = {"ga10b": {"status": {"load": 98.0}, "freq": {"cur": 624_750}}}
        self.power = {"rail": {}, "tot": {"power": 9_800}}

    def jtop(self, interval: float) -> "_Jtop":
        return self

    def start(self) -> None:
        if self.refusal:
            raise self.JtopException(self.refusal)

    def ok(self, spin: bool) -> bool:
        if self.refusal:
            raise self.JtopException(self.refusal)
        return self.is_running

    def close(self) -> None:
        self.closed += 1


def test_jetson_stats_is_read_and_left(orin_nano: Path) -> None:
    library = _Jtop()
    source = JetsonStats(library, Board(orin_nano))
    source.start()
    seen = source.read(1.0)
    assert (seen.power_w, seen.clock_mhz, seen.temperature_c, seen.load) == (9.8, 624.75, 58.5, 0.98)
    assert (source.name, source.silent, source.tells) == ("jetson-stats", {}, True)
    assert source.power_of == "the board, as jetson-stats adds it up"
    assert source.slowed() == ()
    source.close()
    assert library.closed == 1


def test_the_boards_files_are_read_where_the_service_does_not_answer(orin_nano: Path) -> None:
    source = JetsonStats(_Jtop("The jtop.service is not active. Please run:\nsudo jtop"), Board(orin_nano))
    source.start()
    assert source.read(1.0).power_w == 10.0
    assert source.name == "sysfs of the board"
    assert source.power_of == "the board's rails VDD_IN"
    assert source.silent == {"jetson-stats": "The jtop.service is not active. Please run: sudo jtop"}
    source.close()


@pytest.mark.parametrize(
    ("running", "refusal", "words"),
    [(False, "", "the service went away during the run"), (True, "Lost connection", "Lost connection")],
)
def test_a_service_that_goes_away_leaves_a_gap_that_is_said(
    orin_nano: Path, running: bool, refusal: str, words: str
) -> None:
    library = _Jtop()
    source = JetsonStats(library, Board(orin_nano))
    source.start()
    library.is_running, library.refusal = running, refusal
    assert source.read(1.0).power_w is None
    assert source.silent == {"jetson-stats": words}
