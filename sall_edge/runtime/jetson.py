"""What a Jetson is: its chip, module, JetPack, power mode. Read from files and `nvpmodel -q`; no GPU is touched.

The tables say what NVIDIA publishes, and nothing about a release that is not in them:
- JetPack, L4T, TensorRT, CUDA: developer.nvidia.com/embedded/jetpack-archive and its release notes; for 7.2.1 the
  package index repo.download.nvidia.com/jetson/common r39.2.
- Chips and modules: the Jetson Linux Developer Guide's list of part numbers, the modules' data sheets (DLA cores) and
  NVIDIA's list of compute capabilities. Which chip has INT8: the hardware table of TensorRT's support matrix.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CHIPS", "JETPACKS", "Chip", "Device", "JetPack", "Module", "Power", "Sources", "read_device"]

_COMMAND_SECONDS = 3.0
"""`nvpmodel -q` answers at once; a board that hangs must not hang doctor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A system on a chip.

    Attributes:
        title: The family that carries it.
        compute_capability: Of its GPU.
        refusal: Why this project does not compile for its GPU; empty where it does.
        target: The shipped target of every board with this chip; empty where the module decides.
        dla_cores: None where the module decides or it does not matter.
    """

    title: str
    compute_capability: str
    refusal: str = ""
    target: str = ""
    dla_cores: int | None = None


_NO_INT8 = "no INT8, and its last TensorRT is 8.2 (JetPack 4.6)"
CHIPS = {
    "tegra210": Chip(title="first Jetson Nano, TX1", compute_capability="5.3", refusal=_NO_INT8),
    "tegra186": Chip(title="Jetson TX2", compute_capability="6.2", refusal=_NO_INT8),
    "tegra194": Chip(title="Jetson Xavier", compute_capability="7.2", refusal="its last TensorRT is 8.5 (JetPack 5.1)"),
    "tegra234": Chip(title="Jetson Orin", compute_capability="8.7"),
    "tegra264": Chip(title="Jetson Thor", compute_capability="11.0", target="thor", dla_cores=0),
}
"""By the name in the device tree's `compatible`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module of the Orin family: the chip alone does not tell them apart."""

    title: str
    target: str
    dla_cores: int


