"""Power of an Intel or AMD CPU, from the kernel's energy counters (RAPL, Documentation/power/powercap/powercap.rst)."""

from pathlib import Path

from sall_edge.bench.monitors.files import integer, text
from sall_edge.bench.monitors.monitor import Seen

__all__ = ["Rapl"]

POWER = "power of the CPU"


class Rapl:
    """Energy counters of the CPU packages and of the memory beside them; AMD's have the same names.

    `psys` is left out since it holds the packages, `core` and `uncore` since the packages hold them.

    Args:
        root: `/sys/class/powercap`.
    """

    name = "RAPL"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.silent: dict[str, str] = {}
        self.power_of = ""
        self._zones: dict[Path, int] = {}
        """Counter in microjoules at the last reading, by folder."""

    @property
    def tells(self) -> bool:
        """Whether the counters can be read."""
        return bool(self.power_of)

    def start(self) -> None:
        """Finds the counters."""
        zones = [zone for zone in sorted(self._root.glob("intel-rapl:*")) if _is_counted(text(zone / "name"))]
        if not zones:
            self.silent[POWER] = f"no RAPL counters in {self._root}: a virtual machine, or a CPU without them"
            return
        for zone in zones:
            energy = self._energy_uj(zone)
            if energy is not None:
                self._zones[zone] = energy
        if not self.silent:
            self.power_of = " and ".join(dict.fromkeys(_part(text(zone / "name")) for zone in self._zones))

    def read(self, elapsed_s: float) -> Seen:
        """Mean power since the last reading."""
        spent_uj = 0
        for zone, before in self._zones.items():
            now = self._energy_uj(zone)
            if now is None:
                continue
            if now < before:  # the counter began again
                before -= integer(zone / "max_energy_range_uj") or 0
            spent_uj += max(now - before, 0)
            self._zones[zone] += now - self._zones[zone]
        # A sum that misses a part is no power.
        return Seen() if self.silent or not self._zones else Seen(power_w=spent_uj / 1e6 / elapsed_s)

    def slowed(self) -> tuple[str, ...]:
        """Nothing: counters of energy do not tell."""
        return ()

    def close(self) -> None:
        """Nothing is held."""

    def _energy_uj(self, zone: Path) -> int | None:
        try:
            return int((zone / "energy_uj").read_text(encoding="ascii"))
        except PermissionError:
            self.silent[POWER] = f"only root may read {zone / 'energy_uj'}"
        except (OSError, ValueError) as cause:
            self.silent[POWER] = f"cannot read {zone / 'energy_uj'}: {cause}"
        return None


def _is_counted(name: str) -> bool:
    return name.startswith("package-") or name == "dram"


def _part(name: str) -> str:
    return "memory" if name == "dram" else "CPU package"
