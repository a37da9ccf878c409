"""What NVIDIA's messages mean, and what to do: TensorRT's are written for its own developers.

The texts are those of TensorRT 10 and 11, of its ONNX parser, and of the CUDA driver. A message that is not known here
is passed on as it is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A cause in our words, with the node or the number that the message names, and a remedy."""

    why: str
    fix: str


_CPU = "or run the same graph on the CPU: --target openvino-cpu"

_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"[Nn]o importer registered for op: (?P<name>\w+)|[Uu]nsupported operator (?P<op>\w+)"
        r"|Plugin not found.*?name: (?P<plugin>\w+)|^(?P<node>\S+ \(\w+\)): [\s\S]*Plugin not found",
        "TensorRT has no operator for {name}",
        f"export a network without it, {_CPU}",
    ),
    (
        r"ParseFromCodedStream|Failed to parse the ONNX model",
        "the file is no ONNX graph, or a part of it is missing",
        "export it again",
    ),
    (
        r"[Oo]ut of memory|OutOfMemory|MemoryAllocation|[Ii]nsufficient memory|FAILED_ALLOCATION",
        "the GPU's memory is not enough (a Jetson shares it with everything else that runs)",
        "close the desktop and other programs, add swap, or lower workspace_mib in the target's TOML",
    ),
    (
        r"[Cc]ould not find any implementation for node (?P<name>.+?)(?:\.\s|\.$|$)",
        "no kernel of this GPU can compute {name} within the memory that it may take",
        "raise workspace_mib in the target's TOML; if that does not help, build with --precision fp16 or fp32",
    ),
    (
        r"[Ss]erialization assertion|[Vv]ersion tag does not match|magic tag|[Mm]agicTag|[Pp]lan file.*not compatible"
        r"|engine plan file is not compatible|different version of TensorRT",
        "the plan was written by another version of TensorRT, or for another GPU",
        "build it again on this device: sall-edge rebuild ENGINE",
    ),
    (
        r"CUDA initialization failure with error: (?P<name>\d+)|driver version is insufficient|InsufficientDriver"
        r"|no CUDA-capable device|cudaErrorNoDevice",
        "the CUDA driver does not start (error {name})",
        "check the driver with nvidia-smi; on a Jetson flash a JetPack whose CUDA and TensorRT belong together",
    ),
    (
        r"(?P<name>\S+) is not supported on DLA|DLA validation failed|[Ii]nvalid DLA|DLA is not supported",
        "the deep learning accelerator cannot take what it was given ({name})",
        "remove dla_core from the target's TOML: the GPU computes every layer",
    ),
)
"""Pattern, cause and remedy; the first that matches a line of the log wins, in this order."""


def explain(lines: Iterable[str], *, fix: str) -> Explanation:
    """What the lines of an error log mean.

    Args:
        lines: Messages of severity ERROR, oldest first.
        fix: The remedy when nothing of them is known.
    """
    said = list(lines)
    for pattern, why, remedy in _KNOWN:
        for line in said:
            if found := re.search(pattern, line):
                name = next((value for value in found.groupdict().values() if value), "unnamed")
                return Explanation(why=f"{why.format(name=name)}; NVIDIA: {_short(line)}", fix=remedy)
    return Explanation(why="; ".join(map(_short, said)) or "TensorRT gave no reason", fix=fix)


def _short(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    return " ".join(lines[:2])