MODULES = {
    "p3767-0000": Module(title="Orin NX 16 GB", target="orin-nx", dla_cores=2),
    "p3767-0001": Module(title="Orin NX 8 GB", target="orin-nx", dla_cores=1),
    "p3767-0003": Module(title="Orin Nano 8 GB", target="orin-nano", dla_cores=0),
    "p3767-0004": Module(title="Orin Nano 4 GB", target="orin-nano", dla_cores=0),
    "p3767-0005": Module(title="Orin Nano 8 GB (developer kit)", target="orin-nano", dla_cores=0),
    "p3701-0000": Module(title="AGX Orin (developer kit)", target="agx-orin", dla_cores=2),
    "p3701-0004": Module(title="AGX Orin 32 GB", target="agx-orin", dla_cores=2),
    "p3701-0005": Module(title="AGX Orin 64 GB", target="agx-orin", dla_cores=2),
    "p3701-0008": Module(title="AGX Orin Industrial", target="agx-orin", dla_cores=2),
}
"""By NVIDIA's part number, which `compatible` carries on every carrier board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JetPack:
    """A release: what belongs to one version of Jetson Linux (L4T).

    Attributes:
        name: As NVIDIA counts JetPack.
        l4t: The first version of Jetson Linux that belongs to it.
        tensorrt: Major and minor version that it ships, such as "10.3".
        cuda: The same of the CUDA toolkit.
        python: The system's Python, for which the TensorRT binding is compiled.
    """

    name: str
    l4t: tuple[int, int, int]
    tensorrt: str
    cuda: str
    python: str


def _jetpack(name: str, l4t: tuple[int, int, int], tensorrt: str, cuda: str, python: str) -> JetPack:
    return JetPack(name=name, l4t=l4t, tensorrt=tensorrt, cuda=cuda, python=python)


JETPACKS = (
    _jetpack("6.1", (36, 4, 0), "10.3", "12.6", "3.10"),
    _jetpack("6.2", (36, 4, 3), "10.3", "12.6", "3.10"),
    _jetpack("6.2.1", (36, 4, 4), "10.3", "12.6", "3.10"),
    _jetpack("6.2.2", (36, 5, 0), "10.3", "12.6", "3.10"),
    _jetpack("7.0", (38, 2, 0), "10.13", "13.0", "3.12"),
    _jetpack("7.1", (38, 4, 0), "10.13", "13.0", "3.12"),
    _jetpack("7.2", (39, 2, 0), "10.16", "13.2", "3.12"),
    _jetpack("7.2.1", (39, 2, 1), "10.16", "13.2", "3.12"),
)
"""Oldest first; the first is the oldest that has TensorRT 10.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The power mode, whose names differ from board to board.

    Attributes:
        mode: Such as "15W" or "MAXN_SUPER"; empty when nothing tells.
        others: The board's other modes.
        is_fixed: Whether the clocks stand still, as after `jetson_clocks`; None when nothing tells.
    """

    mode: str = ""
    others: tuple[str, ...] = ()
    is_fixed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A Jetson.

    Attributes:
        model: The board in the vendor's words.
        l4t: Version of Jetson Linux; None when it cannot be read.
        chip: None when it is not in the table.
        module: None when it is not in the table; only Orin modules are.
        power: How fast it runs at present.
    """

    model: str
    l4t: tuple[int, int, int] | None
    chip: Chip | None
    module: Module | None
    power: Power

    @property
    def target(self) -> str:
        """The shipped target for this board; empty when there is none."""
        return self.module.target if self.module else self.chip.target if self.chip else ""

    @property
    def dla_cores(self) -> int | None:
        """How many there are; None when the tables do not tell."""
        return self.module.dla_cores if self.module else self.chip.dla_cores if self.chip else None

    @property
    def jetpack(self) -> JetPack | None:
        """The release that this L4T is, or is a patch of; None outside the table, also when newer than its last."""
        l4t = self.l4t
        if l4t is None or l4t > JETPACKS[-1].l4t:
            return None
        return next((known for known in JETPACKS[::-1] if known.l4t <= l4t and known.l4t[:2] == l4t[:2]), None)

    def described(self) -> dict[str, str | bool | None]:
        """What a measurement depends on, for its provenance."""
        return {
            "model": self.model,
            "l4t": ".".join(map(str, self.l4t)) if self.l4t else "",
            "power_mode": self.power.mode,
            "fixed_clocks": self.power.is_fixed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a Jetson tells about itself."""

    model: Path = Path("/proc/device-tree/model")
    compatible: Path = Path("/proc/device-tree/compatible")
    release: Path = Path("/etc/nv_tegra_release")
    mode_command: tuple[str, ...] = ("nvpmodel", "-q")
    mode_saved: Path = Path("/var/lib/nvpmodel/status")
    modes: Path = Path("/etc/nvpmodel.conf")
    processors: Path = Path("/sys/devices/system/cpu")
    frequencies: Path = Path("/sys/class/devfreq")


def read_device(sources: Sources | None = None) -> Device | None:
    """This machine as a Jetson; None when it is none.

    Never raises: what cannot be read is None or empty in the answer.
    """
    sources = sources or Sources()
    release, compatible = _text(sources.release), _text(sources.compatible)
    chip = next((chip for name, chip in CHIPS.items() if f"nvidia,{name}" in compatible), None)
    if not release and chip is None:
        return None
    return Device(
        model=_text(sources.model) or "a Jetson that does not tell its name",
        l4t=_l4t(release),
        chip=chip,
        module=next((module for part, module in MODULES.items() if part in compatible), None),
        power=_power(sources),
    )


def _text(path: Path) -> str:
    """What a file says, without the zero bytes of the device tree; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def _l4t(release: str) -> tuple[int, int, int] | None:
    """From `# R36 (release), REVISION: 4.3, GCID: ...`: (36, 4, 3)."""
    found = re.match(r"# R(\d+) \(release\), REVISION: (\d+)(?:\.(\d+))?", release)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _power(sources: Sources) -> Power:
    named = dict(re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", _text(sources.modes)))
    answer = re.search(r"NV Power Mode: *(\S+)", _answer(sources.mode_command))
    saved = re.match(r"pmode:(\d+)", _text(sources.mode_saved))
    mode = answer[1] if answer else named.get(str(int(saved[1])), f"number {int(saved[1])}") if saved else ""
    others = tuple(name for name in named.values() if name != mode)
    return Power(mode=mode, others=others, is_fixed=_is_fixed(sources))


def _answer(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_COMMAND_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def _is_fixed(sources: Sources) -> bool | None:
    """Whether least and greatest frequency of every core and of the GPU are one, as `jetson_clocks` leaves them."""
    cores = sources.processors.glob("cpu[0-9]*/cpufreq")
    bounds = [(_text(core / "scaling_min_freq"), _text(core / "scaling_max_freq")) for core in cores]
    for name in ("*gpu*", "*gpc*"):
        bounds += [(_text(gpu / "min_freq"), _text(gpu / "max_freq")) for gpu in sources.frequencies.glob(name)]
    known = [(least, greatest) for least, greatest in bounds if least and greatest]
    return all(least == greatest for least, greatest in known) if known else None
