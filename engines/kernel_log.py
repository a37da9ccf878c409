"""What TensorRT-RTX made of every convolution and matrix product of a graph, as its verbose log tells.

The log names kernels, and a kernel may hold several layers (two heads that read the same features), or stand under a
name of the compiler's own (`__myl_FcAddRelu`, a fusion that is generated when the plan is loaded). So kernels are found
by the layers that they say they compute, and a layer that no kernel names is in the report all the same.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from calibration.placement import LINEAR
from engines.compiled import Kernel, KernelReport

__all__ = ["NOT_NAMED", "kernels_from_log", "linear_layers"]

NOT_NAMED = "not in the log"
"""Dtype of a layer that no kernel names: folded away, or computed by something that this project does not know."""

_DTYPES = {"Int8": "int8", "Half": "fp16", "Float": "fp32"}
_KERNEL = re.compile(
    r"Name: (?P<name>\S+), LayerType: (?:correlation|gemm|runtime_fusion), "
    r"Inputs: (?P<inputs>.*?), Constants: (?P<constants>.*?), Outputs: "
)
_DTYPE = re.compile(r"Datatype: (\w+)")
_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")


def linear_layers(graph: Path) -> tuple[str, ...]:
    """Names of a graph's convolutions and matrix products, in the order of computing."""
    return tuple(node.name for node in onnx.load(graph).graph.node if node.op_type in LINEAR)


def kernels_from_log(lines: Iterable[str], layers: Iterable[str]) -> KernelReport:
    """One entry a kernel, named by the layers that it computes, joined with "+"; then the layers that none names.

    A kernel has one dtype when its input and its weights agree, else both: "int8 with fp16 weights". The report is
    empty when the log lists no layers, as TensorRT's does.

    Args:
        lines: Texts of the log, one an event.
        layers: See `linear_layers`.
    """
    dump = next((text for text in lines if text.startswith("Layers:")), "")
    if not dump:
        return KernelReport()
    wanted = list(layers)
    kernels = list(_kernels(dump, frozenset(wanted)))
    named = {layer for kernel in kernels for layer in kernel.name.split("+")}
    lost = [Kernel(name=layer, dtype=NOT_NAMED) for layer in wanted if layer not in named]
    return KernelReport((*kernels, *lost))


def _kernels(dump: str, layers: frozenset[str]) -> Iterator[Kernel]:
    for line in dump.splitlines():
        match = _KERNEL.match(line)
        if match is None:
            continue
        computed = [layer for layer in _LAYER.findall(line) if layer in layers]
        if computed:
            dtype = _dtype(match["inputs"], match["constants"])
            yield Kernel(name="+".join(dict.fromkeys(computed)), dtype=dtype)


def _dtype(inputs: str, constants: str) -> str:
    reads, weights = (_DTYPE.findall(text) for text in (inputs, constants))
    words = [_DTYPES.get(found[0], found[0]) for found in (reads, weights) if found]
    if not words:
        return NOT_NAMED
    return words[0] if words[0] == words[-1] else f"{words[0]} with {words[-1]} weights"
