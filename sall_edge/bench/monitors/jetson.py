"""A Jetson: what its files tell, and what jetson-stats tells where it is installed.

Names of rails, alerts and counters are those of the Jetson Linux Developer Guide ("Platform Power and Performance") and
of logs that owners of Orin and Thor boards have published; no board was at hand.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from sall_edge.bench.monitors.files import integer, integers, text
from sall_edge.bench.monitors.monitor import Seen
from sall_edge.bench.monitors.processor import hottest_c, thermal_sensors

__all__ = ["Board", "BoardLimits", "JetsonStats"]

WHOLE_INPUT = ("VDD_IN", "VIN", "POM_5V_IN")
"""Rails that carry everything; where there is none, the parts are added up."""

NOT_CONNECTED = ("", "NC")

GPU_CLOCKS = ("*gpu*", "*gpc*")
"""Of /sys/class/devfreq; Thor counts its graphics clusters one by one."""


class Board:
    """Power rails, GPU clock and thermal zones.

    Args:
        root: `/sys`.
    """

    name = "sysfs of the board"

    def __init__(self, root: Path) -> None:
        self.silent: dict[str, str] = {}
        self.power_of = ""
        self._root = root
        self._sensors: list[Path] = []
        self._clocks: list[Path] = []

    @property
    def tells(self) -> bool:
        """Whether any of its three can be read."""
        return len(self.silent) < 3

    def start(self) -> None:
        """Finds the files."""
        self._sensors = thermal_sensors(self._root)
        devices = self._root / "class/devfreq"
        self._clocks = sorted({clock for name in GPU_CLOCKS for clock in devices.glob(f"{name}/cur_freq")})
        if hottest_c(self._sensors) is None:
            self.silent["temperature of the board"] = f"no thermal zone in {self._root / 'class/thermal'}"
        if not integers(self._clocks):
            self.silent["clock of the GPU"] = f"no GPU in {devices}"
        rails = self._rails_w()
        if rails:
            self.power_of = f"the board's rails {' + '.join(rails)}"
        else:
            self.silent["power of the board"] = f"no INA3221 or INA238 in {self._root / 'class/hwmon'}"

    def read(self, elapsed_s: float) -> Seen:
        """The board now; power is of this moment, averaged by the sensor over some milliseconds."""
        rails, clocks = self._rails_w(), integers(self._clocks)
        return Seen(
            temperature_c=hottest_c(self._sensors),
            clock_mhz=max(clocks) / 1e6 if clocks else None,
            power_w=sum(rails.values()) if rails else None,
        )

    def slowed(self) -> tuple[str, ...]:
        """Nothing: `BoardLimits` tells."""
        return ()

    def close(self) -> None:
        """Nothing is held."""

    def _rails_w(self) -> dict[str, float]:
        """Watts by rail: the one that carries everything, or all parts."""
        rails: dict[str, float] = {}
        for chip in sorted((self._root / "class/hwmon").glob("hwmon*")):
            kind = text(chip / "name")
            if "ina3221" in kind:
                rails |= _ina3221_w(chip)
            elif "ina238" in kind and (microwatts := integer(chip / "power1_input")) is not None:
                rails[text(chip / "in1_label") or "VIN"] = microwatts / 1e6
        return next(({name: rails[name]} for name in WHOLE_INPUT if name in rails), rails)


def _ina3221_w(chip: Path) -> dict[str, float]:
    """Volts times amperes of each channel that is connected."""
    watts = {}
    for label in sorted(chip.glob("in[1-3]_label")):
        channel, rail = label.name[2], text(label)
        millivolts, milliamperes = integer(chip / f"in{channel}_input"), integer(chip / f"curr{channel}_input")
        if rail not in NOT_CONNECTED and millivolts is not None and milliamperes is not None:
            watts[rail] = millivolts * milliamperes / 1e6
    return watts


class BoardLimits:
    """What a Jetson slows itself down for: heat, and current.

    Args:
        root: `/sys`.
    """

    name = "limits of the board"
    power_of = ""

    def __init__(self, root: Path) -> None:
        self.silent: dict[str, str] = {}
        self._root = root
        self._alerts: dict[str, Path] = {}
        self._events: dict[Path, int] = {}
        self._readings = 0
        self._raised: Counter[str] = Counter()

    @property
    def tells(self) -> bool:
        """Whether any alert or counter can be read."""
        return len(self.silent) < 2

    def start(self) -> None:
        """Finds the alerts and notes the counters; a fan is a cooling device too, and slows nothing."""
        devices = sorted((self._root / "class/thermal").glob("cooling_device*"))
        kinds = {text(device / "type"): device / "cur_state" for device in devices}
        self._alerts = {kind: state for kind, state in kinds.items() if kind.endswith("-alert")}
        counters = sorted((self._root / "class/hwmon").glob("hwmon*/oc*_event_cnt"))
        self._events = {counter: count for counter in counters if (count := integer(counter)) is not None}
        if not self._alerts:
            self.silent["throttling for heat"] = f"no throttle alert in {self._root / 'class/thermal'}"
        if not self._events:
            self.silent["throttling for current"] = f"no oc*_event_cnt in {self._root / 'class/hwmon'}"

    def read(self, elapsed_s: float) -> Seen:
        """Looks at the alerts."""
        self._readings += 1
        self._raised.update(kind for kind, state in self._alerts.items() if (integer(state) or 0) > 0)
        return Seen()

    def slowed(self) -> tuple[str, ...]:
        """Alerts that were raised, and events of over-current or under-voltage that were counted."""
        alerts = [f"{kind} in {count} of {self._readings} readings" for kind, count in sorted(self._raised.items())]
        events = []
        for counter, before in self._events.items():
            grown = (integer(counter) or 0) - before
            if grown > 0:
                number = re.sub(r"\D", "", counter.name)
                events.append(f"the board throttled for current or voltage {grown} times (event {number})")
        return (*alerts, *events)

    def close(self) -> None:
        """Nothing is held."""


class JetsonStats:
    """Power, GPU clock and temperatures as jetson-stats' service collects them (AGPL-3.0: installed by the user).

    Args:
        library: The module `jtop`.
        otherwise: Read instead where the service does not answer.
    """

    def __init__(self, library: Any, otherwise: Board) -> None:
        self._library, self._otherwise = library, otherwise
        self._silent: dict[str, str] = {}
        self._jtop: Any = None

    @property
    def name(self) -> str:
        """Who tells."""
        return self._otherwise.name if self._jtop is None else "jetson-stats"

    @property
    def power_of(self) -> str:
        """What the power is of."""
        return self._otherwise.power_of if self._jtop is None else "the board, as jetson-stats adds it up"

    @property
    def silent(self) -> dict[str, str]:
        """What is not told, and why."""
        return self._silent | (self._otherwise.silent if self._jtop is None else {})

    @property
    def tells(self) -> bool:
        """Whether the service answers, or the files do."""
        return self._jtop is not None or self._otherwise.tells

    def start(self) -> None:
        """Connects to the service, which has to run."""
        jtop = self._library.jtop(interval=1.0)
        try:
            jtop.start()
        except (self._library.JtopException, OSError) as cause:
            self._silent["jetson-stats"] = " ".join(str(cause).split())
            self._otherwise.start()
        else:
            self._jtop = jtop

    def read(self, elapsed_s: float) -> Seen:
        """What the service collected last, within the last second."""
        jtop = self._jtop
        if jtop is None:
            return self._otherwise.read(elapsed_s)
        try:
            if not jtop.ok(spin=True):
                self._silent["jetson-stats"] = "the service went away during the run"
                return Seen()
        except (self._library.JtopException, OSError) as cause:
            self._silent["jetson-stats"] = " ".join(str(cause).split())
            return Seen()
        sensors = [sensor["temp"] for sensor in jtop.temperature.values() if sensor.get("online", True)]
        gpus = list(jtop.gpu.values())
        clocks = [gpu["freq"]["cur"] for gpu in gpus if "cur" in gpu.get("freq", {})]
        loads = [gpu["status"]["load"] for gpu in gpus if "load" in gpu.get("status", {})]
        total = jtop.power.get("tot", {}).get("power")
        return Seen(
            temperature_c=max(sensors, default=None),
            clock_mhz=max(clocks) / 1e3 if clocks else None,
            power_w=None if total is None else total / 1e3,
            load=max(loads) / 100 if loads else None,
        )

    def slowed(self) -> tuple[str, ...]:
        """Nothing: `BoardLimits` tells."""
        return ()

    def close(self) -> None:
        """Leaves the service."""
        if self._jtop is not None:
            self._jtop.close()
