"""A Jetson's facts as lines of `sall-edge doctor`."""

import sys
from collections.abc import Iterable

from sall_edge.runtime.check import Check
from sall_edge.runtime.jetson import JETPACKS, Device

__all__ = ["ON_THE_CPU", "jetson_checks", "predicted_peak_mib"]

WEIGHTS_MIB = 100
WEIGHT_COPIES = 3
LIBRARIES_MIB = 1024

ON_THE_CPU = "build for its CPU: sall-edge build ... --target openvino-cpu"
"""What runs on a board whose GPU is refused."""
_NO_DLA_IN = ((10, 8), (11, 4))
"""From 10.8 up to 11.3: docs.nvidia.com, "Working with DLA" of TensorRT 11.4.1."""


def predicted_peak_mib(workspace_mib: int) -> int:
    """An estimate of what compiling takes at most, CPU and GPU together. Not measured on a device.

    The target's workspace bounds the memory of TensorRT's tactics. TensorRT's documentation says that at least two
    copies of the weights live while it builds; three are counted, of ResNet-50's 100 MiB in FP32, the largest network
    that is trained here. One GiB is allowed for the CUDA context, TensorRT's libraries and Python.
    """
    return workspace_mib + WEIGHT_COPIES * WEIGHTS_MIB + LIBRARIES_MIB


def jetson_checks(
    device: Device | None, *, tensorrt: str, available_mib: float | None = None, workspace_mib: int | None = None
) -> Iterable[Check]:
    """What this board can do, in reading order; one line on a machine that is no Jetson.

    Args:
        device: The board.
        tensorrt: Version of the TensorRT that Python finds; empty when it finds none.
        available_mib: Free memory; None when the kernel does not tell.
        workspace_mib: Of the board's target; None when there is none.
    """
    yield _jetpack(device)
    if device is None:
        return
    yield _board(device)
    yield _int8(device)
    yield _tensorrt(device, tensorrt)
    if available_mib is not None and workspace_mib is not None:
        yield _memory(device, available_mib, predicted_peak_mib(workspace_mib))
    yield _power(device)
    yield _clocks(device)
    yield _dla(device, tensorrt)


def _jetpack(device: Device | None) -> Check:
    if device is None:
        return Check(name="JetPack", ok=True, detail="this machine is not a Jetson")
    if device.l4t is None:
        fix = "look at /etc/nv_tegra_release; a board that was flashed by NVIDIA's tools has it"
        return Check(name="JetPack", ok=False, detail="the version of Jetson Linux cannot be read", fix=fix)
    linux = f"Jetson Linux {'.'.join(map(str, device.l4t))}"
    if device.l4t < JETPACKS[0].l4t:
        refused = device.chip is not None and bool(device.chip.refusal)
        fix = ON_THE_CPU if refused else "flash or upgrade to JetPack 6.1 or later (docs/jetson.md)"
        detail = f"{linux} is older than JetPack 6.1, the first with TensorRT 10.3"
        return Check(name="JetPack", ok=False, detail=detail, fix=fix)
    pair = device.jetpack
    if pair is None:
        newest = JETPACKS[-1]
        detail = (
            f"{linux}, not in this version's table (newest there: JetPack {newest.name}); its TensorRT is not judged"
        )
        return Check(name="JetPack", ok=True, detail=detail)
    ships = f"TensorRT {pair.tensorrt}, CUDA {pair.cuda}, Python {pair.python}"
    return Check(name="JetPack", ok=True, detail=f"{pair.name} ({linux}): {ships}")


def _board(device: Device) -> Check:
    known = [device.module.title if device.module else "", device.chip.title if device.chip else ""]
    about = ", ".join(word for word in known if word) or "neither its module nor its chip is in this version's table"
    target = f"; target {device.target}" if device.target else ""
    return Check(name="board", ok=True, detail=f"{device.model} ({about}{target})")


