"""The files that a Jetson tells about itself with, written into a folder, and an `nvpmodel` that answers from a script.

They show: that what a board says is read and judged as it is meant. They cannot show: that a board says it so. Release
lines and device trees have the form in which owners of such boards have published them.
"""

from dataclasses import dataclass
from pathlib import Path

from sall_edge.runtime.jetson import Sources


@dataclass(frozen=True, kw_only=True)
class Board:
    """What one board says; empty where it has no such file."""

    model: str = ""
    compatible: tuple[str, ...] = ()
    release: str = ""
    modes: tuple[str, ...] = ()
    mode: int = 0


ORIN_NANO_JP6 = Board(
    model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
    compatible=("nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"),
    release="# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n",
    modes=("15W", "25W", "MAXN_SUPER", "7W"),
    mode=1,
)
ORIN_NX_8 = Board(
    model="reComputer J4011",
    compatible=("nvidia,p3768-0000+p3767-0001", "nvidia,p3767-0001", "nvidia,tegra234"),
    release="# R36 (release), REVISION: 4.7, GCID: 42132812\n",
)
AGX_ORIN_JP7 = Board(
    model="NVIDIA Jetson AGX Orin Developer Kit",
    compatible=("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"),
    release="# R39 (release), REVISION: 2.1, GCID: 46758480, BOARD: generic, EABI: aarch64, DATE: Fri Aug 7 2026\n",
    modes=("MAXN", "15W", "30W", "50W"),
)
THOR = Board(
    model="NVIDIA Jetson AGX Thor Developer Kit",
    compatible=("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
    release="# R38 (release), REVISION: 2.2, GCID: 42205042, BOARD: generic, EABI: aarch64, DATE: Thu Sep 25 2025\n",
    modes=("MAXN", "120W"),
)
XAVIER_NX = Board(
    model="NVIDIA Jetson Xavier NX Developer Kit",
    compatible=("nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
    release="# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64\n",
    modes=("MODE_15W_2CORE", "MODE_15W_4CORE"),
)
FIRST_NANO = Board(
    model="NVIDIA Jetson Nano Developer Kit",
    compatible=("nvidia,p3450-0000", "nvidia,tegra210"),
    release="# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64\n",
    modes=("MAXN", "5W"),
)
DESKTOP = Board()


def written(folder: Path, board: Board) -> Sources:
    """The board's files in a folder, and where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / "nvpmodel"
    if board.model:
        (folder / "model").write_text(f"{board.model}\0")
        (folder / "compatible").write_text("".join(f"{name}\0" for name in board.compatible))
        (folder / "release").write_text(f"{board.release}# KERNEL_VARIANT: oot\n")
    if board.modes:
        lines = [
            f"< POWER_MODEL ID={number} NAME={name} >\nCPU_ONLINE CORE_0 1\n" for number, name in enumerate(board.modes)
        ]
        (folder / "nvpmodel.conf").write_text("".join([*lines, "< PM_CONFIG DEFAULT=0 >\n"]))
        answer.write_text(f"#!/bin/sh\necho 'NV Power Mode: {board.modes[board.mode]}'\necho {board.mode}\n")
        answer.chmod(0o755)
    return Sources(
        model=folder / "model",
        compatible=folder / "compatible",
        release=folder / "release",
        mode_command=(str(answer), "-q"),
        mode_saved=folder / "status",
        modes=folder / "nvpmodel.conf",
        processors=folder / "cpu",
        frequencies=folder / "devfreq",
    )


def write_clocks(folder: Path, *, least: int, greatest: int) -> None:
    """Two cores and a GPU whose clocks may lie between two frequencies."""
    for place, names in (
        (folder / "cpu" / "cpu0" / "cpufreq", ("scaling_min_freq", "scaling_max_freq")),
        (folder / "cpu" / "cpu1" / "cpufreq", ("scaling_min_freq", "scaling_max_freq")),
        (folder / "devfreq" / "17000000.gpu", ("min_freq", "max_freq")),
    ):
        place.mkdir(parents=True)
        for name, frequency in zip(names, (least, greatest), strict=True):
            (place / name).write_text(f"{frequency}\n")
