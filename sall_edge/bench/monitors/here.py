"""Which monitors there are on this machine, for what computes."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sall_edge.bench.monitors.guest import Guest
from sall_edge.bench.monitors.jetson import Board, BoardLimits, JetsonStats
from sall_edge.bench.monitors.monitor import Monitor
from sall_edge.bench.monitors.nvml import Nvml
from sall_edge.bench.monitors.processor import Processor
from sall_edge.bench.monitors.rapl import Rapl
from sall_edge.runtime.jetson import Device, read_device
from sall_edge.spec import Backend

__all__ = ["Monitors", "monitors_here", "monitors_of"]

CUDA = (Backend.TENSORRT, Backend.TENSORRT_RTX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitors:
    """What can be asked.

    Attributes:
        sources: The first that knows a clock is believed; powers are added.
        silent: What would tell more, and why it does not.
    """

    sources: tuple[Monitor, ...]
    silent: dict[str, str]


def monitors_here(backend: Backend) -> Monitors:
    """Those of this machine.

    Args:
        backend: What computes.
    """
    device = read_device()
    return monitors_of(
        device,
        backend,
        system=Path("/sys"),
        processes=Path("/proc"),
        pynvml=_library("pynvml") if backend in CUDA and device is None else None,
        jtop=_library("jtop") if device is not None else None,
    )


def monitors_of(
    device: Device | None, backend: Backend, *, system: Path, processes: Path, pynvml: Any, jtop: Any
) -> Monitors:
    """Those of a machine.

    Args:
        device: The machine as a Jetson; None when it is none.
        backend: What computes.
        system, processes: `/sys` and `/proc`.
        pynvml, jtop: The modules; None where they are not installed.
    """
    guest, processor = Guest(processes / "stat"), Processor(system)
    if device is not None:
        board: Monitor = Board(system) if jtop is None else JetsonStats(jtop, Board(system))
        silent = {"jetson-stats": "not installed; the board's own files are read"} if jtop is None else {}
        if backend in CUDA:
            return Monitors(sources=(board, BoardLimits(system), guest), silent=silent)
        return Monitors(sources=(processor, board, BoardLimits(system), guest), silent=silent)
    cpu: tuple[Monitor, ...] = (Rapl(system / "class/powercap"), processor, guest)
    if backend not in CUDA:
        return Monitors(sources=cpu, silent={})
    if pynvml is None:
        return Monitors(sources=cpu, silent={"the GPU": "NVML's binding is not installed: pip install nvidia-ml-py"})
    return Monitors(sources=(Nvml(pynvml), *cpu), silent={})


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