def _int8(device: Device) -> Check:
    name = "INT8 on the GPU"
    if device.chip is None:
        return Check(name=name, ok=True, detail="not known for this chip; the builder asks the GPU")
    detail = f"compute capability {device.chip.compute_capability}"
    if device.chip.refusal:
        return Check(name=name, ok=False, detail=f"{detail}: {device.chip.refusal}", fix=ON_THE_CPU)
    return Check(name=name, ok=True, detail=f"{detail}: computed in hardware")


def _tensorrt(device: Device, found: str) -> Check:
    """Whether Python and its TensorRT are JetPack's own."""
    name, pair = "TensorRT of JetPack", device.jetpack
    if pair is None or device.l4t is None or device.l4t < JETPACKS[0].l4t:
        return Check(name=name, ok=True, detail="not judged on this JetPack")
    venv = f"make the venv with /usr/bin/python{pair.python} -m venv --system-site-packages .venv"
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if running != pair.python:
        detail = f"this is Python {running}, JetPack's binding is for Python {pair.python}"
        return Check(name=name, ok=False, detail=detail, fix=venv)
    if not found:
        fix = f"sudo apt install python3-libnvinfer, and {venv}"
        return Check(name=name, ok=False, detail=f"Python finds none, JetPack ships {pair.tensorrt}", fix=fix)
    if _numbers(found) != _numbers(pair.tensorrt):
        detail = f"Python finds {found}, JetPack {pair.name} ships {pair.tensorrt}"
        fix = f"pip uninstall tensorrt, when pip put it there; sudo apt install python3-libnvinfer; {venv}"
        if _numbers(found) >= (11, 0):
            fix = f"{fix}; NVIDIA supports 11.4.1 from JetPack 7.2.2 on, on AGX Orin and Thor"
        return Check(name=name, ok=False, detail=detail, fix=fix)
    return Check(name=name, ok=True, detail=f"{found}, as JetPack {pair.name} ships it")


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor; empty for what is no version."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _memory(device: Device, available_mib: float, peak_mib: int) -> Check:
    ok = available_mib >= peak_mib
    detail = (
        f"{available_mib / 1024:.1f} GiB free for CPU and GPU together; a build for {device.target} is estimated at "
        f"{peak_mib / 1024:.1f} GiB"
    )
    fix = "stop the desktop (sudo systemctl isolate multi-user.target) and other programs, or add swap (docs/jetson.md)"
    return Check(name="memory for a build", ok=ok, detail=detail, fix="" if ok else fix)


def _power(device: Device) -> Check:
    mode = device.power.mode or "cannot be read (sudo nvpmodel -q tells)"
    others = f"; the board also has {', '.join(device.power.others)}" if device.power.others else ""
    return Check(name="power mode", ok=True, detail=f"{mode}{others}; a bench in another mode is not comparable")


def _clocks(device: Device) -> Check:
    said = {
        True: "fixed; a bench without fixed clocks is not comparable",
        False: "they follow the load; before a bench: sudo jetson_clocks",
        None: "whether they are fixed cannot be read (sudo jetson_clocks --show tells)",
    }
    return Check(name="clocks", ok=True, detail=said[device.power.is_fixed])


def _dla(device: Device, tensorrt: str) -> Check:
    if device.dla_cores is None:
        return Check(name="DLA", ok=True, detail="how many cores this board has is not in this version's table")
    if device.dla_cores == 0:
        return Check(name="DLA", ok=True, detail="this board has none; everything runs on the GPU")
    detail = f"{device.dla_cores} core{'s' if device.dla_cores > 1 else ''}"
    least, below = _NO_DLA_IN
    if tensorrt and least <= _numbers(tensorrt) < below:
        detail = f"{detail}, which TensorRT {tensorrt} cannot use: NVIDIA left DLA out of 10.8 to 11.3"
    return Check(name="DLA", ok=True, detail=detail)
